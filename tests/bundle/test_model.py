"""A model is data: what metadata.json describes, and weights; no config is evaluated to apply it."""

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.bundle import ConfigParser
from pydantic import TypeAdapter

from monai_app.api.running import applicable
from monai_app.bundle.configs import signatures
from monai_app.bundle.configs.applied import KEPT, Applied, Asked, kept_settings
from monai_app.bundle.configs.plain import read_config
from monai_app.bundle.configs.settings import apply_settings
from monai_app.bundle.configs.templates import template_paths
from monai_app.bundle.configs.trust import check_trusted, sign
from monai_app.bundle.model import load_model
from monai_app.bundle.run_folder import describe_again, prepare
from monai_app.domain.model_spec import KEY, Definition
from monai_app.errors import ConfigError
from monai_app.networks.patches import PatchNetwork
from monai_app.networks.registry import build_network
from monai_app.stack import Stack
from tests.bundle.test_trust import put
from tests.conftest import TINY, as_options, run_command
from tests.inference.models import labels_of

STATES = Path(__file__).parents[1] / "earlier" / "bundles.zip"
TEMPLATES = pytest.mark.parametrize("template", template_paths(), ids=lambda path: path.name)


@pytest.fixture
def run(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run folder of one's own; nothing was trusted yet."""
    monkeypatch.setenv(signatures.FOLDER, str(tmp_path / "trust"))
    return Path(shutil.copytree(trained, tmp_path / "run"))


def describe(run: Path, **changes: Any) -> None:
    """Change the description of the model in a run's metadata."""
    path = run / "configs" / "metadata.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, KEY: {**content[KEY], **changes}}))


@pytest.mark.parametrize("which", ["trained", "trained_sensor3d"])
def test_the_network_of_the_metadata_is_that_of_the_config(which: str, request: pytest.FixtureRequest) -> None:
    run = request.getfixturevalue(which)
    parser = ConfigParser()
    parser.read_config(str(run / "configs" / "inference.yaml"))
    network = parser.get_parsed_content("network_def").eval()
    network.load_state_dict(torch.load(run / "models" / "model.pt", weights_only=True))
    model = load_model(run)
    image = torch.randn(2, 6, 64, 96)
    with torch.no_grad():
        assert (model.network(image) - network(image)).abs().max() == 0.0
    assert parser.get_parsed_content("spec") == model.spec.replaced(definition=None)


def test_a_u_net_on_patches_goes_all_the_way(tiny_stack: Stack, tmp_path: Path) -> None:
    stack = shutil.copytree(tiny_stack.path, tmp_path / "tiny.ome.zarr")
    settings = as_options({**TINY, "patch": 2, "crop": [64, 64]})
    run_command("-m", "monai_app", "train", stack, tmp_path / "run", *settings)
    model = load_model(tmp_path / "run")
    assert model.spec.stride == 2 * 2 ** (len(TINY["features"]) - 2)
    assert model.spec.definition is not None
    assert model.spec.definition.arguments["patch"] == 2
    assert isinstance(model.network, PatchNetwork)
    run_command("-m", "monai_app", "export", tmp_path / "run")
    for name, source in (("own", tmp_path / "run"), ("exported", tmp_path / "run" / "models" / "model.ts")):
        run_command("-m", "monai_app", "segment", stack, source, "--labels", name)
    own, exported = (labels_of(Stack.open(stack), name) for name in ("own", "exported"))
    assert (own > 0).all()
    assert (own == exported).all()


@TEMPLATES
def test_the_declared_settings_are_those_of_the_config(template: Path) -> None:
    config = read_config(template / "configs" / "inference.yaml")
    kept = kept_settings(config, template)
    assert set(KEPT) - {"device"} <= kept.keys()
    assert Asked.model_fields.keys() <= config.keys()
    assert TypeAdapter(Applied).validate_python(kept) == Applied()


def test_what_the_configs_would_run_is_not_run(run: Path, tiny_stack: Stack, tmp_path: Path) -> None:
    shutil.copytree(tiny_stack.path, tmp_path / "own.ome.zarr")
    ran = tmp_path / "ran"
    for name in ("train", "inference", "evaluate"):
        put(run, f"{name}.yaml", "run", [f"$open({str(ran)!r}, 'w')"])
        put(run, f"{name}.yaml", "imports", [f"$open({str(ran)!r}, 'w')"])
    (run / "torch.py").write_text(f"open({str(ran)!r}, 'w')")
    stack = tmp_path / "own.ome.zarr"
    shown = run_command("-m", "monai_app", "segment", stack, run, "--labels", "net", "--z", "0:1")
    assert "imports" in shown.stderr  # what is not followed is told
    run_command("-m", "monai_app", "export", run)
    run_command("-m", "monai_app", "package", stack, run, tmp_path / "model.zip", "--unscored")
    run_command("-m", "monai_app", "check", tmp_path / "model.zip")
    unpacked = run_command("-m", "monai_app", "unpack", tmp_path / "model.zip", tmp_path / "model")
    assert "monai-app trust" in unpacked.stdout
    assert not ran.exists()


def edit(name: str, old: str, new: str) -> Callable[[Path], None]:
    """Replace a text of a config."""

    def change(run: Path) -> None:
        path = run / "configs" / name
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    return change


def write(name: str, text: str) -> Callable[[Path], None]:
    """Write a file."""

    def change(run: Path) -> None:
        (run / name).write_text(text)

    return change


def drop_an_augmentation(run: Path) -> None:
    path = run / "configs" / "train.yaml"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if not line.startswith("  blur:")))


