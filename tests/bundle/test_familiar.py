"""A model meets other detectors, voxels and grey values than those it was trained on."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from monai_app.bundle.configs.applied import Applied
from monai_app.bundle.model import load_model
from monai_app.bundle.segment import segment
from monai_app.bundle.stacks import warn_if_unfamiliar
from monai_app.errors import ConfigError
from monai_app.stack import Stack, ingest
from tests.conftest import run_command, write_tiny_sample


@pytest.fixture(scope="module")
def renamed(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """The pixels of the tiny stack, whose detector ICE is called SE and comes last; with other voxels."""
    folder = tmp_path_factory.mktemp("renamed")
    description = write_tiny_sample(folder / "sample")
    text = description.read_text().replace("{ICE: ICE, TLD: TLD}", "{TLD: TLD, SE: ICE}").replace("y: 10", "y: 16")
    description.write_text(text)
    return ingest(description, folder / "renamed.ome.zarr")


def test_a_model_tells_of_other_voxels_and_greys_by_name(
    trained: Path, tiny_stack: Stack, renamed: Stack, caplog: pytest.LogCaptureFixture
) -> None:
    spec = load_model(trained).spec
    warn_if_unfamiliar(spec, tiny_stack)
    warn_if_unfamiliar(spec.replaced(training_stacks=[]), renamed)
    assert not caplog.records
    warn_if_unfamiliar(spec.reading({"ICE": "SE"}), renamed)
    (record,) = caplog.records
    assert "the voxels of renamed are 20 x 16 x 10 nm (z, y, x) and those of tiny" in record.getMessage()
    caplog.clear()
    warn_if_unfamiliar(spec.reading({"ICE": "TLD", "TLD": "SE"}), renamed)
    assert "the grey values of SE in renamed differ from those in tiny" in caplog.records[-1].getMessage()


def test_a_detector_in_the_part_of_another_gives_the_labels_of_that_other(
    trained: Path, tiny_stack: Stack, renamed: Stack, tmp_path: Path
) -> None:
    model = load_model(trained)
    own = Stack.open(shutil.copytree(tiny_stack.path, tmp_path / "tiny.ome.zarr"))
    with pytest.raises(ConfigError, match=r"detector 'ICE' of the model does not exist in .* which has TLD, SE"):
        segment(model, renamed.path, "labels", Applied())
    segment(model, renamed.path, "labels", Applied(stand_ins={"ICE": "SE"}))
    segment(model, own.path, "labels", Applied())
    for z in range(8):
        np.testing.assert_array_equal(renamed.read_labels("labels", z), own.read_labels("labels", z))
    assert renamed.label_attributes("labels")["stand_ins"] == {"ICE": "SE"}
    assert "stand_ins" not in own.label_attributes("labels")


def test_the_commands_take_the_option_and_print_a_line_that_does_the_same(trained: Path, renamed: Stack) -> None:
    words = ("-m", "monai_app", "segment", renamed.path, trained, "--labels", "told", "--detector", "ICE=SE", "-v")
    told = run_command(*words)
    assert "WARNING the voxels of renamed" in told.stderr
    assert "--stand_ins" in told.stderr
    np.testing.assert_array_equal(renamed.read_labels("told", 3), renamed.read_labels("labels", 3))


def test_a_stack_with_a_scaling_of_its_own_is_segmented_by_it(trained: Path, tiny_stack: Stack, tmp_path: Path) -> None:
    model = load_model(trained)
    own = Stack.open(shutil.copytree(tiny_stack.path, tmp_path / "tiny.ome.zarr"))
    scaling = model.spec.scaling
    known = [each.replaced(scaling=scaling) for each in model.spec.training_stacks]
    wrong = {"channel_mean": [0.0] * 6, "channel_std": [1.0] * 6}
    by_stack = replace(model, spec=model.spec.replaced(training_stacks=known, **wrong))
    segment(by_stack, own.path, "by_stack", Applied())
    segment(model, own.path, "common", Applied())
    np.testing.assert_array_equal(own.read_labels("by_stack", 3), own.read_labels("common", 3))
    others = [each.replaced(identity="0" * 64) for each in known]
    with pytest.raises(ConfigError, match=r"tiny\.ome\.zarr has no scaling"):
        segment(replace(model, spec=by_stack.spec.replaced(training_stacks=others)), own.path, "no", Applied())
