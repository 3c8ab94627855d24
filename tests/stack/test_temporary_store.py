"""A store that lasts until its labels are files: what a stopped call leaves, and when it is used."""

import os
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import tifffile

from monai_app.errors import BusyError
from monai_app.stack import SampleDescription
from monai_app.stack.ingestion.sample import Sample, check_sample
from monai_app.stack.temporary_store import temporary_store
from tests.stack.samples import SampleFolder

HIDDEN = ".labels.segmenting"


@pytest.fixture
def checked(sample: SampleFolder) -> Sample:
    return check_sample(SampleDescription.from_yaml(sample.write()))


def stopped(target: Path, checked: Sample) -> tuple[np.ndarray, list[str]]:
    """Ingest, and be stopped: the first slice, and what was reported."""
    lines: list[str] = []
    with suppress(KeyboardInterrupt), temporary_store(target) as store:
        first = store.ingested(checked, report=lines.append).read_slab(0, ["ICE"], 1)
        raise KeyboardInterrupt
    return first, lines


def test_a_stopped_calls_store_is_used_until_a_file_changes(tmp_path: Path, checked: Sample) -> None:
    target = tmp_path / "labels"
    first, lines = stopped(target, checked)
    assert "MB are free" in lines[0]
    assert (tmp_path / HIDDEN).is_dir()
    again, lines = stopped(target, checked)
    assert lines == [f"temporary store: {tmp_path / HIDDEN / 'images.ome.zarr'}, left by the stopped call"]
    np.testing.assert_array_equal(again, first)
    image = checked.detectors["ICE"].files[0].path
    tifffile.imwrite(image, 255 - tifffile.imread(image))
    os.utime(image, (0, 0))
    other, _ = stopped(target, checked)
    np.testing.assert_array_equal(other, 255 - first)


def test_the_folder_goes_with_success_and_with_a_failure_before_the_store(tmp_path: Path, checked: Sample) -> None:
    target = tmp_path / "labels"
    with pytest.raises(ValueError, match="refused"), temporary_store(target):
        raise ValueError("refused")
    assert not (tmp_path / HIDDEN).exists()
    stopped(target, checked)
    with temporary_store(target) as store:
        assert store.path.is_dir()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    with temporary_store(tmp_path / "labels"), pytest.raises(BusyError, match="by another process"):
        temporary_store(tmp_path / "labels").__enter__()
