"""The layers of docs/architecture.md: a room imports only rooms below it, and the light ones no torch."""

import ast
from pathlib import Path

from tests.conftest import CHECKOUT, run_command

LAYERS = [
    {"errors", "progress"},
    {"device", "files", "yamlfile"},
    {"domain"},
    {"io", "networks"},
    {"stack"},
    {"phantom", "provenance", "transforms"},
    {"metrics", "pictures"},
    {"inference", "training"},
    {"bundle"},
    {"export"},
    {"label"},
    {"cli"},
]


def imported_rooms(path: Path) -> set[str]:
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text())):
        modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        rooms |= {module.split(".")[1] for module in modules if module.startswith("monai_app.")}
        if isinstance(node, ast.ImportFrom) and node.module == "monai_app":
            rooms |= {alias.name for alias in node.names if not alias.name.startswith("__")}
    return rooms


def test_every_room_imports_only_rooms_below_it() -> None:
    level = {room: n for n, rooms in enumerate(LAYERS) for room in rooms}
    package = CHECKOUT / "monai_app"
    for path in package.rglob("*.py"):
        room = path.relative_to(package).parts[0].removesuffix(".py")
        if room in ("__init__", "__main__"):
            continue
        assert room in level, f"{room} is in no layer"
        for other in imported_rooms(path) - {room}:
            assert level[other] < level[room], f"{path} imports monai_app.{other}"


def test_light_rooms_do_without_torch() -> None:
    rooms = ", ".join(f"monai_app.{room}" for room in ("stack", "phantom", "io"))
    run_command("-c", f"import sys, {rooms}; assert not {{'torch', 'monai'}} & set(sys.modules)", fresh=True)
