"""The nine variants, each from the command's settings to a reloaded export."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import tifffile
import torch
from monai.bundle import ConfigParser, ConfigWorkflow

from monai_app.bundle.checks import check_network
from monai_app.bundle.configs.applied import Applied, Part
from monai_app.bundle.configs.templates import config_path, size_path, template_path, template_paths, tiny_settings
from monai_app.bundle.configs.variants import read_variant, variant_names
from monai_app.bundle.model import load_model
from monai_app.bundle.run_folder import prepare
from monai_app.bundle.segment import segment
from monai_app.errors import ConfigError
from monai_app.stack import Stack, ingest
from monai_app.yamlfile import read_yaml
from tests.conftest import TINY_TRAINING, write_tiny_sample

VARIANTS = variant_names()


def test_variants_have_at_most_ten_lines_and_every_bundle_has_one() -> None:
    assert {read_variant(name).bundle for name in VARIANTS} == {path.name for path in template_paths()}
    for name in VARIANTS:
        assert len(config_path("variants", name).read_text().splitlines()) <= 10


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_says_what_its_name_says(name: str) -> None:
    network, detectors, slices = name.split("_")
    variant = read_variant(name)
    assert variant.bundle == f"fibsem_{network}_segmentation"
    assert variant.settings == {"detectors": detectors.upper().split("+"), "slices": int(slices)}


@dataclass
class VariantTester:
    """Takes one variant all the way."""

    name: str
    stack: Stack
    run: Path

    def prepare(self) -> None:
        tiny = {**TINY_TRAINING, **tiny_settings(read_variant(self.name).bundle)}
        bundle, settings = read_variant(self.name).choose(self.stack, None, tiny)
        settings |= {"max_epochs": 1, "steps_per_epoch": 1}
        prepare(template_path(bundle), self.stack, self.run, settings=settings)

    def workflow(self, kind: str, *configs: str) -> ConfigWorkflow:
        workflow = ConfigWorkflow(
            workflow_type=kind,
            config_file=[str(self.run / "configs" / f"{name}.yaml") for name in configs],
            meta_file=str(self.run / "configs" / "metadata.json"),
            logging_file=False,
            bundle_root=str(self.run),
            dataset_dir=str(self.stack.path),
        )
        workflow.initialize()
        return workflow

    def slab(self, sides: int = 48) -> torch.Tensor:
        channels = len(read_variant(self.name).settings["detectors"]) * read_variant(self.name).settings["slices"]
        return torch.randn((2, channels, sides, sides), generator=torch.Generator().manual_seed(0))

    def build_forward_backward(self) -> None:
        network = self.workflow("train", "train").parser.get_parsed_content("network")
        logits = network(self.slab())
        assert logits.shape == (2, 3, 48, 48)
        logits.square().mean().backward()
        assert all(parameter.grad is not None for parameter in network.parameters())

    def train_and_evaluate(self) -> torch.nn.Module:
        self.workflow("train", "train").run()
        workflow = self.workflow("train", "train", "evaluate")
        workflow.run()
        scores = workflow.parser.get_parsed_content("validate::evaluator").state.metrics
        assert 0 <= scores["test_mean_iou"] <= 1
        assert (self.run / "eval" / "test" / "scores.csv").is_file()
        network: torch.nn.Module = workflow.parser.get_parsed_content("network").eval()
        return network

    def leave_python(self, network: torch.nn.Module) -> None:
        """As TorchScript; tests/networks/test_zoo.py and tests/export make programs of torch.export of the networks."""
        torch.jit.script(network).save(self.run / "network.ts")
        reloaded = torch.jit.load(self.run / "network.ts")
        for sides in (48, 80):
            torch.testing.assert_close(reloaded(self.slab(sides)), network(self.slab(sides)), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.filterwarnings("ignore:.*torch.jit.*", "ignore:No complete tensor found")
def test_a_variant_goes_all_the_way(name: str, tiny_stack: Stack, tmp_path: Path) -> None:
    tester = VariantTester(name, tiny_stack, tmp_path / "run")
    tester.prepare()
    tester.build_forward_backward()
    tester.leave_python(tester.train_and_evaluate())


@pytest.mark.parametrize("slices", [5, 7])
@pytest.mark.parametrize("detectors", [["TLD"], ["TLD", "ICE"]], ids="+".join)
@pytest.mark.parametrize("template", template_paths(), ids=lambda path: path.name)
def test_other_slice_counts_and_detector_sets_need_no_new_code(
    template: Path, detectors: list[str], slices: int, tiny_stack: Stack, tmp_path: Path
) -> None:
    tiny = {**TINY_TRAINING, **tiny_settings(template.name)}
    prepare(template, tiny_stack, tmp_path / "run", settings={**tiny, "slices": slices, "detectors": detectors})
    configs = tmp_path / "run" / "configs"
    channels = slices * len(detectors)
    parser = ConfigParser(ConfigParser.load_config_file(configs / "inference.yaml"))
    assert parser.get_parsed_content("network_def").eval()(torch.zeros(1, channels, 32, 48)).shape == (1, 3, 32, 48)
    image = json.loads((configs / "metadata.json").read_text())["network_data_format"]["inputs"]["image"]
    assert image["num_channels"] == channels
    assert image["channel_def"]["0"] == f"z-{slices // 2}:TLD"


def test_a_variant_is_refused_by_name_where_a_detector_is_missing(tiny_stack: Stack) -> None:
    class OneDetector:
        detectors, path = ("SE",), tiny_stack.path

    with pytest.raises(ConfigError, match=r"variant 'unet_ice_1' needs detector 'ICE'; .* has SE"):
        read_variant("unet_ice_1").choose(cast("Stack", OneDetector()), None, {})


@pytest.fixture(scope="module")
def three_detectors(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    folder = tmp_path_factory.mktemp("three")
    description = write_tiny_sample(folder / "sample")
    (folder / "sample" / "third").mkdir()
    for file in (folder / "sample" / "ICE").iterdir():
        tifffile.imwrite(folder / "sample" / "third" / file.name, 255 - tifffile.imread(file))
    names = "{SE: ICE, b-1.x: TLD, C_3: third}"
    description.write_text(description.read_text().replace("{ICE: ICE, TLD: TLD}", names))
    return ingest(description, folder / "three.ome.zarr")


@pytest.mark.parametrize(
    ("name", "detectors"), [("sensor3d_se_3", ["SE"]), ("unet_C_3+b-1.X+SE_3", ["C_3", "b-1.x", "SE"])]
)
def test_a_variant_of_any_detectors_is_made_of_its_name(
    name: str, detectors: list[str], three_detectors: Stack, tmp_path: Path
) -> None:
    tester = VariantTester(name, three_detectors, tmp_path / "run")
    tester.prepare()
    tester.train_and_evaluate()
    model = load_model(tester.run)
    assert (list(model.spec.detectors), model.spec.slices) == (detectors, 3)
    segment(model, three_detectors.path, f"labels_{len(detectors)}", Applied(region=Part(slices="3")))
    assert set(np.unique(three_detectors.read_labels(f"labels_{len(detectors)}", 3))) <= {1, 2, 3}


@pytest.mark.parametrize("name", ["vnet_SE_3", "unet__3", "unet_SE", "unet_SE_three", "SE", ""])
def test_a_name_that_is_no_variants_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"no variant '{name}': choose one of .* or write NETWORK_"):
        read_variant(name)


def test_a_variant_and_another_choice_are_refused_together(tiny_stack: Stack) -> None:
    variant = read_variant("sensor3d_tld_3")
    assert variant.choose(tiny_stack, None, {"slices": 3, "seed": 2}) == (
        "fibsem_sensor3d_segmentation", {"slices": 3, "seed": 2, "detectors": ["TLD"]},
    )  # fmt: skip
    with pytest.raises(ConfigError, match="means slices 3, but 5 was given, too"):
        variant.choose(tiny_stack, None, {"slices": 5})
    with pytest.raises(ConfigError, match="means bundle"):
        variant.choose(tiny_stack, "fibsem_unet_segmentation", {})
    with pytest.raises(ConfigError, match="no variant 'unet': choose one of sensor3d_ice"):
        read_variant("unet")


@pytest.mark.parametrize("bundle", [path.name for path in template_paths()])
@pytest.mark.parametrize("size", ["small", "paper"])
def test_every_size_fits_its_bundle(bundle: str, size: str) -> None:
    settings, config = read_yaml(size_path(bundle, size)), read_yaml(template_path(bundle) / "configs" / "train.yaml")
    assert settings.keys() <= config.keys()
    stride = check_network({**config, **settings}).stride
    assert all(side % stride == 0 for side in (*settings["crop"], *config["window"]))
    if size == "paper":  # the bundle itself has its paper's size
        network = config["network_settings"].keys() & settings.keys()
        assert {name: config[name] for name in network} == {name: settings[name] for name in network}


@pytest.mark.parametrize("name", ["unet_tld_1", "sensor3d_ice_3"])
def test_a_variants_file_is_laid_over_its_bundle_by_monai_itself(name: str) -> None:
    variant = read_variant(name)
    parser = ConfigWorkflow(
        config_file=[
            str(template_path(variant.bundle) / "configs" / "inference.yaml"),
            str(config_path("variants", name)),
        ],
        meta_file=str(template_path(variant.bundle) / "configs" / "metadata.json"),
        logging_file=False,
        workflow_type="infer",
    ).parser
    network = parser.get_parsed_content("network_def")
    slab = torch.zeros(1, len(variant.settings["detectors"]) * variant.settings["slices"], 32, 32)
    assert network.eval()(slab).shape == (1, 5, 32, 32)
