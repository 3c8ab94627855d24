import multiprocessing
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monai_app.domain.region import Rect, Span
from monai_app.errors import AnnotationError, ConfigError, StackError
from monai_app.stack import Stack, ingest
from tests.stack.samples import SampleFolder, label_plane, pixels

SHAPE = (7, 11, 13)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> SampleFolder:
    folder = SampleFolder(tmp_path_factory.mktemp("store"))
    for seed, name in enumerate(("ICE", "TLD", "SE")):
        folder.detector(name, pixels(*SHAPE, dtype="uint16", seed=seed))
    folder.annotate({z: label_plane(11, 13, z) for z in (0, 3)}, train=[3], test=[0])
    return folder


@pytest.fixture(scope="module")
def stack(sample: SampleFolder) -> Stack:
    return ingest(sample.write(), sample.target)


@given(
    z=st.integers(0, SHAPE[0] - 1),
    reach=st.integers(0, 9),
    detectors=st.lists(st.sampled_from(["ICE", "TLD", "SE"]), min_size=1, unique=True),
    rows=st.tuples(st.integers(0, 10), st.integers(1, 11)).map(sorted),
    columns=st.tuples(st.integers(0, 12), st.integers(1, 13)).map(sorted),
)
def test_slab_is_a_part_of_the_edge_padded_volume(
    sample: SampleFolder, stack: Stack, z: int, reach: int, detectors: list[str], rows: list[int], columns: list[int]
) -> None:
    rect = Rect(Span(*rows), Span(*columns))
    volume = np.stack(
        [sample.images[name] for name in detectors], axis=1
    )  # slices, detectors: list[str], rows: list[int], columns: list[int]
    padded = np.pad(volume, ((reach, reach), (0, 0), (0, 0), (0, 0)), mode="edge")
    expected = padded[z : z + 2 * reach + 1].reshape(-1, *SHAPE[1:])
    slab = stack.read_slab(z, detectors, 2 * reach + 1, rect)
    assert slab.dtype == np.uint16
    np.testing.assert_array_equal(slab, expected[:, *rect.index])


def test_slab_is_slice_major(sample: SampleFolder, stack: Stack) -> None:
    slab = stack.read_slab(0, ("TLD", "ICE"), 3)
    order = [("TLD", 0), ("ICE", 0), ("TLD", 0), ("ICE", 0), ("TLD", 1), ("ICE", 1)]
    np.testing.assert_array_equal(slab, [sample.images[name][z] for name, z in order])


@pytest.mark.parametrize("slices", [0, 2, -1, 4])
def test_slab_is_odd(stack: Stack, slices: int) -> None:
    with pytest.raises(ConfigError, match=rf"a slab of {slices} slices: must be odd and 1 or more"):
        stack.read_slab(0, ["ICE"], slices)


@pytest.mark.parametrize("z", [-1, 7])
def test_refuses_slices_outside(stack: Stack, z: int) -> None:
    with pytest.raises(StackError, match=rf"slice {z} does not exist; sample\.ome\.zarr has slices 0 to 6"):
        stack.read_slab(z, ["ICE"], 1)


def test_refuses_unknown_detectors(stack: Stack) -> None:
    with pytest.raises(ConfigError, match=r"detector 'ice' does not exist; sample\.ome\.zarr has ICE, TLD, SE"):
        stack.read_slab(0, ["ice"], 1)
    with pytest.raises(ConfigError, match="no detector is requested"):
        stack.read_slab(0, [], 1)


def test_annotation_and_its_window(stack: Stack) -> None:
    rect = Rect(Span(2, 9), Span(5, 6))
    np.testing.assert_array_equal(stack.read_annotation(3, rect), stack.read_annotation(3)[rect.index])
    with pytest.raises(AnnotationError, match=r"slice 4 of .* is not annotated; the annotated slices are 0, 3"):
        stack.read_annotation(4)


def test_open_gives_the_same(stack: Stack) -> None:
    again = Stack.open(str(stack.path))
    for name in ("name", "detectors", "shape", "dtype", "voxel_nm", "phases", "identity", "slice_names", "path"):
        assert getattr(again, name) == getattr(stack, name)
    assert "ICE+TLD+SE, 7 slices of 11 x 13 uint16" in repr(again)


def _sum(stack: Stack) -> int:
    return int(stack.read_slab(3, ["SE"], 3).sum())


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_reads_in_other_processes(stack: Stack, method: str) -> None:
    expected = _sum(stack)
    with multiprocessing.get_context(method).Pool(1) as pool:
        assert pool.map(_sum, [stack]) == [expected]
    assert _sum(pickle.loads(pickle.dumps(stack))) == expected


def test_refuses_what_is_no_store(tmp_path: Path, stack: Stack) -> None:
    with pytest.raises(StackError, match=r"does not exist; give the \.ome\.zarr folder"):
        Stack.open(tmp_path / "none.ome.zarr")
    shutil.copytree(stack.path, tmp_path / "damaged.ome.zarr")
    shutil.rmtree(tmp_path / "damaged.ome.zarr" / "0")
    with pytest.raises(StackError, match=r"is a damaged stack store.*ingest the sample again"):
        Stack.open(tmp_path / "damaged.ome.zarr")


def test_the_store_needs_no_deep_learning_library() -> None:
    code = "import sys, monai_app.stack; print([m for m in ('torch', 'monai', 'ignite') if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert run.stdout == "[]\n"
