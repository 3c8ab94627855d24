"""Scripts in Bash, with commands that only say what they were given."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT


def run(*words: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    variables = {**os.environ, "PATH": f"{path}:{os.environ['PATH']}"} if path else None
    return subprocess.run(words, cwd=CHECKOUT, env=variables, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("words", [["--frsh"], ["--fresh", "now"]])
def test_the_demo_refuses_what_it_does_not_know(words: list[str]) -> None:
    result = run("tools/demo", *words)
    assert result.returncode == 2
    assert result.stderr == f"tools/demo: {' '.join(words)} is not known; give nothing, or --fresh\n"


@pytest.mark.parametrize(
    ("states", "code", "installs"), [("installed", 0, False), ("installed\nconfig-files", 0, True), ("", 1, True)]
)
def test_a_removed_package_is_installed_again(tmp_path: Path, states: str, code: int, installs: bool) -> None:
    commands = {"dpkg-query": f"printf '{states}\\n'; exit {code}", "id": "echo 0", "apt-get": 'echo "apt-get $1"'}
    for name, text in commands.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    result = run("tools/install-screen", path=tmp_path)
    assert (result.returncode, "apt-get install" in result.stdout) == (0, installs)
