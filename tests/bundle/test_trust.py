"""Bundles from elsewhere: what the package's own bundles do passes, anything else is refused until it is trusted."""

import json
import shutil
import sys
from functools import partial
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from monai_app.bundle.configs import signatures
from monai_app.bundle.configs.plain import parse_config
from monai_app.bundle.configs.templates import DEFAULT_BUNDLE, template_path, template_paths
from monai_app.bundle.configs.trust import check_trusted, differences, is_signed, sign, trusted_copy
from monai_app.bundle.packages.archive import pack
from monai_app.bundle.packages.manifest import write_manifest
from monai_app.bundle.run_folder import prepare
from monai_app.cli import app
from monai_app.errors import ConfigError
from monai_app.stack import Stack
from tests.conftest import TINY, run_command

BUNDLES = [path.name for path in template_paths()]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return Path(shutil.copytree(template_path(DEFAULT_BUNDLE), tmp_path / "bundle"))


@pytest.fixture(autouse=True)
def _nothing_is_trusted_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(signatures.FOLDER, str(tmp_path / "trust"))


def assert_refused(bundle: Path, config: str, place: str, value: object) -> None:
    """Check that a bundle with a value at an id of a config is refused and the place named."""
    put(bundle, config, place, value)
    with pytest.raises(ConfigError, match=rf"monai-app trust .*\n  configs/{config}: .* (is|instead of)"):
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
    assert differences(template_path(name)) == []


def test_run_folders_are_trusted_whatever_their_settings(trained: Path, trained_sensor3d: Path) -> None:
    check_trusted(trained)
    check_trusted(trained_sensor3d)


def test_plain_settings_are_trusted(tiny_stack: Stack, tmp_path: Path) -> None:
    settings = {**TINY, "workers": 1, "learning_rate": 0.5, "validate::dataloader::num_workers": 2, "amp": True}
    settings |= {"augmentation::noise::std": 0.2, "augmentation::deform::magnitude_range": [1, 2]}
    prepare(template_path(DEFAULT_BUNDLE), tiny_stack, tmp_path / "run", settings=settings)
    check_trusted(tmp_path / "run")
    put(tmp_path / "run", "train.yaml", "device", "cpu")
    put(tmp_path / "run", "inference.yaml", "precision", "bfloat16")
    check_trusted(tmp_path / "run")


def test_another_loss_is_trusted_once_for_all_runs_that_have_it(tiny_stack: Stack, tmp_path: Path) -> None:
    loss = {"loss::terms": [{"_target_": "FocalLoss", "use_softmax": True, "to_onehot_y": True}], "loss::weights": [2]}
    template = template_path(DEFAULT_BUNDLE)
    with pytest.raises(
        ConfigError, match=r"correct the settings, or give --trust .*:\n  configs/train\.yaml: loss::terms"
    ):
        prepare(template, tiny_stack, tmp_path / "run", settings={**TINY, **loss})
    prepare(template, tiny_stack, tmp_path / "run", settings={**TINY, **loss}, trust=True)
    prepare(template, tiny_stack, tmp_path / "again", settings={**TINY, **loss, "seed": 1})


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
        ("dropout", "%seed"),
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
        ("network_settings/run", "@run"),  # else `run` would be a setting
        ("train/dataset/hash_as_key", 0),  # which equals False, and is none
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
        ("mask", "/home/somebody/x.tif"),
        ("tiff_dir", "/home/somebody"),
        ("postprocessing/transforms/0/keys", "image"),
    ],
)
def test_where_to_and_how_strictly_is_no_setting_of_a_file(bundle: Path, place: str, value: object) -> None:
    assert_refused(bundle, "inference.yaml", place, value)


@pytest.mark.parametrize(
    "text",
    [
        "a: [", "- 1", "5: 1", "a#b: 1", "a: &x [1]\nb: *x", "a: !!set {b}", "a: !!python/tuple [1]",
        "a: !!binary aGk=", "a: &l {x: *l}", "[" * 5000, "a: 2001-01-01",
    ],
)  # fmt: skip
def test_a_config_that_is_no_plain_one_is_never_trusted(bundle: Path, text: str) -> None:
    (bundle / "configs" / "train.yaml").write_text(text)
    for judge in (check_trusted, sign):
        with pytest.raises(ConfigError, match=r"train\.yaml is not a valid config"):
            judge(bundle)


def test_other_files_are_not_read(bundle: Path) -> None:
    put(bundle, "train.yaml", "dropout", "%other.yaml::dropout")
    for judge in (check_trusted, sign):
        with pytest.raises(ConfigError, match=r"dropout reads another file \(%other.yaml::dropout\)"):
            judge(bundle)


