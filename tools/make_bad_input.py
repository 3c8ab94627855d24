"""Write `docs/bad_input.md`: run every row of `tests/bad_input/` and put down what the program says.

python tools/make_bad_input.py          # after a change to the rows, or to a message
python tools/make_bad_input.py --check  # name what differs and end with 1; `tests/bad_input` checks the same
"""

import argparse
import difflib
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.bad_input.goods import make_everything
from tests.bad_input.page import PAGE, all_rows, key, written
from tests.bad_input.row import Place
from tests.bad_input.running import run_row, states


def main() -> None:
    """Write, or check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing, end with 1 where something differs")
    check = parser.parse_args().check
    text = written(all_rows(), run_all())
    before = PAGE.read_text(encoding="utf8") if PAGE.is_file() else ""
    for line in difflib.unified_diff(before.splitlines(), text.splitlines(), "before", "now", lineterm="", n=0):
        print(line)
    if not check:
        PAGE.write_text(text, encoding="utf8")
    sys.exit(check and text != before)


def run_all() -> dict[str, str]:
    """Run all rows and return their messages."""
    messages = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        make_everything(folder)
        goods = folder / "goods"
        kept = states(goods)
        for number, row in enumerate(all_rows()):
            try:
                messages[key(row)] = run_row(row, Place(folder / str(number), goods), kept)
            except Exception as error:
                raise SystemExit(f"{key(row)}: {type(error).__name__}: {error}") from error
    return messages


if __name__ == "__main__":
    main()