def link_the_weights(run: Path) -> None:
    weights = run / "models" / "model.pt"
    weights.rename(run.parent / "model.pt")
    weights.symlink_to(run.parent / "model.pt")


CONTRAST = "augmentation:\n  contrast: {_target_: RandAdjustContrastd, keys: image}\n"
EDITS: dict[str, tuple[Callable[[Path], Any], bool]] = {
    "learning rate": (lambda run: put(run, "train.yaml", "learning_rate", 0.01), False),
    "a comment": (edit("train.yaml", "# ---- how it is trained", "# mine\n# ---- how it is trained"), False),
    "noise": (edit("train.yaml", "std: 0.1,", "std: 0.2,"), False),
    "an augmentation more": (edit("train.yaml", "augmentation:", CONTRAST.rstrip()), True),
    "an augmentation fewer": (drop_an_augmentation, True),
    "SGD": (edit("train.yaml", "torch.optim.AdamW", "torch.optim.SGD"), True),
    "DiceCELoss": (edit("train.yaml", "_target_: DiceLoss", "_target_: DiceCELoss"), True),
    "another activation": (edit("train.yaml", "RELU", "PRELU"), True),
    "padding": (edit("train.yaml", "reflection", "border"), True),
    "log level": (edit("logging.conf", "level=INFO", "level=DEBUG"), True),
    "an overlay": (write("configs/my_overlay.yaml", "max_epochs: 5\n"), True),
    "an editor's copy": (write("configs/train.yaml~", "a: 1"), False),
    ".DS_Store": (write("configs/.DS_Store", "\0"), False),
    "a plot script": (write("eval/plot.py", "import matplotlib"), False),
    "weights on another disk": (link_the_weights, True),
    "train.json": (write("configs/train.json", "{}"), True),
    "results elsewhere": (edit("train.yaml", "output_dir: $@bundle_root + '/eval'", "output_dir: /data/eval"), True),
}
"""Ordinary edits of a run folder, and whether training with it needs to be trusted once."""


