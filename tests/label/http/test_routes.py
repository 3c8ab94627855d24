"""What a person's client uses, over HTTP and by MONAI Label's own client, on a server of both networks."""

import gzip
import hashlib
import json
import shutil
import threading
import time
from pathlib import Path

import nibabel
import numpy as np
import pytest
import requests

from monai_app.cli import app as command_line
from monai_app.stack import Stack
from tests.conftest import run_command
from tests.label.conftest import Served, as_nifti, volume_of
from tests.label.servers import wait_for

CASES = {f"tiny_z{z:04d}" for z in range(8)}
COLOURS = {"pore": [32, 48, 79], "hydrate": [143, 179, 217], "clinker": [213, 94, 0]}


def labels_of(case: nibabel.Nifti1Image, z: int) -> np.ndarray:
    """(rows, columns) of slice z in a volume file with the axes x, y, z."""
    return np.asarray(case.dataobj)[:, :, z].T


def test_info_names_phases_colours_and_models(served: Served) -> None:
    info = served.client.info()
    assert info["labels"] == ["pore", "hydrate", "clinker"]
    assert info["label_colors"] == COLOURS
    assert set(info["models"]) == set(info["trainers"]) == {"trained", "sensor3d"}
    for model in info["models"].values():
        assert model["labels"] == {"pore": 1, "hydrate": 2, "clinker": 3}
        assert model["label_colors"] == COLOURS
        assert (model["type"], model["dimension"]) == ("segmentation", 3)
    assert next(iter(info["strategies"])) == "least_sure"
    assert set(info["scoring"]) == {"slices", "uncertainty"}
    assert (info["datastore"]["completed"], info["datastore"]["label_tags"]["final"]) == (4, 4)
    assert set(served.client.datastore()["objects"]) >= CASES


