import re
import sys
import time
from contextlib import suppress

import pytest

from monai_app.progress import LoggedProgress, byte_size, counted, duration, shown_progress


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *((42.4, "42 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (185, "3 min 05 s"), (3599, "59 min 59 s")),
        *((3600, "1 h 00 min"), (7620, "2 h 07 min")),
    ],
)
def test_durations_are_written_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_noun_agrees_with_its_count() -> None:
    assert [counted(count, "slice") for count in (0, 1, 2)] == ["0 slices", "1 slice", "2 slices"]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that have passed."""
    seconds = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: seconds[0])
    return seconds


def lines_of(clock: list[float], seconds_each: float, total: int, per: int = 1) -> list[str]:
    """The lines about work whose items take so long."""
    lines: list[str] = []
    progress = LoggedProgress("ingest", per=per, report=lines.append)
    for done in range(total + 1):
        progress(done, total)
        clock[0] += seconds_each
    return lines


def test_progress_has_rate_and_time_left(clock: list[float]) -> None:
    assert lines_of(clock, 3.0, 5) == [
        "ingest: 2/5 slices, 3.0 s per slice, 9 s left",
        "ingest: 4/5 slices, 3.0 s per slice, 3 s left",
        "ingest: 5/5 slices, 3.0 s per slice, took 15 s",
    ]
    assert lines_of(clock, 8.0, 1) == ["ingest: 1/1 slice, 8.0 s per slice, took 8 s"]
    assert lines_of(clock, 2.5, 2, per=10) == ["ingest: 0.2/0.2 slices, 25.0 s per slice, took 5 s"]


def test_short_work_is_not_logged_and_long_work_less_often(clock: list[float]) -> None:
    assert lines_of(clock, 0.5, 9) == []
    assert len(lines_of(clock, 1.0, 36_000)) < 600


def test_a_bar_is_for_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    with shown_progress("ingest", "slice", lines.append, interval=0) as progress:
        progress(0, 2)
        progress(2, 2)
    assert capsys.readouterr().err == ""
    assert [line.split(",")[0] for line in lines] == ["ingest: 2/2 slices"]

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with shown_progress("ingest", "slice", lines.append) as progress:
        progress(0, 2)
        assert "ingest:   0%" in capsys.readouterr().err
        progress(2, 2)
        text = capsys.readouterr().err
    assert "2/2" in text
    assert text.endswith("\n")
    assert not capsys.readouterr().err
    assert len(lines) == 1

    with shown_progress("segment", "Mpixel", lines.append, per=1_000_000) as progress:
        progress(0, 2_500_000)
        progress(2_500_000, 2_500_000)
    assert re.search(r"\| 2\.5/2\.5 \[.*Mpixel/s\]", capsys.readouterr().err)


def test_an_error_ends_the_line_of_a_bar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with suppress(KeyboardInterrupt), shown_progress("ingest", "slice", print) as progress:
        progress(0, 2)
        raise KeyboardInterrupt
    assert capsys.readouterr().err.endswith("\n")


def test_there_is_no_bar_without_items(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with shown_progress("time", "variant", print) as progress:
        progress(0, 0)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 KiB"), (1500, "2 KiB"), (3 * 2**20, "3 MiB"), (2**30, "1.0 GiB"), (3 * 2**39, "1536.0 GiB")],
)
def test_sizes_are_in_words(size: int, text: str) -> None:
    assert byte_size(size) == text
