"""One model of several stacks: what must agree, what each contributes, and what is told of each."""

import copy
import csv
import json
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monai_app.bundle.configs.applied import Applied
from monai_app.bundle.configs.templates import template_path
from monai_app.bundle.model import load_model
from monai_app.bundle.packages.package import package
from monai_app.bundle.run_folder import prepare
from monai_app.bundle.segment import segment
from monai_app.bundle.stacks import check_stacks, common_detectors, from_stacks
from monai_app.domain.model_spec import ModelSpec
from monai_app.errors import AnnotationError, AppError, ConfigError, TargetExistsError
from monai_app.inference import Predictor
from monai_app.stack import Stack, ingest
from monai_app.transforms import LoadSlabd, ScaleSlabd, annotated_items, repeat_items
from tests.conftest import TINY, as_options, made_once, run_command, write_tiny_sample
from tests.inference.models import model_of
from tests.specs import phases_of, spec_of

UNET = template_path("fibsem_unet_segmentation")
CHOSEN = {"detectors": ["ICE", "TLD"], "validation_fraction": 0.25, "validation_block": 32}


@pytest.fixture(scope="session")
def other_stack(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """A darker stack of another shape with the same detectors, in another order, and the same phases."""

    def make(folder: Path) -> None:
        description = write_tiny_sample(folder / "sample", rows=64, columns=96)
        text = description.read_text().replace("{ICE: ICE, TLD: TLD}", "{TLD: TLD, ICE: ICE}")
        description.write_text(text.replace("train: [1, 3, 5]", "train: [1, 3]").replace("test: [6]", "test: [5, 6]"))
        ingest(description, folder / "other.ome.zarr")

    return Stack.open(made_once(tmp_path_factory, "other", make) / "other.ome.zarr")


@dataclass(frozen=True)
class Trained:
    """A run folder and the two stacks that it was trained on."""

    run: Path
    stacks: tuple[Stack, Stack]


@pytest.fixture(scope="module")
def trained_on_two(tiny_stack: Stack, other_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("two")
    copies = [shutil.copytree(stack.path, folder / stack.path.name) for stack in (tiny_stack, other_stack)]
    settings = {**TINY, "max_epochs": 1, "steps_per_epoch": 2}
    run_command("-m", "monai_app", "train", *copies, "--run", folder / "run", "--size", "none", *as_options(settings))
    run_command("-m", "monai_app", "evaluate", *copies, "--run", folder / "run")
    return Trained(folder / "run", (Stack.open(copies[0]), Stack.open(copies[1])))


def test_scores_are_of_every_slice_of_every_stack_and_of_all(trained_on_two: Trained) -> None:
    folder = trained_on_two.run / "eval" / "test"
    scores = json.loads((folder / "scores.json").read_text())
    assert [(each["folder"], each["slices"]) for each in scores["stacks"]] == [("other", [5, 6]), ("tiny", [6])]
    identities = {each["stack_identity"] for each in scores["stacks"]}
    assert identities == {stack.identity for stack in trained_on_two.stacks}
    places = [(part["stack"], part["slice"]) for part in scores["parts"]]
    assert places == [("other", None), ("other", 5), ("other", 6), ("tiny", None), ("tiny", 6)]
    counts = {place: np.array(part["confusion"]) for place, part in zip(places, scores["parts"], strict=True)}
    np.testing.assert_array_equal(counts["tiny", 6] + counts["other", 5] + counts["other", 6], scores["confusion"])
    np.testing.assert_array_equal(counts["tiny", None] + counts["other", None], scores["confusion"])
    labelled = int((trained_on_two.stacks[1].read_annotation(5) > 0).sum())
    assert counts["other", 5].sum() == labelled > 0
    with (folder / "scores.csv").open() as handle:
        rows = [(row["phase"], row["stack"], row["slice"]) for row in csv.DictReader(handle)]
    phases = ["pore", "hydrate", "clinker", "mean"]
    assert rows[:8] == [(name, "", "") for name in phases] + [(name, "other", "") for name in phases]
    pictures = {path.relative_to(folder).as_posix() for path in folder.rglob("slice_*.png")}
    assert pictures == {"tiny/slice_0006.png", "other/slice_0005.png", "other/slice_0006.png"}
    alone = json.loads((folder / "other" / "scores.json").read_text())
    assert (alone["confusion"], alone["role"]) == (counts["other", None].tolist(), "test")


def test_the_model_segments_each_stack_and_a_package_names_all(trained_on_two: Trained, tmp_path: Path) -> None:
    model = load_model(trained_on_two.run)
    for stack in trained_on_two.stacks:
        segment(model, stack.path, "labels", Applied())
        assert set(np.unique(stack.read_labels("labels", 2))) <= {1, 2, 3}
    package(trained_on_two.run, trained_on_two.stacks[1], tmp_path / "model.zip")
    with zipfile.ZipFile(tmp_path / "model.zip") as file:
        metadata = json.loads(file.read("model/configs/metadata.json"))
        readme = file.read("model/docs/README.md").decode()
        assert "model/eval/test/other/slice_0005.png" in file.namelist()
    for stack in trained_on_two.stacks:
        assert stack.identity in metadata["data_source"]
        assert f"with the identity {stack.identity}" in readme
    known = metadata["model_description"]["training_stacks"]
    assert [each["name"] for each in known] == ["tiny", "other"]
    assert (known[0]["voxel_nm"], len(known[0]["greys"]["ICE"])) == ([20, 10, 10], 16)


def test_a_run_is_resumed_with_the_same_stacks_only(trained_on_two: Trained) -> None:
    tiny, other = trained_on_two.stacks
    settings = {**TINY, "max_epochs": 1, "steps_per_epoch": 2}
    assert not prepare(UNET, tiny, trained_on_two.run, more_stacks=[other], settings=settings)
    for first, more in ((tiny, []), (other, [tiny])):
        with pytest.raises(TargetExistsError, match="stack is"):
            prepare(
                UNET, first, trained_on_two.run, more_stacks=more, settings={**settings, "detectors": ["ICE", "TLD"]}
            )


def test_no_slice_that_was_trained_on_tests_whatever_stack_it_is_of(tiny_stack: Stack, other_stack: Stack) -> None:
    paths = [str(tiny_stack.path), str(other_stack.path)]
    seen = [{"identity": tiny_stack.identity, "slices": [1]}, {"identity": other_stack.identity, "slices": [5]}]
    with pytest.raises(AnnotationError, match=r"trained on slice 5 of .*other\.ome\.zarr"):
        annotated_items(paths, "test", None, seen)
    found = [(item["image"], item["z"]) for item in annotated_items(paths, "test", None, seen[:1])]
    assert found == [(paths[0], 6), (paths[1], 5), (paths[1], 6)]


def test_crops_come_from_every_stack_equally_often_or_from_every_slice() -> None:
    items = [{"image": image, "z": z} for image, z in (("a", 1), ("a", 3), ("a", 5), ("b", 2))]
    drawn = [f"{item['image']}{item['z']}" for item in repeat_items(items, 8)]
    assert drawn == ["a1", "b2", "a3", "b2", "a5", "b2", "a1", "b2"]
    assert [item["z"] for item in repeat_items(items, 5, balanced=False)] == [1, 3, 5, 2, 1]


def grey(stack: Stack, detector: str, slices: tuple[int, ...]) -> np.ndarray:
    return np.concatenate([stack.read_slab(z, [detector], 1).ravel() for z in slices]).astype(float)


def test_one_scaling_is_measured_over_all_stacks_or_one_of_each(tiny_stack: Stack, other_stack: Stack) -> None:
    stacks = [tiny_stack, other_stack]
    common, each = (from_stacks(stacks, {**CHOSEN, "scaling_of": way}) for way in ("common", "stack"))
    pooled = np.concatenate([grey(tiny_stack, "ICE", (1, 3, 5)), grey(other_stack, "ICE", (1, 3))])
    assert common["scaling"]["ICE"] == pytest.approx({"mean": pooled.mean(), "std": pooled.std()}, abs=1e-3)
    assert [item.get("scaling") for item in common["training_stacks"]] == [None, None]
    assert each["scaling"] == common["scaling"]
    own = grey(other_stack, "TLD", (1, 3))
    assert each["training_stacks"][1]["scaling"]["TLD"] == pytest.approx(
        {"mean": own.mean(), "std": own.std()}, abs=1e-3
    )
    assert "scaling" not in from_stacks([tiny_stack], {**CHOSEN, "scaling_of": "stack"})["training_stacks"][0]


def scaled_by_stack(*stacks: Stack) -> ModelSpec:
    found = from_stacks(stacks, {**CHOSEN, "scaling_of": "stack"})
    return spec_of(["ICE", "TLD"], 1, scaling=found["scaling"], training_stacks=found["training_stacks"])


def test_a_slab_gets_the_scaling_of_its_stack_and_another_stack_has_none(tiny_stack: Stack, other_stack: Stack) -> None:
    dark = copy.copy(other_stack)
    spec = scaled_by_stack(tiny_stack, dark)
    for stack, z in ((tiny_stack, (1, 3, 5)), (other_stack, (1, 3))):
        items: list[Any] = [{"image": str(stack.path), "z": each} for each in z]
        slabs = [ScaleSlabd("image", spec)(LoadSlabd("image", spec)(item))["image"] for item in items]
        pixels = np.stack(slabs)
        np.testing.assert_allclose(pixels.mean(axis=(0, 2, 3)), 0, atol=1e-4)
        np.testing.assert_allclose(pixels.std(axis=(0, 2, 3)), 1, atol=1e-4)
    unknown = scaled_by_stack(tiny_stack, dark).replaced(
        training_stacks=[each.replaced(identity="0" * 64) for each in spec.training_stacks]
    )
    with pytest.raises(ConfigError, match=r"tiny\.ome\.zarr has no scaling.*scaling_of=common"):
        LoadSlabd("image", unknown)({"image": str(tiny_stack.path), "z": 1})


def test_a_kept_network_has_one_scaling(tiny_stack: Stack, other_stack: Stack, tmp_path: Path) -> None:
    model, own = model_of(tmp_path / "run"), scaled_by_stack(tiny_stack, other_stack)
    predictor = Predictor(model.described_by(model.spec.replaced(training_stacks=own.training_stacks)))
    with pytest.raises(ConfigError, match="scaling of each of its training stacks"):
        list(predictor.predict(tiny_stack, [2]))


def changed(stack: Stack, **attributes: Any) -> Stack:
    other = copy.copy(stack)
    other.__dict__.update({"path": stack.path.with_name("changed.ome.zarr"), "ingested": "f" * 64, **attributes})
    return other


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"ingested": None}, "are the same stack"),
        ({"path": Path("/elsewhere/Tiny.ome.zarr")}, "have the same name"),
        ({"dtype": np.dtype(np.uint16)}, "uint8 and those of .* are uint16"),
        ({"phases": phases_of(["hydrate", "pore", "clinker"])}, r"\['hydrate', 'pore', 'clinker'\]: they must agree"),
        ({"phases": phases_of(["pore", "hydrate"])}, "they must agree in name and order"),
        ({"detectors": ("ICE", "SE")}, "detector 'TLD' does not exist in .* ICE, SE"),
        ({"shape": (1, 96, 80)}, "has 1 slice,"),
    ],
)
def test_stacks_that_do_not_go_together_are_refused_by_name(
    attributes: dict[str, Any], message: str, tiny_stack: Stack
) -> None:
    given = {name: tiny_stack.ingested if value is None else value for name, value in attributes.items()}
    with pytest.raises(AppError, match=message):
        check_stacks([tiny_stack, changed(tiny_stack, **given)], ["ICE", "TLD"], 3)


