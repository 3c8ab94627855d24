"""Bad input ends in one clean message that says what is wrong, odd input is taken, and the page says so."""

from collections import Counter
from pathlib import Path

import pytest

from tests.bad_input.page import PAGE, all_rows, key, line_of, lines_by_key, written
from tests.bad_input.row import Place, Row
from tests.bad_input.running import States, run_row

ROWS = all_rows()
LINES = dict(lines_by_key(PAGE.read_text(encoding="utf8")))
AGAIN = "run python tools/make_bad_input.py"


@pytest.mark.parametrize("row", ROWS, ids=key)
def test_a_row_ends_as_the_table_says(row: Row, goods: tuple[Path, States], tmp_path: Path) -> None:
    message = run_row(row, Place(tmp_path / "here", goods[0]), goods[1])
    assert LINES.get(key(row)) == line_of(row, message), AGAIN


def test_the_page_has_every_row_once_and_nothing_else() -> None:
    assert [name for name, count in Counter(map(key, ROWS)).items() if count > 1] == []
    assert len(ROWS) >= 300
    assert LINES.keys() == set(map(key, ROWS)), AGAIN
    assert PAGE.read_text(encoding="utf8") == written(ROWS, LINES), AGAIN
