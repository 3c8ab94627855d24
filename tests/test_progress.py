import pytest

from monai_app.progress import LoggedProgress, duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *((42.4, "42 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (185, "3 min 05 s"), (3599, "59 min 59 s")),
        *((3600, "1 h 00 min"), (7620, "2 h 07 min")),
    ],
)
def test_durations_are_written_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_progress_is_logged_with_rate_and_time_left(caplog: pytest.LogCaptureFixture) -> None:
    progress = LoggedProgress("ingest", interval=0)
    with caplog.at_level("INFO"):
        for done in range(4):
            progress(done, 3)
    assert len(caplog.messages) == 3
    assert caplog.messages[-1].startswith("ingest: 3/3 slices, ")
    assert caplog.messages[-1].endswith("0 s left")
