"""Bundles from elsewhere: what the package's own bundles do passes, anything else is refused and named."""

import json
import logging
import shutil
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from monai_app.bundle.configs.locate import DEFAULT_BUNDLE, template_path, template_paths
from monai_app.bundle.configs.trust import check_trusted
from monai_app.bundle.prepare import prepare
from monai_app.errors import ConfigError
from monai_app.stack import Stack
from tests.conftest import TINY, run_command

BUNDLES = [path.name for path in template_paths()]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return Path(shutil.copytree(template_path(DEFAULT_BUNDLE), tmp_path / "bundle"))


def assert_refused(bundle: Path, config: str, place: str, value: object) -> None:
    """Check that a bundle with a value at an id of a config is refused, and the config named."""
    put(bundle, config, place, value)
    with pytest.raises(ConfigError, match=rf"{config} (has|lacks) .* give --trust"):
        check_trusted(bundle)


def put(bundle: Path, config: str, place: str, value: object) -> None:
    """Write a value at an id of a config, making the mappings on the way."""
    path = bundle / "configs" / config
    yaml = YAML()
    yaml.version = (1, 1)
    document = yaml.load(path)
    *parents, last = place.split("/")
    holder = document
    for parent in parents:
        holder = holder[int(parent)] if isinstance(holder, list) else holder.setdefault(parent, {})
    if isinstance(holder, list):
        holder.append(value)
    else:
        holder[last] = value
    yaml.dump(document, path)


@pytest.mark.parametrize("name", BUNDLES)
def test_the_packages_own_bundles_are_trusted(name: str) -> None:
    check_trusted(template_path(name))


def test_run_folders_are_trusted_whatever_their_settings(trained: Path, trained_sensor3d: Path) -> None:
    check_trusted(trained)
    check_trusted(trained_sensor3d)


def test_plain_settings_are_trusted(tiny_stack: Stack, tmp_path: Path) -> None:
    settings = {**TINY, "workers": 1, "learning_rate": 0.5, "validate::dataloader::num_workers": 2, "amp": True}
    settings |= {
        "loss::terms": [{"_target_": "FocalLoss", "use_softmax": True, "to_onehot_y": True}],
        "loss::weights": [2],
    }
    settings |= {"augmentation::noise::std": 0.2, "augmentation::deform::magnitude_range": [1, 2]}
    prepare(template_path(DEFAULT_BUNDLE), tiny_stack, tmp_path / "run", settings=settings)
    check_trusted(tmp_path / "run")


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("network_def/_target_", "os.system"),
        ("network_def/_target_", "torch.optim.AdamW"),  # known, but elsewhere
        ("network_def/_target_", ["os.system"]),
        ("extra/_target_", "monai.bundle.run"),
        ("extra", 5),
        ("best_model/_mode_", "debug"),
        ("imports/-", "$import os"),
        ("run/-", "$__import__('os').system('id')"),
        ("initialize/-", "$@summary_writer.close()"),
        ("validate/handlers/-", "@resume"),
        ("seed", "$exit()"),
        ("seed", {"_target_": "os.system"}),
        ("seed", {"+a": 1}),
        ("seed", "@resume"),
        ("dropout", "%other.yaml::dropout"),
        ("_requires_", "$exit()"),
        ("+train", {"handlers": []}),
        ("device", "$torch.load('x')"),
        ("device", "@models_dir"),
        ("models_dir", "/home/somebody"),
        ("models_dir", {}),
        ("bundle_root", "/home/somebody"),
        ("+output_dir", "/home/somebody"),
        ("best_model/path", "/home/somebody/.bashrc"),
        ("best_model/path", "@dataset_dir"),
        ("trained_on", {"_target_": "torch.utils.tensorboard.SummaryWriter", "log_dir": "/home/somebody"}),
        ("phases", [{"value": 1, "name": "$exit()", "rgb": [0, 0, 0]}]),
        ("summary_writer/log_dir", ".."),
        ("summary_writer/_disabled_", True),
        ("loss/_target_", "os.system"),
        ("loss/terms", [{"_target_": "os.system"}]),
        ("loss/terms", [{"_target_": "PerceptualLoss"}]),  # fetches a network and its code
        ("loss/terms", [{"_target_": "DiceLoss", "sigmoid": "$exit()"}]),
        ("loss/terms", ["@resume"]),
        ("loss/weights", ["$exit()"]),
        ("loss/extra", 1),
        ("augmentation/gain/_target_", "os.system"),
        ("augmentation/more/_target_", "RandFlipd"),
    ],
)
def test_what_no_own_bundle_does_is_refused_and_named(bundle: Path, place: str, value: object) -> None:
    assert_refused(bundle, "train.yaml", place, value)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("cluster", "tcp://example.org:8786"),  # whose answers are pickles
        ("overwrite", True),
        ("overwrite", [0]),
        ("segmentation/overwrite", True),
        ("preview", 1),
        ("mask", "/home/somebody/x.tif"),
        ("tiff_dir", "/home/somebody"),
        ("postprocessing/transforms/0/keys", "image"),
    ],
)
def test_only_the_command_line_says_where_to_and_how_strictly(bundle: Path, place: str, value: object) -> None:
    assert_refused(bundle, "inference.yaml", place, value)