@pytest.mark.parametrize("name", EDITS)
def test_an_ordinary_edit_hinders_nobody_to_segment_and_is_asked_for_once_to_train(name: str, run: Path) -> None:
    change, asked = EDITS[name]
    expected = load_model(run).network.state_dict()
    change(run)
    found = applicable(run).model.network.state_dict()
    assert all(torch.equal(found[key], value) for key, value in expected.items())
    if asked:
        with pytest.raises(ConfigError, match="monai-app trust"):
            check_trusted(run)
        sign(run)
    check_trusted(run)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("scaling/ICE/mean", 1.5, "scaling is .* but metadata.json describes"),
        ("phases/0/name", "void", "phases is"),
        ("slices", 5, "slices is 5 but metadata.json describes a model with 3"),
        ("features", [4, 4, 8, 8, 16, 4], "network_def::features"),
        ("network_def/act", ["LEAKYRELU"], "network_def::act"),
        ("network_def/norm", "instance", "network_def::norm"),
        ("network_def/norm", None, "network_def::norm is None"),
        ("network_def/bias", False, "network_def::bias is False .* with 'left out'"),
        ("network_def/_target_", "UNet", "network_def::_target_"),
        ("cluster", "tcp://example.org:8786", "cluster is .*command line"),
        ("overwrite", True, "overwrite"),
        ("preview", 1, "preview"),
        ("mask", "/home/somebody/x.tif", "mask"),
        ("tiff_dir", "/home/somebody", "tiff_dir"),
        ("workers", "$exit()", "configs are not evaluated here"),
        ("device", "$exit()", "configs are not evaluated here"),
    ],
)
def test_a_value_that_would_change_the_labels_is_no_silent_one(
    place: str, value: object, message: str, run: Path
) -> None:
    put(run, "inference.yaml", place, value)
    with pytest.raises(ConfigError, match=rf"inference\.yaml: .*{message}|{message}"):
        applicable(run)


def test_settings_of_the_run_folder_are_followed(run: Path) -> None:
    for name, value in {
        "confidence": "entropy",
        "tile": [32, 48],
        "region": {"slices": "1:3"},
        "device": "cpu",
    }.items():
        put(run, "inference.yaml", name, value)
    settings = applicable(run).settings
    assert settings["region"] == {"slices": "1:3"}
    assert (settings["confidence"], settings["tile"], settings["device"]) == ("entropy", [32, 48], "cpu")


def test_other_changes_of_the_config_are_told(run: Path, caplog: pytest.LogCaptureFixture) -> None:
    put(run, "inference.yaml", "postprocessing/transforms/0/keys", "image")
    applicable(run)
    assert "inference.yaml: postprocessing::transforms::0::keys is 'image' instead of 'pred'" in caplog.text


def test_what_is_trained_is_described_anew(run: Path) -> None:
    metadata = run / "configs" / "metadata.json"
    before = metadata.read_bytes()
    for name in ("train.yaml", "inference.yaml"):
        put(run, name, "network_def/act", "LEAKYRELU")
    describe_again(run, run / "configs")  # which is not resumed
    assert metadata.read_bytes() == before
    (run / "models" / "last.ckpt").unlink()
    describe_again(run, run / "configs")
    model = load_model(run)
    assert model.spec.definition is not None
    assert model.spec.definition.arguments["act"] == "LEAKYRELU"
    assert any(isinstance(module, torch.nn.LeakyReLU) for module in model.network.modules())