def test_one_stack_is_scored_once_and_two_have_two_names(trained_on_two: Trained, tmp_path: Path) -> None:
    stack, other = trained_on_two.stacks
    again = shutil.copytree(stack.path, tmp_path / "again.ome.zarr")
    namesake = shutil.copytree(other.path, tmp_path / stack.path.name)
    for path, message in ((again, "are the same stack; give each"), (namesake, "have the same name, so their scores")):
        words = ("evaluate", stack.path, path, "--run", trained_on_two.run)
        refused = run_command("-m", "monai_app", *words, check=False)
        assert (refused.returncode, message in refused.stderr) == (3, True)


def test_voxels_of_other_sizes_are_a_warning(tiny_stack: Stack, caplog: pytest.LogCaptureFixture) -> None:
    check_stacks([tiny_stack, changed(tiny_stack, voxel_nm=(29, 10, 7))], ["ICE"], 1)
    assert not caplog.records
    check_stacks([tiny_stack, changed(tiny_stack, voxel_nm=(20, 10, 6))], ["ICE"], 1)
    assert "20 x 10 x 10 nm (z, y, x) and those of" in caplog.text
    assert "a factor of 1.67 in size" in caplog.text


def test_detectors_that_one_stack_lacks_are_the_users_choice(tiny_stack: Stack, other_stack: Stack) -> None:
    assert common_detectors([tiny_stack, other_stack]) == ["ICE", "TLD"]
    with pytest.raises(ConfigError, match="give --detectors ICE to use those that all stacks have"):
        common_detectors([tiny_stack, changed(tiny_stack, detectors=("ICE", "SE"))])
    with pytest.raises(ConfigError, match="train on one stack only"):
        common_detectors([tiny_stack, changed(tiny_stack, detectors=("SE",))])