def test_links_are_refused_wherever_they_lead(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "__init__.py").write_text("")
    (bundle / "distributed").symlink_to(tmp_path / "code")
    with pytest.raises(ConfigError, match=r"distributed is added: 'a link to .*code"):
        check_trusted(bundle)
    sign(bundle)
    (bundle / "distributed").unlink()
    (bundle / "distributed").symlink_to(tmp_path)
    with pytest.raises(ConfigError, match="distributed is added"):
        check_trusted(bundle)


@pytest.mark.parametrize("name", ["other.yaml", "train.json", "folder/more.yml", "x.conf"])
def test_more_configs_are_refused(bundle: Path, name: str) -> None:
    path = bundle / "configs" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("{}")
    with pytest.raises(ConfigError, match=f"configs/{name} is added"):
        check_trusted(bundle)


@pytest.mark.parametrize("name", ["configs/train.yaml~", "configs/.DS_Store", "README", "eval/plot.py", "notes.yaml"])
def test_files_that_nothing_runs_take_no_part(bundle: Path, name: str) -> None:
    (bundle / name).parent.mkdir(exist_ok=True)
    (bundle / name).write_text("import os")
    check_trusted(bundle)


def test_metadata_is_looked_at_too_because_monai_evaluates_it(bundle: Path) -> None:
    path = bundle / "configs" / "metadata.json"
    metadata = json.loads(path.read_text())
    path.write_text(json.dumps({**metadata, "authors": "somebody / somewhere", "data_source": "/data/x"}))
    check_trusted(bundle)
    for name, value in (("version", "$exit()"), ("x", {"_target_": "os.system"}), ("x", ["@a"]), ("_requires_", "a")):
        path.write_text(json.dumps({**metadata, name: value}))
        with pytest.raises(ConfigError, match=r"metadata\.json: "):
            check_trusted(bundle)


def test_another_logging_configuration_is_refused(bundle: Path) -> None:
    path = bundle / "configs" / "logging.conf"
    path.write_text(path.read_text().replace("class=StreamHandler", "class=FileHandler"))
    with pytest.raises(ConfigError, match=r"logging.conf"):
        check_trusted(bundle)


@pytest.mark.parametrize("name", ["scripts/__init__.py", "mlflow.py", "torch/lib.so", "x.PY", "eval/__init__.py"])
def test_code_in_the_bundle_is_refused(bundle: Path, name: str) -> None:
    (bundle / name).parent.mkdir(exist_ok=True)
    (bundle / name).write_text("")
    with pytest.raises(ConfigError, match=f"{name} is added: 'a file with the SHA-256"):
        check_trusted(bundle)
    sign(bundle)
    (bundle / name).write_text("import os")
    with pytest.raises(ConfigError, match=f"{name} is added"):
        check_trusted(bundle)


def test_what_was_trusted_is_trusted_until_more_than_a_number_changes(bundle: Path) -> None:
    put(bundle, "train.yaml", "optimizer/_target_", "torch.optim.SGD")
    sign(bundle)
    put(bundle, "train.yaml", "learning_rate", 0.5)
    put(bundle, "train.yaml", "optimizer/momentum", 0.9)
    assert not is_signed(bundle)  # another argument
    sign(bundle)
    put(bundle, "train.yaml", "optimizer/momentum", 0.8)
    check_trusted(bundle)
    put(bundle, "evaluate.yaml", "run/-", "$exit()")
    with pytest.raises(ConfigError, match=r"evaluate\.yaml"):
        check_trusted(bundle)


def test_a_config_added_or_a_bundle_copied_over_a_trusted_one_is_not_trusted(bundle: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(bundle, tmp_path / "other"))
    put(bundle, "train.yaml", "optimizer/_target_", "torch.optim.SGD")
    sign(bundle)
    (bundle / "configs" / "more.yaml").write_text("a: 1")
    with pytest.raises(ConfigError, match=r"more\.yaml"):
        check_trusted(bundle)
    (bundle / "configs" / "more.yaml").unlink()
    check_trusted(bundle)
    put(other, "train.yaml", "run/-", "$exit()")
    shutil.copytree(other, bundle, dirs_exist_ok=True)
    with pytest.raises(ConfigError, match=r"train\.yaml: run"):
        check_trusted(bundle)


