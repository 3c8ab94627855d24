"""Run folders of earlier versions get today's configs, with their own settings."""

import json
import shutil
import zipfile
from pathlib import Path

import pytest
import yaml

from monai_app.bundle.configs import signatures
from monai_app.bundle.configs.templates import template_digest, template_path
from monai_app.bundle.configs.trust import check_trusted, sign
from monai_app.bundle.packages.manifest import MANIFEST
from monai_app.bundle.renew import EARLIER, usable_run
from monai_app.errors import ConfigError
from monai_app.networks.calibration import read_calibration, record_calibration
from tests.networks.test_calibration import FOUND
from tests.test_earlier import MADE


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run folder as version 0.1.0 wrote it; nothing was trusted yet."""
    monkeypatch.setenv(signatures.FOLDER, str(tmp_path / "trust"))
    with zipfile.ZipFile(MADE) as archive:
        archive.extractall(tmp_path, [name for name in archive.namelist() if name.startswith("unet/")])
    return tmp_path / "unet"


def config(run: Path, name: str = "train") -> dict[str, object]:
    content: dict[str, object] = yaml.safe_load((run / "configs" / f"{name}.yaml").read_text())
    return content


def edit(run: Path, name: str, old: str, new: str) -> None:
    path = run / "configs" / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def test_configs_are_written_again_with_the_runs_settings_and_edits(run: Path) -> None:
    before, text = config(run), (run / "configs" / "train.yaml").read_text()
    edit(run, "train.yaml", "learning_rate: 0.003", "learning_rate: 0.002")
    edit(run, "train.yaml", "std: 0.1,", "std: 0.3,")
    edit(run, "train.yaml", "zoom: 0.1", "zoom: 0.2")
    edit(run, "inference.yaml", "precision: float32", "precision: bfloat16")
    record_calibration(run / "models" / "model.pt", FOUND)
    assert usable_run(run) == run
    assert read_calibration(run / "models" / "model.pt", FOUND.weights_sha256) == FOUND
    after = config(run)
    names = ("features", "crop", "phases", "scaling", "trained_on", "steps_per_epoch", "detectors", "slices")
    assert {name: after[name] for name in names} == {name: before[name] for name in names}
    assert after["learning_rate"] == 0.002
    steps = yaml.safe_load(yaml.safe_dump(after["augmentation"]))
    assert (steps["noise"]["std"], steps["deform"]["scale_range"]) == (0.3, [0.2, 0.2])
    assert config(run, "inference")["precision"] == "bfloat16"
    assert (run / EARLIER / "evaluate.yaml").is_file()
    assert (run / EARLIER / "train.yaml").read_text() != text  # with the edits
    template = template_path("fibsem_unet_segmentation")
    assert json.loads((run / "run.json").read_text())["template"] == template_digest(template)
    today = (run / "configs" / "train.yaml").read_bytes()
    assert usable_run(run) == run  # nothing is left to renew
    assert (run / "configs" / "train.yaml").read_bytes() == today


def test_what_an_earlier_config_would_run_is_not_run(run: Path, tmp_path: Path) -> None:
    edit(run, "evaluate.yaml", "run:\n", f"run:\n  - $open({str(tmp_path / 'ran')!r}, 'w')\n")
    usable_run(run)
    assert "open(" not in (run / "configs" / "evaluate.yaml").read_text()
    assert "open(" in (run / EARLIER / "evaluate.yaml").read_text()


def test_trusted_configs_stay_as_they_are(run: Path) -> None:
    before = (run / "configs" / "train.yaml").read_bytes()
    sign(run)
    usable_run(run)
    assert (run / "configs" / "train.yaml").read_bytes() == before
    assert not (run / EARLIER).exists()


def test_a_run_of_today_is_refused_where_its_configs_do_more(trained: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(trained, tmp_path / "run"))
    edit(run, "train.yaml", "$import ignite\n", "$import os\n")
    assert usable_run(run) == run
    with pytest.raises(ConfigError, match="monai-app trust"):
        check_trusted(run)


def test_a_package_and_a_run_that_cannot_be_written_are_left_alone(run: Path) -> None:
    (run / MANIFEST).write_text("{}")
    before = (run / "configs" / "train.yaml").read_bytes()
    copy = usable_run(run)
    assert copy != run
    assert (copy / "models" / "model.pt").read_bytes() == (run / "models" / "model.pt").read_bytes()
    assert "augmentation" in config(copy)
    assert (run / "configs" / "train.yaml").read_bytes() == before


def test_a_network_that_todays_bundle_would_not_make_stays(run: Path) -> None:
    path = run / "configs" / "metadata.json"
    metadata, template = json.loads(path.read_text()), template_path("fibsem_unet_segmentation")
    definition = json.loads((template / "configs" / "metadata.json").read_text())["model_description"]["definition"]
    arguments = {**definition["arguments"], "features": [4, 4, 8, 8, 8, 4], "act": "LEAKYRELU"}
    metadata["model_description"]["definition"] = {**definition, "arguments": arguments}
    path.write_text(json.dumps(metadata))
    assert usable_run(run) == run
    assert not (run / EARLIER).exists()


def test_configs_whose_copying_was_interrupted_are_copied_again(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path.name: path.read_bytes() for path in (run / "configs").iterdir()}

    def copy_one(source: Path, target: Path, **_: object) -> None:
        target.mkdir(exist_ok=True)
        shutil.copy(source / "train.yaml", target)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copytree", copy_one)
        with pytest.raises(KeyboardInterrupt):
            usable_run(run)
    usable_run(run)
    assert {path.name: path.read_bytes() for path in (run / EARLIER).iterdir()} == before
