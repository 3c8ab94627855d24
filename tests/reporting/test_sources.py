"""What a page is made of is recognised, and what is not given or not clear is asked for."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from monai_app.errors import AppError, ConfigError
from monai_app.reporting.agreement import check_agreement, remarks
from monai_app.reporting.sources import Sources, read_sources
from monai_app.stack import Stack, annotate
from tests.reporting.conftest import Given


def test_sources_are_recognised_in_any_order(given: Given) -> None:
    found = read_sources([given.quantities, given.store, given.run])
    assert found.run is not None
    assert found.run.scores is not None
    assert found.labels is not None
    assert found.quantities is not None
    assert found.labels.name == "unet"
    assert list(found.labels.slices) == list(range(8))
    assert found.quantities.document["labels"]["name"] == "unet"


@pytest.mark.parametrize(
    ("paths", "labels", "says"),
    [
        (["nowhere"], None, r"nowhere does not exist: a run folder"),
        (["."], None, r"is none of these: a run folder"),
        (["RUN", "RUN"], None, "is a run folder, and so is"),
        (["STORE"], "none", "--labels none: .* has no finished label image of that name; it has unet"),
        (["RUN"], "unet", "--labels unet: no store is given"),
    ],
)
def test_what_is_unknown_or_given_twice_is_refused(
    given: Given, tmp_path: Path, paths: list[str], labels: str | None, says: str
) -> None:
    known = {"RUN": given.run, "STORE": given.store, ".": tmp_path}
    with pytest.raises(ConfigError, match=says):
        read_sources([known.get(path, Path(path)) for path in paths], labels)


def test_of_several_label_images_one_is_to_be_named(given: Given, tmp_path: Path) -> None:
    store = Path(shutil.copytree(given.store, tmp_path / "tiny.ome.zarr"))
    stack = Stack.open(store)
    stack.write_labels("other", (np.ones(stack.shape[1:], np.uint8) for _ in range(stack.shape[0])))
    with pytest.raises(ConfigError, match=re.escape("unet (by run), other (by unknown); choose one with --labels")):
        read_sources([store])
    own = read_sources([store], "other")
    assert own.labels is not None
    assert own.labels.name == "other"
    with pytest.raises(ConfigError, match="the labels 'other' have no record of their model"):
        check_agreement(Sources(read_sources([given.run]).run, own.store))
    with pytest.raises(ConfigError, match="was measured on labels 'unet', but the page is about 'other'"):
        check_agreement(Sources(None, own.store, read_sources([given.quantities]).quantities))


def test_a_store_without_labels_is_a_source(tiny_stack: Stack) -> None:
    found = read_sources([tiny_stack.path])
    assert found.store is not None
    assert found.labels is None


def other_weights(given: Given, folder: Path) -> None:
    weights = folder / "run" / "models" / "model.pt"
    weights.write_bytes(weights.read_bytes() + b"more")


def calibrated_since(given: Given, folder: Path) -> None:
    path = folder / "run" / "configs" / "metadata.json"
    document = json.loads(path.read_text())
    document["calibration"]["temperature"] *= 2
    path.write_text(json.dumps(document))


def damaged_pooled(given: Given, folder: Path) -> None:
    path = folder / "run" / "eval" / "test" / "scores.json"
    document = json.loads(path.read_text())
    del document["stacks"]
    path.write_text(json.dumps(document))


def damaged_stack(given: Given, folder: Path) -> None:
    (folder / "run" / "eval" / "test" / "tiny" / "scores.json").write_text("{")


def never_scored(given: Given, folder: Path) -> None:
    shutil.rmtree(folder / "run" / "eval" / "test")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (other_weights, "belong to other weights"),
        (calibrated_since, "calibrated after it was scored"),
        (never_scored, "was not scored"),
        (damaged_pooled, "are damaged: run `monai-app evaluate` again"),
        (damaged_stack, "are damaged: run `monai-app evaluate` again"),
    ],
)
def test_scores_of_other_weights_are_omitted_with_a_note(
    given: Given, tmp_path: Path, change: Callable[[Given, Path], None], says: str
) -> None:
    shutil.copytree(given.run, tmp_path / "run")
    change(given, tmp_path)
    run = read_sources([tmp_path / "run"]).run
    assert run is not None
    assert run.scores is None
    assert says in run.unscored


def test_what_belongs_together_is_taken(given: Given, sources: Sources) -> None:
    check_agreement(sources)
    assert list(remarks(sources)) == []
    check_agreement(read_sources([given.run, given.quantities]))


def test_annotations_changed_since_scoring_are_a_remark(given: Given, tmp_path: Path) -> None:
    stack = Stack.open(shutil.copytree(given.store, tmp_path / "tiny.ome.zarr"))
    annotate(stack, {6: stack.read_annotation(6) % 3 + 1}, role="test")
    (remark,) = remarks(read_sources([given.run, stack.path]))
    assert remark.startswith("Annotations of tiny changed after the model was scored")


def test_labels_and_quantities_of_other_weights_are_refused(given: Given, tmp_path: Path) -> None:
    shutil.copytree(given.run, tmp_path / "run")
    other_weights(given, tmp_path)
    for other in (given.store, given.quantities):
        with pytest.raises(ConfigError, match=r"labels 'unet' were predicted with weights .* its scores do not apply"):
            check_agreement(read_sources([tmp_path / "run", other]))


def measured_elsewhere(document: dict[str, dict[str, object]]) -> None:
    document["stack"]["ingested"] = "0"


def measured_before(document: dict[str, dict[str, object]]) -> None:
    document["labels"]["made_by"] = {"weights_sha256": "0"}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (measured_elsewhere, "was not measured on"),
        (measured_before, "on another segmentation"),
    ],
)
def test_quantities_of_other_labels_are_refused(
    given: Given, tmp_path: Path, change: Callable[[object], None], says: str
) -> None:
    shutil.copytree(given.quantities, tmp_path / "quantities")
    path = tmp_path / "quantities" / "quantities.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    with pytest.raises(ConfigError, match=says):
        check_agreement(read_sources([given.store, tmp_path / "quantities"]))


def test_quantities_of_labels_that_were_replaced_are_refused(given: Given, tmp_path: Path) -> None:
    stack = Stack.open(shutil.copytree(given.store, tmp_path / "tiny.ome.zarr"))
    made = stack.label_attributes("unet")
    planes = [np.full(stack.shape[1:], 2, np.uint8)] * stack.shape[0]
    stack.write_labels("unet", planes, attributes=made, overwrite=True)
    with pytest.raises(ConfigError, match="on another segmentation"):
        check_agreement(read_sources([stack.path, given.quantities]))
    shutil.copytree(given.quantities, tmp_path / "quantities")
    path = tmp_path / "quantities" / "quantities.json"
    document = json.loads(path.read_text())
    del document["labels"]["sha256"]
    path.write_text(json.dumps(document))
    earlier = read_sources([stack.path, tmp_path / "quantities"])
    check_agreement(earlier)
    assert list(remarks(earlier)) == [
        "quantities.json was written by an earlier version without a checksum of the labels, so later changes of the "
        "labels would go unnoticed."
    ]


@pytest.mark.parametrize(
    ("at", "says"),
    [
        (("phases", 0, "colour"), r"quantities\.json.*'colour' is missing; run monai-app quantify again"),
        (("measures", "fraction", "quantities", "volume_fraction", "pore", "unit"), "'unit' is missing"),
        (("measures", "chords", "figures", 0, "curves"), "'curves' is missing"),
        (("region",), "stack, labels and region do not belong together"),
    ],
)
def test_quantities_that_lack_something_are_refused(
    given: Given, tmp_path: Path, at: tuple[str | int, ...], says: str
) -> None:
    document = part = json.loads((given.quantities / "quantities.json").read_text())
    for key in at[:-1]:
        part = part[key]
    del part[at[-1]]
    (tmp_path / "quantities.json").write_text(json.dumps(document))
    with pytest.raises(ConfigError, match=says):
        read_sources([tmp_path])


def test_damaged_sources_are_named(given: Given, tmp_path: Path) -> None:
    (tmp_path / "quantities").mkdir()
    (tmp_path / "quantities" / "quantities.json").write_text("{")
    with pytest.raises(ConfigError, match=r"quantities\.json is damaged"):
        read_sources([tmp_path / "quantities"])
    shutil.copytree(given.run, tmp_path / "run", ignore=shutil.ignore_patterns("model.pt"))
    with pytest.raises(AppError, match="has no trained weights"):
        read_sources([tmp_path / "run"])
