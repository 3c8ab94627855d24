"""The bundles keep to MONAI's rules: properties, metadata, network input and output."""

import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser, ConfigWorkflow, verify_metadata, verify_net_in_out

import monai_app
from monai_app.bundle.configs.templates import template_path, template_paths
from monai_app.domain.model_spec import ModelSpec
from monai_app.stack import Stack
from tests.conftest import CHECKOUT, SHARED_DATA, run_command
from tests.inference.models import whole_labels

SCHEMA = SHARED_DATA / "schema" / "meta_schema_20240725.json"
SCHEMA_SHA256 = "cd64aa8a5904426f6fc6855dabe46af8c742d5bad644b4e9cfb78ebad09ad678"
UNET = template_path("fibsem_unet_segmentation")
SENSOR3D = template_path("fibsem_sensor3d_segmentation")
TEMPLATES = pytest.mark.parametrize("template", template_paths(), ids=lambda path: path.name)


@pytest.fixture(params=["unet", "sensor3d", "trained", "trained sensor3d"])
def bundle(request: pytest.FixtureRequest, trained: Path, trained_sensor3d: Path) -> Path:
    """A bundle as it comes, and as a training leaves it."""
    return {"unet": UNET, "sensor3d": SENSOR3D, "trained": trained, "trained sensor3d": trained_sensor3d}[request.param]


@pytest.mark.parametrize(
    ("kind", "files"),
    [("train", ["train"]), ("train", ["train", "evaluate"]), ("infer", ["inference"])],
    ids=["train", "evaluate", "inference"],
)
@pytest.mark.parametrize("which", ["trained", "trained_sensor3d"])
def test_all_standard_properties_are_there(
    kind: str, files: list[str], which: str, request: pytest.FixtureRequest, tiny_stack: Stack
) -> None:
    trained = request.getfixturevalue(which)
    workflow = ConfigWorkflow(
        workflow_type=kind,
        config_file=[str(trained / "configs" / f"{name}.yaml") for name in files],
        meta_file=str(trained / "configs" / "metadata.json"),
        logging_file=False,
        bundle_root=str(trained),
        dataset_dir=str(tiny_stack.path),
    )
    workflow.initialize()
    assert workflow.check_properties() == []


def test_metadata_is_valid_against_the_current_schema(bundle: Path) -> None:
    if not SCHEMA.is_file():
        pytest.skip("the MONAI metadata schema is not on this machine (shared/data/schema)")
    verify_metadata(
        meta_file=str(bundle / "configs" / "metadata.json"),
        filepath=str(SCHEMA),
        hash_val=SCHEMA_SHA256,
        hash_type="sha256",
    )


def test_metadata_describes_the_model_of_the_config(bundle: Path) -> None:
    parser = ConfigParser()
    parser.read_config(str(bundle / "configs" / "inference.yaml"))
    spec = parser.get_parsed_content("model").spec
    metadata = json.loads((bundle / "configs" / "metadata.json").read_text())
    described = ModelSpec.from_json(metadata["model_description"], "metadata.json")
    assert described.definition is not None
    assert described.replaced(definition=None) == spec
    assert described.to_json() == metadata["model_description"]
    formats = metadata["network_data_format"]
    assert tuple(formats["inputs"]["image"]["channel_def"].values()) == spec.channel_name
    assert list(formats["outputs"]["pred"]["channel_def"].values()) == spec.phase_names


@TEMPLATES
def test_metadata_speaks_of_its_own_version_and_schema(template: Path) -> None:
    metadata = json.loads((template / "configs" / "metadata.json").read_text())
    assert metadata["version"] == monai_app.__version__
    assert metadata["version"] in metadata["changelog"]
    assert metadata["schema"].endswith("meta_schema_20240725.json")


@pytest.mark.parametrize(
    ("template", "doi"),
    [(UNET, "10.1007/978-3-319-24574-4_28"), (SENSOR3D, "10.1109/TMI.2018.2881678")],
    ids=["unet", "sensor3d"],
)
def test_metadata_and_page_name_the_references(template: Path, doi: str) -> None:
    metadata = json.loads((template / "configs" / "metadata.json").read_text())
    page = (template / "docs" / "README.md").read_text()
    for text in ("\n".join(metadata["references"]), page[page.index("## References") :]):
        assert "10.1017/S1431927620018231" in text
        assert doi in text


def test_a_trained_model_does_not_claim_what_the_template_says_of_itself(bundle: Path) -> None:
    metadata = json.loads((bundle / "configs" / "metadata.json").read_text())
    of_the_template = {"template", "eval_metrics"} & set(metadata)
    assert of_the_template == (set() if (bundle / "run.json").exists() else {"template", "eval_metrics"})


def test_the_network_takes_and_gives_what_the_metadata_says(bundle: Path) -> None:
    configs = bundle / "configs"
    verify_net_in_out(
        net_id="network_def",
        meta_file=str(configs / "metadata.json"),
        config_file=str(configs / "inference.yaml"),
        device="cpu",
        n=2,
    )


