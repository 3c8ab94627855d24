"""What is measured of a run is kept beside it."""

from pathlib import Path

from monai_app.stack import Stack
from monai_app.study import Design, runs_of
from monai_app.study.cache import read_cached, write_cached


def test_what_is_kept_is_of_one_model_and_its_circumstances(tiny_stack: Stack, tmp_path: Path) -> None:
    (run,) = runs_of(Design(variants=("otsu_ICE_1",), seeds=(0,)), [tiny_stack], tmp_path)
    run.folder.mkdir(parents=True)
    run.learned.write_text("one")
    assert read_cached(run, "cost", threads=2) is None
    write_cached(run, "cost", [1.5], threads=2)
    assert read_cached(run, "cost", threads=2) == [1.5]
    assert read_cached(run, "transfer", threads=2) is None
    assert read_cached(run, "cost", threads=4) is None
    run.learned.write_text("another")
    assert read_cached(run, "cost", threads=2) is None