def test_signatures_of_another_user_are_worth_nothing(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(bundle, "train.yaml", "run/-", "$exit()")
    sign(bundle)
    key = tmp_path / "trust" / "key"
    assert (key.stat().st_mode & 0o777, key.stat().st_size) == (0o600, 32)
    monkeypatch.setenv(signatures.FOLDER, str(tmp_path / "mine"))
    shutil.copytree(tmp_path / "trust" / "signatures", tmp_path / "mine" / "signatures")
    with pytest.raises(ConfigError, match="is not trusted on this machine"):
        check_trusted(bundle)  # without a key
    other = Path(shutil.copytree(template_path(DEFAULT_BUNDLE), tmp_path / "other"))
    put(other, "train.yaml", "extra", 1)
    sign(other)
    assert (tmp_path / "mine" / "key").read_bytes() != key.read_bytes()
    with pytest.raises(ConfigError, match="is not trusted on this machine"):
        check_trusted(bundle)


def test_a_lock_that_a_killed_process_left_beside_the_key_goes(tmp_path: Path) -> None:
    for name in (".key.lock", ".key.partial.lock"):
        signatures.sign(b"something")
        (left := tmp_path / "trust" / name).touch()
        signatures.sign(b"something")
        assert not left.exists()


def test_what_is_evaluated_are_the_bytes_that_were_looked_at(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (bundle / "net.py").write_text("x = 1")
    (bundle / "code").symlink_to("../code")
    sign(bundle)
    before = (bundle / "configs" / "train.yaml").read_bytes()
    with trusted_copy(bundle) as copy:
        put(bundle, "train.yaml", "run/-", "$exit()")
        (bundle / "net.py").write_text("x = 2")
        assert (copy / "configs" / "train.yaml").read_bytes() == before
        assert (copy / "net.py").read_text() == "x = 1"
        assert (copy / "code").resolve() == (tmp_path / "code").resolve()
    assert not copy.exists()


def test_the_commands_refuse_before_anything_runs_and_remember_what_is_trusted(
    tiny_stack: Stack, trained: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(trained, tmp_path / "run"))
    put(run, "evaluate.yaml", "run/-", f"$open({str(tmp_path / 'ran')!r}, 'w')")
    evaluate = ("-m", "monai_app", "evaluate", tiny_stack.path, run)
    for command in (evaluate, ("-m", "monai_app", "trust", run)):  # without a terminal nobody says yes
        refused = run_command(*command, check=False)
        assert refused.returncode == 3
        assert refused.stderr.startswith("monai-app: ")
    assert not (tmp_path / "ran").exists()
    assert "configs/evaluate.yaml: run" in run_command("-m", "monai_app", "trust", run, "--yes").stdout
    run_command(*evaluate)
    assert (tmp_path / "ran").exists()


def test_a_person_is_asked_once(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(bundle, "train.yaml", "optimizer/_target_", "torch.optim.SGD")
    monkeypatch.setattr(sys.modules["monai_app.cli.package"], "_is_terminal", lambda: True)
    ask = partial(CliRunner().invoke, app, ["trust", str(bundle)])
    no, yes, again = ask(input="n\n"), ask(input="y\n"), ask(input="")
    line = "configs/train.yaml: optimizer::_target_ is 'torch.optim.SGD' instead of 'torch.optim.AdamW'"
    assert [result.exit_code for result in (no, yes, again)] == [1, 0, 0]
    assert all(line in result.output for result in (no, yes, again))
    assert ["Do you trust it?" in result.output for result in (no, yes, again)] == [True, True, False]


@pytest.mark.parametrize(("answer", "signed"), [("y\n", True), ("n\n", False), (None, False), ("--trust", True)])
def test_unpacking_shows_what_would_be_run(
    answer: str | None, signed: bool, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(bundle, "train.yaml", "run/-", "$exit()")
    write_manifest(bundle)
    pack(bundle, tmp_path / "x.zip", "x")
    asked = answer is not None and answer.endswith("\n")
    monkeypatch.setattr(sys.modules["monai_app.cli.package"], "_is_terminal", lambda: asked)
    words = ["unpack", str(tmp_path / "x.zip"), str(tmp_path / "x"), *(["--trust"] if answer == "--trust" else [])]
    shown = CliRunner().invoke(app, words, input=answer if asked else None)
    assert shown.exit_code == 0, shown.output
    assert "configs/train.yaml: run is ['$@train::trainer.run()', '$exit()']" in shown.output
    assert is_signed(tmp_path / "x") == signed
    assert ("monai-app trust" in shown.output) == (not signed)


@pytest.mark.parametrize(
    "text", ["a: !!str 1", "a: ! 1", "a: &x 1\nb: *x", "!!map {a: 1}", "? !!str a\n: 1", "a: [!b []]"]
)
def test_tags_and_repeated_values_are_no_plain_config(text: str) -> None:
    with pytest.raises(ConfigError, match="anchors or tags"):
        parse_config(text.encode(), Path("train.yaml"))
