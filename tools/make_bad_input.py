"""Write `docs/reference/bad_input.md`: run every row of `tests/bad_input/` and record the messages.

python tools/make_bad_input.py          # after a change to the rows, or to a message
python tools/make_bad_input.py serve    # run the rows of this command alone
python tools/make_bad_input.py --check  # name what differs and end with 1; `tests/bad_input` checks the same
"""

import argparse
import difflib
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.bad_input.goods import make_everything
from tests.bad_input.page import HEADINGS, PAGE, all_rows, key, line_of, lines_by_key, written
from tests.bad_input.row import Place, Row
from tests.bad_input.running import run_row, states


def main() -> None:
    """Write, or check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commands", nargs="*", help="commands whose rows are run; all where none is named")
    parser.add_argument("--check", action="store_true", help="change nothing, end with 1 where something differs")
    arguments = parser.parse_args()
    before = PAGE.read_text(encoding="utf8") if PAGE.is_file() else ""
    rows = [row for row in all_rows() if row.command in (arguments.commands or HEADINGS)]
    text = written(all_rows(), {**dict(lines_by_key(before)), **run_all(rows)})
    for line in difflib.unified_diff(before.splitlines(), text.splitlines(), "before", "now", lineterm="", n=0):
        print(line)
    if not arguments.check:
        PAGE.write_text(text, encoding="utf8")
    sys.exit(arguments.check and text != before)


def run_all(rows: list[Row]) -> dict[str, str]:
    """Run rows and return their lines of the page by their keys; end with a list of the rows that fail."""
    lines, failures = {}, []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        make_everything(folder)
        goods = folder / "goods"
        kept = states(goods)
        for number, row in enumerate(rows):
            try:
                lines[key(row)] = line_of(row, run_row(row, Place(folder / str(number) / "here", goods), kept))
            except Exception as error:
                failures.append(f"{key(row)}: {type(error).__name__}: {error}")
    if failures:
        raise SystemExit("\n".join(failures))
    return lines


if __name__ == "__main__":
    main()
