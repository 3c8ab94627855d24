"""The rules of docs/architecture.md: imports point downwards, no files import each other, and files are small."""

import ast
import re
import statistics
from collections import Counter
from graphlib import CycleError, TopologicalSorter
from itertools import chain
from pathlib import Path

from tests.conftest import CHECKOUT, run_command

PACKAGE = CHECKOUT / "monai_app"
FILES = sorted(PACKAGE.rglob("*.py"))
LAYERS = [
    {"artefacts", "errors", "progress"},
    {"names", "storage"},
    {"background", "device", "files", "temporary", "yamlfile"},
    {"domain", "origin"},
    {"io", "networks"},
    {"stack"},
    {"phantom", "provenance", "transforms"},
    {"metrics", "pictures"},
    {"inspection", "meshes", "proposals", "quantities", "viewer"},
    {"inference"},
    {"training"},
    {"bundle"},
    {"active_learning", "export", "study"},
    {"reporting"},
    {"label"},
    {"napari"},
    {"api"},
    {"cli"},
]


def imports_of(path: Path) -> set[Path]:
    """Files of the package that a file imports, in functions too; of a sub-package also those its stub lists."""
    found = set()
    for node in chain.from_iterable(ast.walk(ast.parse(text.read_text(encoding="utf8"))) for text in texts_of(path)):
        if isinstance(node, ast.ImportFrom):
            module = f"{module_of(path.parent)}.{node.module}" if node.level else str(node.module)
            if module.split(".")[0] == "monai_app":
                # A name of a package is a module of it, or stands in its __init__.
                found |= {file_of(f"{module}.{alias.name}") or file_of(module) for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {file_of(alias.name) for alias in node.names if alias.name.split(".")[0] == "monai_app"}
    return {file for file in found if file is not None} - {path}


def texts_of(path: Path) -> list[Path]:
    """A file and its stub. The stub of `monai_app` itself lists what is above all sub-packages, which import it."""
    stub = path.with_suffix(".pyi")
    return [path, stub] if stub.is_file() and path.parent != PACKAGE else [path]


def module_of(folder: Path) -> str:
    return ".".join(folder.relative_to(CHECKOUT).parts)


def file_of(module: str) -> Path | None:
    path = CHECKOUT.joinpath(*module.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def package_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def test_every_sub_package_imports_only_those_below_it() -> None:
    level = {package: n for n, names in enumerate(LAYERS) for package in names}
    for path in FILES:
        package = package_of(path)
        if package in ("__init__", "__main__"):
            continue
        assert package in level, f"{package} is in no layer"
        for other in {package_of(file) for file in imports_of(path)} - {package, "__init__"}:
            assert level[other] < level[package], f"{path} imports monai_app.{other}"


def test_the_table_of_the_page_has_every_sub_package_above_those_it_imports() -> None:
    page = (CHECKOUT / "docs" / "architecture.md").read_text(encoding="utf8")
    cells = re.findall(r"^\| (`monai_app/.*?) \|", page, re.MULTILINE)
    rows = [re.findall(r"`(?:monai_app/)?(\w+)(?:/|\.py)`", cell) for cell in cells]
    place = {package: number for number, names in enumerate(rows) for package in names}
    assert place.keys() == set().union(*LAYERS)
    for path in FILES:
        for other in {package_of(file) for file in imports_of(path)} - {"__init__"}:
            assert place.get(package_of(path), 0) <= place[other], (
                f"{path} imports monai_app.{other}, which stands above"
            )


DECISIONS = CHECKOUT / "docs" / "decisions"


def test_files_that_the_page_and_the_decisions_name_exist() -> None:
    pages = [CHECKOUT / "docs" / "architecture.md", *DECISIONS.rglob("*.md")]
    named = [name for page in pages for name in re.findall(r"`((?:\w+/)+\w+\.py)`", page.read_text(encoding="utf8"))]
    assert len(named) > 20
    assert [name for name in named if not any((root / name).is_file() for root in (PACKAGE, CHECKOUT))] == []


def test_every_decision_is_listed() -> None:
    listed = re.findall(r"\]\((.+?)\)", (DECISIONS / "README.md").read_text(encoding="utf8"))
    assert sorted(listed) == sorted(path.relative_to(DECISIONS).as_posix() for path in DECISIONS.glob("*/*.md"))


def test_no_folder_of_pages_holds_more_than_a_dozen() -> None:
    folders = Counter(page.parent for page in (CHECKOUT / "docs").rglob("*.md") if page.name != "README.md")
    assert {folder.name: count for folder, count in folders.items() if count > 12} == {}


def test_no_files_import_each_other() -> None:
    graph = {path: imports_of(path) for path in FILES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle = " <- ".join(str(path.relative_to(PACKAGE)) for path in error.args[1])
        raise AssertionError(f"{circle}: pass what is needed, or move it below both") from None


def test_no_folder_is_a_heap_of_files() -> None:
    heaps = {folder.name for folder, count in Counter(path.parent for path in FILES).items() if count > 12}
    assert not heaps


def p90(values: list[int]) -> float:
    return statistics.quantiles(values, n=10)[-1]


def test_modules_and_functions_stay_small() -> None:
    texts = {path: path.read_text(encoding="utf8") for path in FILES}
    assert p90([len(text.splitlines()) for text in texts.values()]) <= 300
    nodes = chain.from_iterable(ast.walk(ast.parse(text)) for text in texts.values())
    bodies = [body_lines(node) for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    assert p90(bodies) <= 20


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function below its docstring."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (function.end_lineno or 0) - body[0].lineno + 1 if body else 0


def test_light_sub_packages_do_without_torch() -> None:
    names = ", ".join(
        f"monai_app.{package}"
        for package in (
            "artefacts",
            "stack",
            "phantom",
            "io",
            "domain",
            "inspection",
            "meshes",
            "proposals",
            "quantities",
            "label.datastore.cases",
            "active_learning.stored_scores",
        )
    )
    heavy = {"torch", "monai", "monailabel"}
    run_command("-c", f"import sys, {names}; assert not {heavy} & set(sys.modules)", fresh=True)