def test_a_network_of_ones_own_needs_trust(run: Path, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    (run / "mine.py").write_text(
        "import pathlib\nfrom monai.networks.nets import BasicUNet\n"
        f"pathlib.Path({str(ran)!r}).touch()\nclass Mine(BasicUNet):\n"
        "    def __init__(self, network, patch, **more):\n        super().__init__(**more)\n"
    )
    for name in ("train.yaml", "inference.yaml"):
        put(run, name, "network_def/_target_", "mine.Mine")
    spec = json.loads((run / "configs" / "metadata.json").read_text())[KEY]
    describe(run, network="Mine", definition={**spec["definition"], "name": "mine.Mine"})
    with pytest.raises(ConfigError, match=r"belongs to neither this package nor MONAI.*monai-app trust"):
        load_model(run)
    assert not ran.exists()
    sign(run)
    assert type(load_model(run).network).__name__ == "Mine"
    assert ran.exists()
    (run / "mine.py").write_text("x = 1")
    with pytest.raises(ConfigError, match="belongs to neither this package nor MONAI"):
        load_model(run)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("os.system", {"command": "id"}, "neither this package"),
        ("builtins.open", {"file": "x", "mode": "w"}, "neither this package"),
        ("monai.networks.nets.efficientnet.look_up_option", {}, "not a class of monai.networks.nets"),
        ("torch", {}, "not a class of monai.networks.nets"),
        ("monai.networks.nets.UNet.register_forward_hook", {}, "is not a class"),
        ("EfficientNetBN", {"model_name": "efficientnet-b0"}, "would fetch weights"),
        ("HoVerNet", {"pretrained_url": "https://example.org/x.pth"}, "would fetch weights"),
        ("monai_app.networks.batch_normalised", {"network": "os"}, "not a class of monai.networks.nets"),
        ("monai_app.networks.batch_normalised", {"network": "MILModel", "num_classes": 2}, "would fetch weights"),
        ("monai_app.networks.batch_normalised", {}, "not a class of monai.networks.nets"),
        ("monai_app.networks.on_patches", {"network": "MILModel", "num_classes": 2}, "would fetch weights"),
        ("BasicUNet", {"spatial_dims": "$exit()"}, "cannot be built"),
        ("BasicUNet", {"features": {"_target_": "os.system"}}, "cannot be built"),
    ],
)
def test_a_description_builds_networks_and_nothing_else(name: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_network(Definition(name=name, arguments=arguments))


def test_a_description_that_contradicts_itself_is_refused(run: Path) -> None:
    spec = json.loads((run / "configs" / "metadata.json").read_text())[KEY]
    definition = {**spec["definition"], "arguments": {**spec["definition"]["arguments"], "in_channels": 4}}
    describe(run, definition=definition)
    with pytest.raises(ConfigError, match="the network fails on an image with 6 channels"):
        load_model(run)


@pytest.mark.parametrize("name", ["network_def::act", "network_def::_target_", "spec::network", "phases::0::name"])
def test_what_the_network_is_built_of_is_no_setting(name: str, tiny_stack: Stack, tmp_path: Path) -> None:
    template = next(path for path in template_paths() if "unet" in path.name)
    with pytest.raises(ConfigError, match=f"setting '{name}'"):
        prepare(template, tiny_stack, tmp_path / "run", settings={**TINY, name: "os.system"}, trust=True)


with zipfile.ZipFile(STATES) as _archive:
    _STATES = sorted({name.split("/")[0] for name in _archive.namelist()})


@pytest.mark.parametrize("recorded", [True, False], ids=["run", "bundle"])
@pytest.mark.parametrize("state", _STATES)
def test_bundles_of_earlier_versions_are_applied(
    state: str, recorded: bool, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Without asking for trust, whether they are run folders or bundles that somebody trained with MONAI alone."""
    trained = request.getfixturevalue("trained" if "unet" in state else "trained_sensor3d")
    with zipfile.ZipFile(STATES) as archive:
        archive.extractall(tmp_path, [name for name in archive.namelist() if name.startswith(state)])
    run, today = tmp_path / state, read_config(trained / "configs" / "inference.yaml")
    network = today["network_settings"].keys() - {"patch"}  # which they had not
    settings = {name: today[name] for name in ("phases", "scaling", *network)}
    apply_settings([run / "configs" / f"{name}.yaml" for name in ("train", "inference")], settings)
    description = {"phases": settings["phases"], "settings": {name: today[name] for name in network}}
    for name in ("mean", "std"):
        description[f"channel_{name}"] = [today["scaling"][each][name] for each in today["detectors"]] * 3
    if KEY in json.loads((run / "configs" / "metadata.json").read_text()):
        describe(run, **description)
    if recorded:
        record = json.loads((trained / "run.json").read_text())
        del record["template"]
        (run / "run.json").write_text(json.dumps(record))
    shutil.copytree(trained / "models", run / "models")
    image = torch.randn(1, 6, 32, 48)
    with torch.no_grad():
        difference = applicable(run).model.network(image) - load_model(trained).network(image)
    assert difference.abs().max() == 0.0
    if recorded:
        check_trusted(run)