@TEMPLATES
def test_train_and_inference_hold_the_same_model(template: Path) -> None:
    train, inference = (
        ConfigParser.load_config_file(template / "configs" / f"{n}.yaml") for n in ("train", "inference")
    )
    shared = set(train) & set(inference) - {"imports", "run", "initialize", "finalize"}
    assert {"detectors", "slices", "phases", "scaling", "network_def", "window"} <= shared
    assert {name for name in shared if train[name] != inference[name]} == set()
    assert train["validate"]["inferer"] == inference["inferer"]["inferer"]


def test_the_bundles_are_what_the_base_and_their_networks_make() -> None:
    """What a bundle must repeat to be whole is written by a script; there is no bundle without a source."""
    run_command(CHECKOUT / "tools" / "make_bundles.py", "--check")
    networks = {f"fibsem_{path.stem}_segmentation" for path in (CHECKOUT / "configs" / "networks").glob("*.yaml")}
    assert {path.name for path in template_paths()} == networks


def test_the_metadata_of_a_trained_model_names_its_channels_and_phases(trained: Path) -> None:
    formats = json.loads((trained / "configs" / "metadata.json").read_text())["network_data_format"]
    assert list(formats["inputs"]["image"]["channel_def"].values()) == [
        "z-1:ICE", "z-1:TLD", "z:ICE", "z:TLD", "z+1:ICE", "z+1:TLD",
    ]  # fmt: skip
    assert formats["outputs"]["pred"]["channel_def"] == {"0": "pore", "1": "hydrate", "2": "clinker"}
    assert formats["outputs"]["pred"]["num_channels"] == 3


def test_the_full_size_is_the_2015_unet() -> None:
    parser = ConfigParser(ConfigParser.load_config_file(UNET / "configs" / "inference.yaml"))
    network = parser.get_parsed_content("network_def")
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(31.1, abs=0.1)
    # No statistics of the image at hand: batch norm in evaluation mode treats every tile alike.
    kinds = {type(module).__name__ for module in network.modules()}
    assert "BatchNorm2d" in kinds
    assert not kinds & {"InstanceNorm2d", "GroupNorm", "LayerNorm"}


def test_the_full_size_of_sensor3d_has_the_parameters_of_the_reference() -> None:
    parser = ConfigParser(ConfigParser.load_config_file(SENSOR3D / "configs" / "inference.yaml"))
    parser.update({"detectors": ["TLD"], "phases": [{"value": 1, "name": "pore", "rgb": [0, 0, 0]}]})
    network = parser.get_parsed_content("network_def")
    assert sum(p.numel() for p in network.parameters()) == 11_911_553


@pytest.mark.parametrize("which", ["trained", "trained_sensor3d"])
def test_the_saved_weights_are_a_flat_state_dict_that_loads_strictly(
    which: str, request: pytest.FixtureRequest
) -> None:
    trained = request.getfixturevalue(which)
    state = torch.load(trained / "models" / "model.pt", weights_only=True)
    parser = ConfigParser(ConfigParser.load_config_file(trained / "configs" / "inference.yaml"))
    network = parser.get_parsed_content("network_def")
    network.load_state_dict(state, strict=True)


@pytest.mark.parametrize("which", ["trained", "trained_sensor3d"])
def test_a_volume_file_gets_the_labels_of_its_slices(
    which: str, request: pytest.FixtureRequest, tiny_stack: Stack, tmp_path: Path
) -> None:
    parser = ConfigParser()
    parser.read_config(str(request.getfixturevalue(which) / "configs" / "inference.yaml"))
    parser.update({"bundle_root": str(request.getfixturevalue(which)), "dataset_dir": str(tiny_stack.path)})
    model = parser.get_parsed_content("model")
    model.load()
    expected = whole_labels(model, tiny_stack)
    pixels = np.stack([tiny_stack.read_slab(z, ["ICE", "TLD"], 1) for z in range(tiny_stack.shape[0])])
    path = tmp_path / "case.nii.gz"
    nibabel.save(nibabel.Nifti1Image(pixels.transpose(3, 2, 0, 1), np.eye(4)), path)
    item: Any = {"image": str(path)}
    for transform in parser.get_parsed_content("preprocessing").transforms:  # one by one, as MONAI Label does
        item = transform(item)
    with torch.no_grad():
        item["pred"] = parser.get_parsed_content("inferer")(item["image"][None], model.network)[0]
    labels = parser.get_parsed_content("postprocessing")(item)["pred"]
    assert labels.shape == (1, 80, 96, 8)
    np.testing.assert_array_equal(labels[0].numpy().T, expected)


@TEMPLATES
def test_the_network_takes_the_dropout_that_monai_label_scores_with(template: Path) -> None:
    parser = ConfigParser(ConfigParser.load_config_file(template / "configs" / "inference.yaml"))
    plain = parser.get_parsed_content("network_def").state_dict()
    parser["network_def::dropout"] = 0.2
    parser.parse(reset=True)
    network = parser.get_parsed_content("network_def")
    assert {module.p for module in network.modules() if isinstance(module, torch.nn.Dropout | torch.nn.Dropout2d)} == {
        0.2
    }
    assert network.state_dict().keys() == plain.keys()
