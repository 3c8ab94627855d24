"""Progress bars of the commands."""

import pytest

from monai_app.cli.progress import progress_bar


def test_a_bar_is_complete_before_what_comes_next(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("ingest") as progress:
        progress(0, 2)
        assert "ingest:   0%" in capsys.readouterr().err
        progress(2, 2)
        text = capsys.readouterr().err
    assert "2/2" in text
    assert text.endswith("\n")
    assert not capsys.readouterr().err
