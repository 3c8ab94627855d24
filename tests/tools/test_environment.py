"""What tools/environment installs, and when; a Python stands in whose pip only says what it was asked for."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT

Source = Callable[..., list[str]]

PROGRAMS = ("bash", "sh", "cat", "chmod", "cp", "dirname", "flock", "mkdir", "rm", "sha256sum", "touch")
"""What the scripts call."""

PYTHON = """#!/bin/sh
case "$*" in
"- ") ;;
"-m venv .venv") mkdir -p .venv/bin && cp "$0" .venv/bin/python && touch .venv/bin/pip && chmod +x .venv/bin/pip ;;
"-m pip install"*) echo "$*" >> asked; [ "$FAILS" != yes ] ;;
esac
"""


@pytest.fixture
def source(tmp_path: Path) -> Source:
    """A function that sources the script in a checkout of its own, and returns what pip was asked to install."""
    (tmp_path / "tools").mkdir()
    for name in ("setup.cfg", "pyproject.toml", "constraints.txt", "tools/environment"):
        shutil.copy(CHECKOUT / name, tmp_path / name)
    (tmp_path / "bin").mkdir()
    for program in PROGRAMS:
        (tmp_path / "bin" / program).symlink_to(str(shutil.which(program)))
    for path, text in (("python", PYTHON), ("tools/install-label", "#!/bin/sh\necho label >> asked\n")):
        (tmp_path / path).write_text(text)
        (tmp_path / path).chmod(0o755)

    def source(name: str, code: int = 0, **variables: str) -> list[str]:
        asked = tmp_path / "asked"
        asked.unlink(missing_ok=True)
        environment = {
            "PATH": str(tmp_path / "bin"),
            "PYTHON": str(tmp_path / "python"),
            **variables,
        }
        script = f"set -euo pipefail; source tools/environment {name}"
        result = subprocess.run(["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert result.returncode == code, result.stderr
        lines = asked.read_text().splitlines() if asked.exists() else []
        return [line.split("constraints.txt ")[-1] for line in lines]

    return source


DEMO = ["--editable ."]
TEST = ["--editable .[test,dev]", "label", "--no-deps --upgrade --target .venv/stock torchvision"]


def test_tests_add_to_what_the_demo_installed_and_nothing_is_installed_twice(source: Source) -> None:
    assert source("demo") == DEMO
    assert source("demo") == []
    assert source("test") == TEST
    assert source("test") == source("demo") == []


def test_tests_install_what_the_demo_needs_first(source: Source) -> None:
    assert source("test") == DEMO + TEST
    assert source("demo") == []


@pytest.mark.parametrize("changed", ["constraints.txt", "setup.cfg", "tools/install-label"])
def test_a_change_of_what_is_to_be_installed_installs_both_again(source: Source, tmp_path: Path, changed: str) -> None:
    source("test")
    with (tmp_path / changed).open("a") as file:
        file.write("# changed\n")
    assert source("demo") == DEMO
    assert source("test") == TEST


def test_an_interrupted_installation_starts_over(source: Source, tmp_path: Path) -> None:
    assert source("demo") == DEMO
    source("test", code=1, FAILS="yes")
    (tmp_path / ".venv" / "half").touch()
    assert source("test") == DEMO + TEST
    assert not (tmp_path / ".venv" / "half").exists()
