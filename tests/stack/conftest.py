from pathlib import Path

import pytest

from tests.stack.samples import REAL_DATA, SampleFolder, label_plane, pixels


@pytest.fixture
def sample(tmp_path: Path) -> SampleFolder:
    """Two detectors, 12 slices of 20 x 33, slices 2 and 10 train and 5 tests."""
    folder = SampleFolder(tmp_path)
    folder.detector("ICE", pixels(12, 20, 33, seed=1))
    folder.detector("TLD", pixels(12, 20, 33, seed=2))
    folder.annotate({z: label_plane(20, 33, z) for z in (2, 5, 10)}, train=[2, 10], test=[5])
    return folder


@pytest.fixture
def real_data() -> Path:
    if not REAL_DATA.is_dir():
        pytest.skip(f"real images are not at {REAL_DATA}")
    return REAL_DATA
