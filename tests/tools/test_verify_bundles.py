"""A good bundle passes every check, and each check fails where a bundle is broken in just that way."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from bundle_files import CONSTRAINTS, SCHEMA, Bundle, CheckError, check_packages
from verify_bundles import checks_of, reason, verify

from tests.conftest import CHECKOUT, run_command

needs_schema = pytest.mark.skipif(not SCHEMA.is_file(), reason="the metadata schema is not on this machine")


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the checks write; one for all, so that the tiny stack is made once."""
    return tmp_path_factory.mktemp("work")


def copied(run: Path, folder: Path) -> Path:
    """What of a run folder belongs to the bundle."""
    return Path(shutil.copytree(run, folder, ignore=shutil.ignore_patterns("last.ckpt", "eval")))


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@needs_schema
@pytest.mark.parametrize("which", ["trained", "trained_sensor3d"])
def test_a_trained_bundle_passes_and_is_left_as_it_is(
    which: str, request: pytest.FixtureRequest, work: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "fibsem_segmentation"
    shutil.copytree(request.getfixturevalue(which), folder)
    before = contents(folder)
    results = list(verify(Bundle(folder, SCHEMA, work)))
    assert [(name, why) for name, found, why in results if found is None] == []
    assert len(results) >= 15
    assert contents(folder) == before


def in_metadata(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "configs" / "metadata.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return change


def in_config(name: str, **changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "configs" / f"{name}.yaml"
        config = yaml.safe_load(path.read_text()) if path.is_file() else {}
        path.write_text(yaml.safe_dump({**config, **changes}, sort_keys=False))

    return change


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def written(name: str, text: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / name).write_text(text)

    return write


def renamed(old: str, new: str) -> Callable[[Path], None]:
    """Another id wherever the inference config names one."""

    def rename(folder: Path) -> None:
        path = folder / "configs" / "inference.yaml"
        text = path.read_text()
        path.write_text(text.replace(f"\n{old}:", f"\n{new}:").replace(f'"@{old}"', f'"@{new}"'))

    return rename


def one_phase_less(folder: Path) -> None:
    path = folder / "configs" / "metadata.json"
    metadata = json.loads(path.read_text())
    metadata["network_data_format"]["outputs"]["pred"] |= {"num_channels": 2, "channel_def": {"0": "a", "1": "b"}}
    path.write_text(json.dumps(metadata))


def other_weights_as_script(folder: Path) -> None:
    torch.jit.save(torch.jit.script(torch.nn.Conv2d(6, 3, 1)), folder / "models" / "model.ts")


def changed_package(package: str, version: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "configs" / "metadata.json"
        metadata = json.loads(path.read_text())
        metadata["required_packages_version"][package] = version
        path.write_text(json.dumps(metadata))

    return change


OTHER_HANDLERS = {"train::trainer::train_handlers": "@other", "other": "@train::handlers"}
OTHER_INFERER = {"validate::evaluator::inferer": "@other", "other": "@validate::inferer"}
BROKEN: list[Any] = [
    ("large files", written("large_files.yml", "large_files: [{path: models/big.pt, url: u}]"), "lacks hash_type"),
    (
        "large files",
        written("large_files.yml", "large_files: [{path: models/big.pt, url: u, hash_val: h, hash_type: md5}]"),
        "big.pt is not here",
    ),
    ("LICENSE, metadata", without("LICENSE"), "LICENSE is missing"),
    ("LICENSE, metadata", without("configs/metadata.json"), "metadata.json is missing"),
    ("weights, inference config", without("models/model.pt"), "train the bundle first"),
    ("weights, inference config", without("configs/inference.yaml"), "no configs/inference.yaml"),
    ("version, changelog", in_metadata(version="9.9.9"), "9.9.9 is not in the changelog"),
    ("version, changelog", in_metadata(version="one"), "three numbers"),
    pytest.param("metadata schema", in_metadata(task=3), "3 is not of type 'string'", marks=needs_schema),
    pytest.param("metadata schema", in_metadata(schema="https://host/old.json"), "pass that", marks=needs_schema),
    ("packages", changed_package("zarr", ">=3"), "'>=3' is not a version"),
    ("packages", changed_package("zarr", "3.0.0"), "3.0.0 in metadata.json"),
    ("packages", changed_package("no-such-package-here", "1.0"), "is not installed here"),
    ("packages", in_metadata(numpy_version="1.0"), "numpy 1.0"),
    ("properties of train", in_config("train", **OTHER_HANDLERS), "train_handlers"),
    ("properties of evaluate", without("configs/evaluate.yaml"), "no configs/evaluate.yaml"),
    ("properties of evaluate", in_config("evaluate", **OTHER_INFERER), "val_inferer"),
    ("properties of inference", renamed("inferer", "predictor"), "inferer"),
    ("properties of multi_gpu_train", in_config("multi_gpu_train", **OTHER_HANDLERS), "train_handlers"),
    ("network in and out", one_phase_less, "output channel number `3`"),
    ("TorchScript", other_weights_as_script, "model.ts differs"),
    ("TorchScript", written("models/model.ts", "no archive"), "RuntimeError"),
    ("run of train", in_config("train", run=[]), "left no model.pt"),
    ("run of evaluate", in_config("evaluate", run=[]), "left no scores.json"),
    ("run of inference", in_config("inference", run=[]), "no complete label image"),
]


@pytest.mark.parametrize(("check", "damage", "expected"), BROKEN)
@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_a_broken_bundle_fails_its_check(
    check: str, damage: Callable[[Path], None], expected: str, trained: Path, work: Path, tmp_path: Path
) -> None:
    folder = copied(trained, tmp_path / "fibsem_segmentation")
    damage(folder)
    bundle = Bundle(folder, SCHEMA, work)
    ((_, found, why),) = verify(bundle, only=check)
    assert found is None
    assert expected in why


def test_a_bundle_is_named_after_its_task(trained: Path, work: Path) -> None:
    ((_, found, why),) = verify(Bundle(trained, SCHEMA, work), only="name")
    assert (found, "names its task" in why) == (None, True)


def test_an_absent_schema_is_a_failure_that_says_where_to_get_it(trained: Path, work: Path) -> None:
    ((_, found, why),) = verify(Bundle(trained, work / "meta_schema_20240725.json", work), only="metadata schema")
    assert found is None
    assert "download https://" in why
    assert "--schema FILE" in why


def test_a_version_that_is_not_pinned_is_reported(trained: Path, work: Path, tmp_path: Path) -> None:
    pins = tmp_path / "constraints.txt"
    pins.write_text(CONSTRAINTS.read_text().replace("zarr==3.1.6", "zarr==3.1.5"))
    with pytest.raises(CheckError, match=r"zarr 3\.1\.6 in metadata\.json, 3\.1\.5 pinned"):
        check_packages(Bundle(trained, SCHEMA, work), pins)


def test_the_modes_hold_the_checks_of_the_model_zoo(trained: Path, work: Path) -> None:
    modes = {check.name: set(check.modes.split()) for check in checks_of(Bundle(trained, SCHEMA, work))}
    assert modes["version, changelog"] == {"min", "full"}
    assert modes["metadata schema"] == {"min", "regular", "full"}
    assert modes["network in and out"] == modes["TorchScript"] == modes["properties of train"] == {"full"}


def test_the_reason_is_the_innermost_cause() -> None:
    outer = RuntimeError("Failed to instantiate")
    outer.__cause__ = KeyError("lost")
    assert reason(outer) == "KeyError: 'lost'"


def test_the_command_line_ends_with_1_where_a_check_failed(trained: Path, tmp_path: Path) -> None:
    """From another folder, with a relative path; the name `unet` says no task."""
    copied(trained, tmp_path / "unet")
    shown = run_command(CHECKOUT / "tools" / "verify_bundles.py", "unet", "--mode", "min", cwd=tmp_path, check=False)
    assert shown.returncode == 1, shown.stderr
    assert "FAIL name" in shown.stdout
    assert "of 7 checks passed" in shown.stdout
