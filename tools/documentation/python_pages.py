"""The pages on the Python interface: one for each package that says what of it is public."""

import ast
from pathlib import Path

from page_parts import page

import monai_app

PACKAGE = Path(monai_app.__file__).parent


def public_packages() -> list[str]:
    """Name the packages that list their public names in ``__all__``."""
    folders = sorted({path.parent for path in PACKAGE.glob("*/__init__.py*") if _lists_names(path)})
    return [f"monai_app.{folder.name}" for folder in folders]


def python_page(package: str) -> str:
    """Return the page of a package, which mkdocstrings fills."""
    return page(package, f"::: {package}\n    options:\n      show_root_heading: false")


def _lists_names(path: Path) -> bool:
    statements = ast.parse(path.read_text(encoding="utf8")).body
    targets = [target for each in statements if isinstance(each, ast.Assign) for target in each.targets]
    return any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets)