@pytest.mark.parametrize("model", ["trained", "sensor3d"])
def test_the_labels_are_those_of_the_command_line(
    model: str, served: Served, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    run: Path = request.getfixturevalue("trained" if model == "trained" else "trained_sensor3d")
    stack = shutil.copytree(served.stack, tmp_path / "copy.ome.zarr")
    command_line(["segment", str(stack), str(run), "--labels", "here"], standalone_mode=False)
    expected = Stack.open(stack)
    for z in (0, 3, 7):  # both ends, where slices are repeated, and between
        file, told = served.client.infer(model, f"tiny_z{z:04d}", {"whole_slab": True})
        case = nibabel.Nifti1Image.from_filename(file)
        first = max(z - 1, 0)
        assert case.shape == (80, 96, 3 if z == 3 else 2)
        for index in range(case.shape[2]):
            np.testing.assert_array_equal(labels_of(case, index), expected.read_labels("here", first + index))
        own = nibabel.Nifti1Image.from_filename(served.client.infer(model, f"tiny_z{z:04d}", {})[0])
        np.testing.assert_array_equal(labels_of(own, z - first), labels_of(case, z - first))
        # What a person did not look at is not to be submitted: the other slices are left unlabelled.
        assert not np.delete(np.asarray(own.dataobj), z - first, axis=2).any()
        assert told["label_names"] == {"pore": 1, "hydrate": 2, "clinker": 3}
        assert told["label_colors"] == COLOURS


def test_a_volume_sent_along_gives_the_labels_of_the_stack(served: Served) -> None:
    stack = Stack.open(served.stack)
    pixels = np.stack([stack.read_slab(z, stack.detectors, 1) for z in range(8)])  # z, detectors, rows, columns
    affine = np.diag([-0.01, -0.01, 0.02, 1])
    whole = as_nifti(pixels.transpose(3, 2, 0, 1), affine)
    answer = served.ask("POST", "/infer/trained?output=image", files={"file": ("any.nii.gz", whole)})
    sent = volume_of(answer.content)
    np.testing.assert_allclose(sent.affine, affine, atol=1e-6)
    whole_slab = {"params": '{"whole_slab": true}'}
    case = volume_of(served.ask("POST", "/infer/trained?image=tiny_z0003&output=image", data=whole_slab).content)
    for z in (2, 3, 4):
        np.testing.assert_array_equal(labels_of(sent, z), labels_of(case, z - 2))
    # The same as a session, as 3D Slicer sends what is not on the server, and as an upload that stays.
    whole.seek(0)
    session = served.ask("PUT", "/session/", files={"files": ("own.nii.gz", whole)}).json()["session_id"]
    assert served.ask("GET", f"/session/{session}").ok
    again = served.ask("POST", f"/infer/trained?session_id={session}&output=image")
    assert again.content == answer.content
    assert served.ask("DELETE", f"/session/{session}").ok
    assert served.ask("GET", f"/session/{session}").status_code == 404
    whole.seek(0)
    assert served.ask("PUT", "/datastore/image?image=own", files={"file": ("x.nii.gz", whole)}).json() == {
        "image": "own"
    }
    assert served.ask("POST", "/infer/trained?image=own&output=image").content == answer.content
    np.testing.assert_array_equal(
        np.asarray(volume_of(served.ask("GET", "/datastore/image?image=own").content).dataobj),
        pixels.transpose(3, 2, 0, 1),
    )
    label = as_nifti(np.ones((80, 96, 8), np.uint8), affine)
    assert served.ask("PUT", "/datastore/label?image=own&tag=mine", files={"label": ("l.nii.gz", label)}).ok
    assert (np.asarray(volume_of(served.ask("GET", "/datastore/label?label=own&tag=mine").content).dataobj) == 1).all()
    assert served.ask("DELETE", "/datastore/image?id=own").ok
    assert served.ask("GET", "/datastore/image?image=own").status_code == 404
    assert served.ask("GET", "/datastore/label?label=own&tag=mine").status_code == 404


def test_images_and_labels_are_downloaded_as_they_are_in_the_stack(served: Served) -> None:
    stack = Stack.open(served.stack)
    case = volume_of(served.ask("GET", "/datastore/image?image=tiny_z0003").content)
    np.testing.assert_allclose(np.abs(np.diag(case.affine)[:3]), [0.01, 0.01, 0.02], rtol=1e-6)  # micrometres
    for index, z in enumerate((2, 3, 4)):
        np.testing.assert_array_equal(labels_of(case, index), stack.read_slab(z, ["ICE"], 1)[0])
    label = nibabel.Nifti1Image.from_filename(served.client.download_label("tiny_z0003", "final"))
    np.testing.assert_array_equal(labels_of(label, 1), stack.read_annotation(3))
    assert not labels_of(label, 0).any()  # slice 2 is not annotated
    info = served.ask("GET", "/datastore/image/info?image=tiny_z0003").json()
    assert (info["z"], info["slices"], info["role"]) == (3, [2, 5], "train")
    assert served.ask("GET", "/datastore/image/info?image=tiny_z0006").json()["role"] == "test"
    checksum = served.ask("POST", "/activelearning/first").json()["checksum"]
    content = served.ask("GET", "/datastore/image?image=tiny_z0000").content
    assert checksum == f"SHA256:{hashlib.sha256(content).hexdigest()}"  # by which 3D Slicer knows a file that it has
    assert served.ask("GET", "/datastore/label?label=tiny_z0002&tag=final").status_code == 404
    everything = served.client.datastore()["objects"]
    assert [name for name in everything if name in CASES] == sorted(CASES)
    assert served.ask("GET", "/datastore/?output=train").json()[0] == {"image": "tiny_z0001", "label": "tiny_z0001"}
    wait_for(lambda: not served.of_requests(), 20)


def test_the_next_sample_is_one_without_labels(served: Served) -> None:
    for strategy in ("least_sure", "first", "random"):
        chosen = served.client.next_sample(strategy, {})
        assert chosen["z"] in (0, 2, 4, 7)
        assert chosen["id"] == f"tiny_z{chosen['z']:04d}"
        assert "path" not in chosen  # a client on this machine would open it
    assert served.ask("POST", "/activelearning/cleverest").status_code == 404


def test_slices_are_scored_against_what_was_labelled(served: Served) -> None:
    found = served.ask("POST", "/scoring/slices?run_sync=true", json={"model": "trained"}).json()
    assert set(found["slices"]) == {"1", "3", "5", "6"}
    assert set(found["total"]) == {"train", "test"}
    stack = Stack.open(served.stack)
    case = volume_of(served.ask("POST", "/infer/trained?image=tiny_z0006&output=image").content)
    truth, labels = stack.read_annotation(6), labels_of(case, 1)
    right = float((labels == truth)[truth > 0].mean())
    assert found["slices"]["6"]["pixel_accuracy"] == pytest.approx(right)
    assert found["total"]["test"]["pixel_accuracy"] == pytest.approx(right)
    assert served.ask("GET", "/datastore/image/info?image=tiny_z0006").json()["score"]["role"] == "test"


def test_clear_errors_and_the_next_request_works(served: Served) -> None:
    pixels = np.zeros((80, 96, 2), np.uint8)
    one, three = as_nifti(pixels, np.eye(4)), as_nifti(np.zeros((80, 96, 2, 3), np.uint8), np.eye(4))
    sixteen = as_nifti(np.full((80, 96, 2, 2), 300, np.uint16), np.eye(4))
    truncated = gzip.compress(nibabel.Nifti1Image(pixels, np.eye(4)).to_bytes()[:5000])
    for status, words, path, sent in (
        (404, "no model 'other'", "/infer/other?image=tiny_z0001", None),
        (404, "no image 'nothing'", "/infer/trained?image=nothing", None),
        (422, "Neither Image nor File", "/infer/trained", None),
        (404, "no session", "/infer/trained?session_id=none", None),
        (422, "1 detector", "/infer/trained", ("a.nii.gz", one)),
        (422, "3 detector", "/infer/trained", ("a.nii.gz", three)),
        (422, "uint16", "/infer/trained", ("a.nii.gz", sixteen)),
        (422, "truncated", "/infer/trained", ("a.nii.gz", truncated)),
        (422, "not a volume", "/infer/trained", ("a.npy", b"\x93NUMPY")),
        (422, "cannot be read", "/infer/trained", ("a.nii.gz", b"not a volume")),
    ):
        answer = served.ask("POST", path, files={"file": sent} if sent else None)
        assert (answer.status_code, words in answer.json()["detail"]) == (status, True), answer.text
        assert str(served.folder.parent) not in answer.text
    for params in ("no json", "[1]", "null", "[" * 10_000):
        assert served.ask("POST", "/infer/trained?image=tiny_z0001", data={"params": params}).status_code == 422
    assert served.ask("POST", "/infer/trained?image=tiny_z0001&output=json").json()["run"] == "trained"
    wait_for(lambda: not served.of_requests(), 20)


def test_inferences_queue_up_to_a_bound(served: Served) -> None:
    answers: list[requests.Response] = []
    whole = as_nifti(np.random.default_rng(0).integers(0, 255, (80, 96, 10, 2), dtype=np.uint8), np.eye(4)).getvalue()

    def infer() -> None:
        answers.append(served.ask("POST", "/infer/sensor3d?output=json", files={"file": ("a.nii.gz", whole)}))

    threads = [threading.Thread(target=infer) for _ in range(8)]
    for thread in threads:
        thread.start()
    waits = []
    while any(thread.is_alive() for thread in threads):
        begin = time.monotonic()
        assert served.ask("GET", "/info/").ok
        waits.append(time.monotonic() - begin)
    for thread in threads:
        thread.join()
    refused = [answer for answer in answers if answer.status_code == 503]
    assert len(answers) == 8
    assert {answer.status_code for answer in answers} == {200, 503}
    assert len(answers) - len(refused) >= 3  # one that runs, two that wait
    assert refused[0].headers["Retry-After"]
    assert "--waiting" in refused[0].json()["detail"]
    assert np.median(waits) < sum(waits) / 10  # of the three inferences or more, none was waited for
    assert served.ask("POST", "/infer/trained?image=tiny_z0001").ok


def test_the_interface_is_that_of_monai_label_and_says_what_may_be_sent(served: Served) -> None:
    """Paths and parameters are MONAI Label's, so that its clients work; what is left out is left out knowingly."""
    ours = served.ask("GET", "/openapi.json").json()
    code = (
        "import json, warnings; warnings.simplefilter('ignore'); import monailabel.app as a; "
        "print('OPENAPI' + json.dumps(a.app.openapi()['paths']))"
    )
    theirs = json.loads(run_command("-c", code).stdout.split("OPENAPI")[1])
    left_out = {path for path in theirs if path.startswith(("/model/", "/logs/", "/infer/wsi"))}
    assert set(theirs) - set(ours["paths"]) == left_out | {"/datastore/dataset"}
    assert set(ours["paths"]) <= set(theirs)
    for path, methods in ours["paths"].items():
        for method, described in methods.items():
            names = {entry["name"] for entry in described.get("parameters", [])}
            assert names <= {entry["name"] for entry in theirs[path][method].get("parameters", [])}, (path, method)
    schemas = ours["components"]["schemas"]
    assert set(schemas["TrainingOptions"]["properties"]) == {"max_epochs", "pretrained", "resume"}
    (infer,) = (schema for name, schema in schemas.items() if "run_inference" in name)
    assert "whole_slab" in infer["properties"]["params"]["contentSchema"]["properties"]


def test_the_client_of_monai_label_uploads_an_image_and_removes_it(served: Served, tmp_path: Path) -> None:
    volume = nibabel.Nifti1Image(np.arange(120, dtype=np.uint8).reshape(5, 4, 3, 2), np.eye(4))
    nibabel.save(volume, tmp_path / "up.nii.gz")
    assert served.client.upload_image(str(tmp_path / "up.nii.gz"), "up1") == {"image": "up1"}
    assert served.ask("GET", "/datastore/image?image=up1").content == (tmp_path / "up.nii.gz").read_bytes()
    assert served.ask("DELETE", "/datastore/?id=up1").ok
    assert served.ask("GET", "/datastore/image?image=up1").status_code == 404