@pytest.mark.parametrize(
    "text",
    [
        "a: [", "- 1", "5: 1", "a#b: 1", "a: &x [1]\nb: *x", "a: !!set {b}", "a: !!python/tuple [1]",
        "a: !!binary aGk=", "a: &l {x: *l}", "[" * 5000, "a: 2001-01-01",
    ],
)  # fmt: skip
def test_a_config_that_is_no_plain_one_is_refused_even_if_trusted(bundle: Path, text: str) -> None:
    (bundle / "configs" / "train.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"train\.yaml is no valid config"):
        check_trusted(bundle, trust=True)


def test_links_are_refused_wherever_they_lead(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "__init__.py").write_text("")
    (bundle / "distributed").symlink_to(tmp_path / "code")
    with pytest.raises(ConfigError, match="distributed is a link"):
        check_trusted(bundle)


@pytest.mark.parametrize("name", ["other.yaml", "train.json", "train.yaml~"])
def test_unknown_files_beside_the_configs_are_refused(bundle: Path, name: str) -> None:
    (bundle / "configs" / name).write_text("{}")
    with pytest.raises(ConfigError, match="no config that is known"):
        check_trusted(bundle)
    (bundle / "configs" / name).unlink()
    (bundle / "configs" / "folder").mkdir()
    with pytest.raises(ConfigError, match="no config that is known"):
        check_trusted(bundle)


def test_metadata_is_looked_at_too_because_monai_evaluates_it(bundle: Path) -> None:
    path = bundle / "configs" / "metadata.json"
    metadata = json.loads(path.read_text())
    path.write_text(json.dumps({**metadata, "authors": "somebody / somewhere", "data_source": "/data/x"}))
    check_trusted(bundle)
    for name, value in (("version", "$exit()"), ("x", {"_target_": "os.system"}), ("x", ["@a"]), ("_requires_", "a")):
        path.write_text(json.dumps({**metadata, name: value}))
        with pytest.raises(ConfigError, match=r"metadata\.json says"):
            check_trusted(bundle)


def test_another_logging_configuration_is_refused(bundle: Path) -> None:
    path = bundle / "configs" / "logging.conf"
    path.write_text(path.read_text().replace("class=StreamHandler", "class=FileHandler"))
    with pytest.raises(ConfigError, match=r"logging.conf"):
        check_trusted(bundle)


@pytest.mark.parametrize("name", ["scripts/__init__.py", "mlflow.py", "torch/lib.so", "x.PY"])
def test_code_in_the_bundle_is_refused(bundle: Path, name: str) -> None:
    (bundle / name).parent.mkdir(exist_ok=True)
    (bundle / name).write_text("")
    with pytest.raises(ConfigError, match="is code that MONAI would find"):
        check_trusted(bundle)


def test_trust_says_what_it_lets_pass(bundle: Path, caplog: pytest.LogCaptureFixture) -> None:
    put(bundle, "train.yaml", "extra/_target_", "os.system")
    with caplog.at_level(logging.WARNING):
        check_trusted(bundle, trust=True)
    assert "{'_target_': 'os.system'} at extra" in caplog.text


def test_the_commands_refuse_before_anything_of_it_runs(tiny_stack: Stack, trained: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(trained, tmp_path / "run"))
    put(run, "evaluate.yaml", "run/-", f"$open({str(tmp_path / 'ran')!r}, 'w')")
    refused = run_command("-m", "monai_app", "evaluate", tiny_stack.path, run, check=False)
    assert refused.returncode == 2
    assert refused.stderr.startswith("monai-app: ")
    assert "--trust" in refused.stderr
    assert not (tmp_path / "ran").exists()
    assert run_command("-m", "monai_app", "evaluate", tiny_stack.path, run, "--trust").returncode == 0
