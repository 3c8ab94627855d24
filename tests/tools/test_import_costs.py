"""What imports cost is told by library."""

import json
from pathlib import Path

from tests.conftest import CHECKOUT, run_command

RECORDER = CHECKOUT / "tools" / "benchmarks" / "import_costs.py"


def test_a_library_costs_what_its_own_modules_take(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("import sys, outer\nprint(sys.argv, outer.inner.__spec__.loader.path)")
    (tmp_path / "outer.py").write_text("import inner")
    (tmp_path / "inner.py").write_text("import time\nkept = b'1' * 30_000_000\ntime.sleep(0.2)")
    shown = run_command(RECORDER, "costs.json", "program", "a b", cwd=tmp_path, fresh=True).stdout
    assert shown == f"{[str(tmp_path / 'program.py'), 'a b']} {tmp_path / 'inner.py'}\n"
    found = json.loads((tmp_path / "costs.json").read_text())["libraries"]
    assert found["inner"]["mb"] > 29
    assert found["inner"]["seconds"] >= 0.2
    assert found["outer"]["mb"] < 2
    assert found["outer"]["seconds"] < 0.2
