"""From a stack that nobody labelled to a trained model, through the API alone, with MONAI Label's own client."""

import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import tifffile

from monai_app.stack import Stack, ingest
from tests import warm
from tests.conftest import TINY, as_options, run_command, write_tiny_sample
from tests.label.conftest import Served, finished, serving, volume_of

MODEL = "fibsem_unet_segmentation"


def test_from_an_unlabelled_stack_to_a_trained_model(tmp_path: Path) -> None:
    sample = write_tiny_sample(tmp_path / "sample")
    truth = {z: tifffile.imread(tmp_path / "sample" / "annotations" / f"slice_{z}.tif") for z in (1, 3, 5, 6)}
    sample.write_text(sample.read_text().split("annotations:")[0])
    stack = ingest(sample, tmp_path / "blank.ome.zarr")
    more = {"max_epochs": 12, "steps_per_epoch": 8, "picture_interval": 12, "features": [8, 8, 16, 16, 16, 8]}
    longer = as_options({**TINY, **more})
    words = ("--bundle", MODEL, "--slices", "1,3,5,6", "--test", "6", *longer)
    with serving(stack.path, tmp_path / "home", *words, python=warm.python()) as served:
        refuse_what_is_too_early(served)
        label_all(served, truth)
        labelled = Stack.open(stack.path)
        assert (labelled.train_slices, labelled.test_slices) == ((1, 3, 5), (6,))
        for z, plane in truth.items():
            np.testing.assert_array_equal(labelled.read_annotation(z), plane)
        assert labelled.ingested == stack.identity != labelled.identity

        train(served, {})
        first = predicted(served, 6)
        scores = served.ask("POST", "/scoring/slices?run_sync=true").json()
        assert scores["run"] == "0001"
        assert scores["total"]["test"]["pixel_accuracy"] > 0.75  # the largest phase alone gives 0.6
        run = served.folder / "models" / MODEL / "0001"
        run_command("-m", "monai_app", "evaluate", stack.path, run)
        evaluated = json.loads((run / "eval" / "test" / "scores.json").read_text())
        assert evaluated["pixel_accuracy"] == pytest.approx(scores["total"]["test"]["pixel_accuracy"])
        kept = (served.folder / "models" / MODEL / "0001" / "models" / "model.pt").read_bytes()

        # A second training begins with the first one's weights, takes its place, and leaves it where it is.
        train(served, {"max_epochs": 1})
        assert served.client.info()["models"][MODEL]["run"] == "0002"
        weights = served.folder / "models" / MODEL / "0002" / "models" / "model.pt"
        assert weights.read_bytes() != kept
        assert (served.folder / "models" / MODEL / "0001" / "models" / "model.pt").read_bytes() == kept
        assert (predicted(served, 6) != first).any()

        # The model says where it is least sure; a case that is labelled again becomes unlabelled, then the next sample.
        assert served.ask("DELETE", "/datastore/label?id=tiny_z0003&tag=final").ok
        assert Stack.open(stack.path).train_slices == (1, 5)
        chosen = served.client.next_sample("least_sure", {})
        assert (chosen["id"], chosen["model"]) == ("tiny_z0003", MODEL)
        (top, bottom), (left, right) = chosen["region"]
        assert 0 <= top < bottom <= 96
        assert 0 <= left < right <= 80
        assert 0 < chosen["uncertainty"] < 1

        assert served.ask("POST", f"/batch/infer/{MODEL}", json={"label_tag": "final"}).status_code == 422
        assert served.ask("POST", f"/batch/infer/{MODEL}", json={"max_batch_size": 2}).ok
        assert finished(served, "/batch/infer")["status"] == "DONE"
        assert (
            served.client.datastore()["objects"]["tiny_z0001"]["labels"]["original"]["info"]["params"]["run"] == "0002"
        )
        case = nibabel.Nifti1Image.from_filename(served.client.download_label("tiny_z0001", "original"))
        np.testing.assert_array_equal(np.asarray(case.dataobj)[:, :, 1].T, predicted(served, 1))
        assert Stack.open(stack.path).train_slices == (1, 5)  # predictions are not annotations

        assert served.ask("POST", "/scoring/uncertainty").ok
        assert finished(served, "/scoring/")["status"] == "DONE"


def refuse_what_is_too_early(served: Served) -> None:
    """Before anything is labelled and trained, requests say what to do first."""
    answer = served.ask("POST", f"/infer/{MODEL}?image=tiny_z0001")
    assert (answer.status_code, "train it" in answer.json()["detail"]) == (409, True)
    answer = served.ask("POST", f"/train/{MODEL}")
    assert (answer.status_code, "no label to train on" in answer.json()["detail"]) == (422, True)
    assert served.ask("POST", f"/batch/infer/{MODEL}").status_code == 409
    assert served.ask("POST", "/scoring/slices?run_sync=true").status_code == 409
    assert served.ask("GET", "/train/").status_code == 404


def label_all(served: Served, truth: dict[int, np.ndarray]) -> None:
    """Label what the server proposes until it proposes nothing, as a person would: the middle slice, in the file."""
    seen = []
    while sample := served.client.next_sample("least_sure", {}):
        seen.append(sample["z"])
        case = volume_of(served.ask("GET", f"/datastore/image?image={sample['id']}").content)
        labels = np.zeros(case.shape, np.uint8)
        # Slicer numbers the segments as they stand in its list; here hydrate comes first.
        slicer = np.array([0, 2, 1, 3], np.uint8)
        labels[:, :, sample["z"] - sample["slices"][0]] = slicer[truth[sample["z"]]].T
        path = served.folder.parent / "label.nii.gz"
        nibabel.save(nibabel.Nifti1Image(labels, case.affine), path)
        names = ("hydrate", "pore", "clinker")
        info = [{"name": name, "idx": number} for number, name in enumerate(names, 1)]
        served.client.save_label(sample["id"], str(path), tag="final", params={"label_info": info})
    assert sorted(seen[:3]) == [1, 3, 5]
    assert seen[3:] == [6]  # kept for testing, so last


def train(served: Served, options: dict[str, Any]) -> None:
    """Train and wait for the end."""
    served.client.train_start(MODEL, options)
    task = finished(served, "/train/")
    assert task["status"] == "DONE", "\n".join(task["details"])


def predicted(served: Served, z: int) -> np.ndarray:
    """What the model says of a slice, (rows, columns)."""
    file, _ = served.client.infer(MODEL, f"tiny_z{z:04d}", {})
    return np.asarray(nibabel.Nifti1Image.from_filename(file).dataobj)[:, :, 1].T
