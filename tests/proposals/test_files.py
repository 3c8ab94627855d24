"""Proposals as files: other libraries read them, and `annotate` takes them to the slices they are of."""

import shutil
from pathlib import Path

import nrrd
import numpy as np
import pytest
import tifffile

from monai_app.domain.region import Span
from monai_app.errors import AnnotationError, StackError
from monai_app.proposals import Proposal, train_forest
from monai_app.proposals.files import check_file, write_proposals
from monai_app.stack import Stack, annotate
from monai_app.stack.annotations.importing import import_annotations
from tests.bad_input.running import run_line
from tests.proposals.samples import SIDE, TARGET, strokes


@pytest.fixture
def painted(quarters: Stack, tmp_path: Path) -> Stack:
    """A copy whose target slice is painted."""
    copy = Stack.open(shutil.copytree(quarters.path, tmp_path / "quarters.ome.zarr"))
    return annotate(copy, {TARGET: strokes()})


def test_slices_come_back_to_their_places(painted: Stack, tmp_path: Path) -> None:
    reported: list[Proposal] = []
    calls: list[tuple[int, int]] = []
    forest = train_forest(painted)
    target = tmp_path / "proposal.seg.nrrd"
    write_proposals(forest, Span(1, 4), target, progress=lambda *call: calls.append(call), report=reported.append)
    assert [proposal.z for proposal in reported] == [1, 2, 3]
    assert calls == [(0, 3), (1, 3), (2, 3), (3, 3)]
    _, header = nrrd.read(str(target))
    assert [header[f"Segment{n}_Name"] for n in range(4)] == [phase.name for phase in painted.phases]
    done = import_annotations(painted, target, overwrite=True)
    assert done.set == (1, 2, 3)
    for proposal in reported:
        np.testing.assert_array_equal(done.stack.read_annotation(proposal.z), proposal.labels)


def test_what_cannot_be_written_is_refused_before_a_forest_is_trained(painted: Stack, tmp_path: Path) -> None:
    with pytest.raises(StackError, match="ends in none of"):
        check_file(painted, Span(2, 3), tmp_path / "proposal.jpg", overwrite=False)
    with pytest.raises(AnnotationError, match=r"slice 4 of .* is a test slice"):
        check_file(painted, Span(3, 5), tmp_path / "proposal.tif", overwrite=False)


def test_annotations_that_change_meanwhile_are_noticed(painted: Stack, tmp_path: Path) -> None:
    def saved_by_another(proposal: Proposal) -> None:
        annotate(painted, {1: proposal.labels})

    with pytest.raises(StackError, match="annotated while it was read"):
        write_proposals(train_forest(painted), Span(2, 3), tmp_path / "a.tif", report=saved_by_another)
    assert not (tmp_path / "a.tif").exists()


def test_the_command_writes_a_file_that_annotate_takes(painted: Stack, tmp_path: Path) -> None:
    words = ["propose", str(painted.path), "--z", str(TARGET), "-o", "proposal.tif"]
    shown = run_line(words, tmp_path).output
    labels = tifffile.imread(tmp_path / "proposal.tif")
    np.testing.assert_array_equal(labels, train_forest(painted).propose(TARGET).labels)
    with tifffile.TiffFile(tmp_path / "proposal.tif") as file:
        assert file.pages.first.photometric == tifffile.PHOTOMETRIC.PALETTE
    assert shown.startswith("slice 2: matrix 2")
    assert shown.endswith("proposal: proposal.tif\n")
    words = ["annotate", str(painted.path), "--from", "proposal.tif", "--slice", str(TARGET), "--overwrite"]
    assert run_line(words, tmp_path).code == 0
    np.testing.assert_array_equal(painted.reopened().read_annotation(TARGET), labels)


def test_the_command_names_what_is_painted_nowhere(painted: Stack, tmp_path: Path) -> None:
    annotate(painted, {TARGET: np.where(strokes() == 4, 0, strokes())})
    ending = run_line(["propose", str(painted.path), "--z", "1:3", "-o", "proposal.tif"], tmp_path)
    assert ending.output.startswith("painted nowhere, so not proposed: in neighbours\nslice 1: ")
    assert tifffile.imread(tmp_path / "proposal.tif").shape == (2, SIDE, SIDE)
