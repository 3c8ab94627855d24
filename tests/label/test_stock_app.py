"""Our bundles in MONAI Label's own app `monaibundle`: a real server, its own client, and plain HTTP."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import nibabel
import numpy as np
import numpy.typing as npt
import pytest
import requests
import SimpleITK as sitk  # noqa: N813  # its usual name

from monai_app.bundle.model import load_model
from monai_app.inference import Segmentation
from monai_app.stack import Stack
from tests.conftest import CHECKOUT, run_command
from tests.label.servers import STOCK_PATH, Server, client_of, free_port, monailabel, running, wait_for
from tests.test_docs import commands

pytest.importorskip("monailabel", reason="MONAI Label is not installed")

pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")  # MONAI Label's client leaves them

MODELS = {"unet_segmentation": "trained", "sensor3d_segmentation": "trained_sensor3d"}
AFFINE = np.array([[-0.01, 0, 0, 3], [0, -0.01, 0, 5], [0, 0, 0.02, 7], [0, 0, 0, 1.0]])
"""Of the NIfTI files, to RAS: columns to the left, rows to the back, as a microscope's image lies in 3D Slicer."""

Labels = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def studies(tiny_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny stack as four cases, written by programs that are not ours."""
    folder = tmp_path_factory.mktemp("studies")
    ice, tld = (
        np.stack([tiny_stack.read_slab(z, [name], 1)[0] for z in range(tiny_stack.shape[0])]) for name in ("ICE", "TLD")
    )
    (folder / "TLD").mkdir()
    for path, pixels in ((folder / "paired", ice), (folder / "TLD" / "paired", tld)):
        nibabel.save(nibabel.Nifti1Image(pixels.T, AFFINE), path.with_suffix(".nii.gz"))
        image = sitk.GetImageFromArray(pixels)
        image.SetSpacing((0.01, 0.01, 0.02))
        image.SetOrigin((-3, -5, 7))
        sitk.WriteImage(image, path.with_name("slicer.nrrd"), useCompression=True)
    nibabel.save(nibabel.Nifti1Image(np.stack([ice.T, tld.T], axis=-1), AFFINE), folder / "both.nii")
    nibabel.save(nibabel.Nifti1Image(ice.T, AFFINE), folder / "alone.nii.gz")
    return folder


@pytest.fixture(scope="module")
def expected(
    tiny_stack: Stack, trained: Path, trained_sensor3d: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Labels]:
    """The labels (z, y, x) that a segmentation of the stack gives, by the model's name in the server."""
    path = tmp_path_factory.mktemp("segmented") / "stack.ome.zarr"
    shutil.copytree(tiny_stack.path, path)
    found = {}
    for (name, _), run in zip(MODELS.items(), (trained, trained_sensor3d), strict=True):
        Segmentation(load_model(run), str(path), name, device="cpu").run()
        stack = Stack.open(path)
        found[name] = np.stack([stack.read_labels(name, z) for z in range(stack.shape[0])])
    return found


@pytest.fixture(scope="module")
def server(
    studies: Path, trained: Path, trained_sensor3d: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """The app with both run folders as they are, by the commands of the page on bundles."""
    folder, port = tmp_path_factory.mktemp("server"), free_port()
    download, start = commands(CHECKOUT / "docs" / "reference" / "bundles.md", "monailabel")
    run_command(*monailabel(*download)[1:], cwd=folder)
    app = folder / "apps" / "monaibundle"
    for name, run in zip(MODELS, (trained, trained_sensor3d), strict=True):
        shutil.copytree(run, app / "model" / name)
    here = {"apps/monaibundle": app, "studies": studies, "8000": port, "unet_segmentation": ",".join(MODELS)}
    assert here.keys() <= set(start)
    words = monailabel(*(here.get(word, word) for word in start))
    with running(words, port, folder / "home", PYTHONPATH=STOCK_PATH) as started:
        yield started


def corners(image: sitk.Image) -> list[tuple[float, ...]]:
    """Where the first and the last voxel of a volume lie, and the first but for a row and a slice."""
    x, y, z, *detectors = image.GetSize()
    indices = [(0, 0, 0), (x - 1, y - 1, z - 1), (0, 1, 0), (0, 0, 1)]
    return [image.TransformIndexToPhysicalPoint((*index, *(0 for _ in detectors)))[:3] for index in indices]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("case", ["paired", "both", "slicer"])
def test_a_case_gets_the_labels_of_the_stack(
    server: Server, expected: dict[str, Labels], studies: Path, model: str, case: str, tmp_path: Path
) -> None:
    path, _ = client_of(server, tmp_path).infer(model, case, {"device": "cpu"})
    (given,) = studies.glob(f"{case}.n*")
    image, reference = sitk.ReadImage(path), sitk.ReadImage(given)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), expected[model])
    assert image.GetPixelID() == sitk.sitkUInt8
    assert Path(path).name.endswith(given.name.removeprefix(case))
    np.testing.assert_allclose(corners(image), corners(reference), atol=1e-5)


@pytest.mark.parametrize("model", MODELS)
def test_plain_http_gives_the_same(
    server: Server, expected: dict[str, Labels], studies: Path, model: str, tmp_path: Path
) -> None:
    """Of a case, and of a file that is sent along."""
    url, form = f"{server.url}/infer/{model}?output=image", {"params": json.dumps({"device": "cpu"})}
    answers = [requests.post(f"{url}&image=paired", data=form, timeout=60)]
    with (studies / "both.nii").open("rb") as both:
        answers.append(requests.post(url, data=form, files={"file": ("both.nii", both)}, timeout=60))
    for number, answer in enumerate(answers):
        assert answer.ok, answer.text
        path = tmp_path / f"{number}{'.nii' if number else '.nii.gz'}"
        path.write_bytes(answer.content)
        image = nibabel.Nifti1Image.from_filename(path)
        np.testing.assert_array_equal(np.asarray(image.dataobj).T, expected[model])
        np.testing.assert_allclose(image.affine, AFFINE, atol=1e-5)


def test_a_case_without_its_partner_is_refused_with_a_reason(server: Server, studies: Path) -> None:
    answer = requests.post(f"{server.url}/infer/unet_segmentation?image=alone", timeout=60)
    assert answer.status_code == 500
    reason = f"{studies / 'TLD' / 'alone.nii.gz'} is not there: the volume of detector TLD"
    wait_for(lambda: reason in server.said(), 20)  # it follows the answer


def test_the_server_takes_the_best_weights_and_all_of_them(server: Server) -> None:
    answer = requests.post(f"{server.url}/infer/unet_segmentation?image=paired&output=json", timeout=60)
    assert answer.json()["label_names"] == {"pore": 0, "hydrate": 1, "clinker": 2}  # channels, not label values
    said = server.said()
    assert set(re.findall(r"(?:Infer model path|provided model_file): .*/(\S+)", said)) == {"model.pt"}
    assert "Checkpoint keys don't match" not in said
    info = requests.get(f"{server.url}/info/", timeout=60).json()
    assert set(info["models"]) == set(info["trainers"]) == set(MODELS)
