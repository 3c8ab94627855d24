"""A trained run becomes a package that says what it is, works elsewhere, and proves itself."""

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from monai.bundle import verify_metadata

from monai_app.bundle.packages.archive import unpack
from monai_app.bundle.packages.manifest import write_manifest
from monai_app.bundle.packages.package import package
from monai_app.bundle.packages.tile import check_test_tile
from monai_app.bundle.packages.verify import check_package
from monai_app.domain.region import Rect, Span
from monai_app.errors import ConfigError, TargetExistsError
from monai_app.networks.weights import record_checksum
from monai_app.stack import Stack
from tests.bundle.test_bundle import SCHEMA, SCHEMA_SHA256
from tests.conftest import run_command

BOTH = pytest.mark.parametrize("which", ["trained", "trained_sensor3d"])


@pytest.fixture(scope="module")
def scored(tiny_stack: Stack, trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trained run with its scores."""
    run = Path(shutil.copytree(trained, tmp_path_factory.mktemp("scored") / "run"))
    run_command("-m", "monai_app", "evaluate", tiny_stack.path, run)
    return run


@pytest.fixture(scope="module")
def packed(tiny_stack: Stack, scored: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package made on the command line."""
    target = tmp_path_factory.mktemp("packed") / "tiny_unet.zip"
    run_command("-m", "monai_app", "package", tiny_stack.path, scored, target)
    return target


@pytest.fixture
def bundle(packed: Path, tmp_path: Path) -> Path:
    unpack(packed, tmp_path / "bundle")
    return tmp_path / "bundle"


def test_a_package_is_a_bundle_that_says_what_it_is(bundle: Path, scored: Path, tiny_stack: Stack) -> None:
    metadata = json.loads((bundle / "configs" / "metadata.json").read_text())
    scores = json.loads((scored / "eval" / "test" / "scores.json").read_text())
    assert metadata["eval_metrics"]["mean_iou"] == scores["mean_iou"]
    assert set(metadata["eval_metrics"]) >= {"iou_pore", "iou_hydrate", "iou_clinker"}
    assert tiny_stack.identity in metadata["data_source"]
    assert metadata["pytorch_version"] == torch.__version__.split("+")[0]
    if SCHEMA.is_file():
        meta = str(bundle / "configs" / "metadata.json")
        verify_metadata(meta_file=meta, filepath=str(SCHEMA), hash_val=SCHEMA_SHA256, hash_type="sha256")
    provenance = json.loads((bundle / "provenance.json").read_text())
    assert provenance["data"]["trained_on"] == {"identity": tiny_stack.identity, "slices": [1, 3, 5]}
    assert provenance["seed"] == 0
    assert provenance["settings"]["steps_per_epoch"] == 3
    assert set(provenance["versions"]) >= {"monai", "pytorch", "numpy", "monai_app"}
    readme = (bundle / "docs" / "README.md").read_text()
    for text in ("# tiny_unet", "1 pore, 2 hydrate, 3 clinker", f"{scores['mean_iou']:.4f}", "ICE: mean"):
        assert text in readme
    assert not (bundle / "models" / "last.ckpt").exists()


def test_the_test_tile_is_a_piece_of_the_stack_with_the_networks_labels(bundle: Path, tiny_stack: Stack) -> None:
    record = json.loads((bundle / "test_tile" / "tile.json").read_text())
    window = Rect(Span(*record["rows"]), Span(*record["columns"]))
    slab = tiny_stack.read_slab(record["slice"], ["ICE", "TLD"], 3, window)
    for channel, name in enumerate(["ICE", "TLD"]):
        for number in range(3):
            image = tifffile.imread(bundle / "test_tile" / name / f"slice_{number}.tif")
            np.testing.assert_array_equal(image, slab[2 * number + channel])
    labels = tifffile.imread(bundle / "test_tile" / "labels.tif")
    assert labels.shape == slab.shape[1:]
    assert record["compared_pixels"] == np.count_nonzero(labels) > 0.9 * labels.size


def test_check_proves_it_on_the_command_line_from_the_zip(packed: Path, tmp_path: Path) -> None:
    shown = run_command("-m", "monai_app", "check", packed, cwd=tmp_path)
    assert "0 differ" in shown.stdout
    assert shown.stdout.endswith("ok\n")
    assert list(tmp_path.iterdir()) == []


def test_an_unpacked_package_is_used_like_a_run_folder(packed: Path, tiny_stack: Stack, tmp_path: Path) -> None:
    run_command("-m", "monai_app", "unpack", packed, "model", cwd=tmp_path, fresh=True)
    shutil.copytree(tiny_stack.path, tmp_path / "own.ome.zarr")
    run_command("-m", "monai_app", "segment", "own.ome.zarr", "model", "--z", "0:1", cwd=tmp_path)
    assert Stack.open(tmp_path / "own.ome.zarr").label_names() == ("model",)
    assert check_package(tmp_path / "model")[1].differing == 0


@BOTH
def test_other_weights_are_seen_by_hash_and_by_labels(
    which: str, request: pytest.FixtureRequest, tiny_stack: Stack, tmp_path: Path
) -> None:
    run = request.getfixturevalue(which)
    unpack(package(run, tiny_stack, tmp_path / "x.zip", unscored=True), tmp_path / "bundle")
    bundle = tmp_path / "bundle"
    assert check_test_tile(bundle).differing == 0
    weights = bundle / "models" / "model.pt"
    state = torch.load(weights, weights_only=True)
    last = [name for name in state if name.endswith("bias")][-1]
    state[last] = state[last].flip(0) + torch.arange(3.0)
    torch.save(state, weights)
    with pytest.raises(ConfigError, match=r"model\.pt is not the file that was packed"):
        check_package(bundle)
    write_manifest(bundle)
    with pytest.raises(ConfigError, match=r"contains weights other than those named in its bundle's metadata\.json"):
        check_package(bundle)
    record_checksum(weights)
    write_manifest(bundle)  # even somebody who lists the new hashes is found out
    assert check_package(bundle)[1].differing > 0
    shown = run_command("-m", "monai_app", "check", bundle, check=False)
    assert shown.returncode == 1
    assert "does not reproduce the labels of its test tile" in shown.stderr


def test_a_package_of_an_earlier_version_is_checked(packed: Path, tmp_path: Path) -> None:
    unpack(packed, tmp_path / "bundle")
    bundle = tmp_path / "bundle"
    (bundle / "test_tile").rename(bundle / "golden")
    (bundle / "golden" / "tile.json").rename(bundle / "golden" / "golden.json")
    checked = check_test_tile(bundle)
    assert checked.compared > 0
    assert checked.differing == 0


def test_the_same_run_gives_the_same_bytes(packed: Path, scored: Path, tiny_stack: Stack, tmp_path: Path) -> None:
    again = package(scored, tiny_stack, tmp_path / "tiny_unet.zip")
    assert again.read_bytes() == packed.read_bytes()
    assert zipfile.ZipFile(again).testzip() is None


def test_scores_of_other_detectors_are_not_the_models(scored: Path, tiny_stack: Stack, tmp_path: Path) -> None:
    run = Path(shutil.copytree(scored, tmp_path / "run"))
    (run / "eval" / "test").rename(run / "eval" / "test_stand_ins")
    with pytest.raises(ConfigError, match="the existing ones are for replaced detectors"):
        package(run, tiny_stack, tmp_path / "x.zip")


def test_a_model_that_was_not_scored_is_refused_unless_asked_for(
    trained: Path, scored: Path, tiny_stack: Stack, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="run monai-app evaluate first"):
        package(trained, tiny_stack, tmp_path / "x.zip")
    run = Path(shutil.copytree(scored, tmp_path / "run"))
    scores = json.loads((run / "eval" / "test" / "scores.json").read_text())
    (run / "eval" / "test" / "scores.json").write_text(json.dumps({**scores, "weights_sha256": "0"}))
    with pytest.raises(ConfigError, match="belong to other weights"):
        package(run, tiny_stack, tmp_path / "x.zip")
    unpack(package(run, tiny_stack, tmp_path / "x.zip", unscored=True), tmp_path / "out")
    assert "not scored" in (tmp_path / "out" / "docs" / "README.md").read_text()
    assert not (tmp_path / "out" / "eval").exists()
    assert "eval_metrics" not in json.loads((tmp_path / "out" / "configs" / "metadata.json").read_text())


def test_a_package_takes_one_evaluation_of_these_weights_and_names_its_stack(
    scored: Path, tiny_stack: Stack, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(scored, tmp_path / "run"))
    (run / "eval" / "test" / "other").mkdir()
    (run / "eval" / "test" / "other" / "slice_0002.png").write_bytes(b"of another stack")
    unpack(package(run, tiny_stack, tmp_path / "x.zip"), tmp_path / "out")
    packed = {
        path.relative_to(tmp_path / "out" / "eval").as_posix() for path in (tmp_path / "out" / "eval").rglob("*.*")
    }
    files = ("scores.csv", "scores.json", "artefacts.png", "confidence.png")
    own = (f"tiny/{name}" for name in (*files, "slice_0006.png"))
    assert packed == {f"test/{name}" for name in (*files, *own)}
    metrics = json.loads((tmp_path / "out" / "configs" / "metadata.json").read_text())["eval_metrics"]
    assert metrics["scored_on"] == [{"stack": "tiny", "stack_identity": tiny_stack.identity, "slices": [6]}]
    assert f"of stack 'tiny', identity {tiny_stack.identity}" in (tmp_path / "out" / "docs" / "README.md").read_text()


def test_scores_with_another_temperature_are_not_packed(scored: Path, tiny_stack: Stack, tmp_path: Path) -> None:
    run = Path(shutil.copytree(scored, tmp_path / "run"))
    metadata = json.loads((run / "configs" / "metadata.json").read_text())
    metadata["calibration"]["temperature"] += 0.1
    (run / "configs" / "metadata.json").write_text(json.dumps(metadata))
    with pytest.raises(ConfigError, match="they belong to other weights or another temperature"):
        package(run, tiny_stack, tmp_path / "x.zip")


def test_a_folder_of_scores_that_is_not_what_is_listed_is_not_packed(
    scored: Path, tiny_stack: Stack, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(scored, tmp_path / "run"))
    own = run / "eval" / "test" / "tiny" / "scores.json"
    own.write_text(own.read_text().replace(tiny_stack.identity, "0" * 64))
    with pytest.raises(ConfigError, match=r"tiny/scores\.json differs from what eval/test/scores\.json lists"):
        package(run, tiny_stack, tmp_path / "x.zip")
    pooled = run / "eval" / "test" / "scores.json"
    pooled.write_text(pooled.read_text().replace('"folder": "tiny"', '"folder": "../../models"'))
    with pytest.raises(ConfigError, match=r"folder '\.\./\.\./models' is not a file name"):
        package(run, tiny_stack, tmp_path / "x.zip")


def test_evaluating_an_unpacked_package_leaves_it_whole(bundle: Path, tiny_stack: Stack, tmp_path: Path) -> None:
    other = shutil.copytree(tiny_stack.path, tmp_path / "other.ome.zarr")
    run_command("-m", "monai_app", "evaluate", other, bundle)
    for command in ("check", "verify"):
        shown = run_command("-m", "monai_app", command, bundle).stdout
        assert "scores changed since packing: eval/test/scores.csv" in shown
        assert shown.endswith("ok\n")


@pytest.mark.parametrize("name", ["eval/test/scores.json", "eval/test/tiny/scores.json", "eval/test/scores.csv"])
def test_packed_scores_that_somebody_edited_are_no_later_evaluation(name: str, bundle: Path) -> None:
    path = bundle / name
    mean = json.loads((bundle / "eval" / "test" / "scores.json").read_text())["mean_iou"]
    path.write_text(path.read_text().replace(str(mean), str(mean + 0.01)))
    with pytest.raises(ConfigError, match=rf"{name} changed since packing, and .* has no later scores"):
        check_package(bundle)


@pytest.mark.parametrize("name", ["models/model.pt", "eval/test/scores.json"])
def test_a_run_that_is_trained_or_evaluated_meanwhile_is_not_packed(
    name: str, scored: Path, tiny_stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Path(shutil.copytree(scored, tmp_path / "run"))
    monkeypatch.setattr(
        "monai_app.bundle.packages.package.write_test_tile", lambda *_: (run / name).write_bytes(b'{"others": 1}')
    )
    with pytest.raises(ConfigError, match=r"(was replaced since it was read|while it was packed)"):
        package(run, tiny_stack, tmp_path / "x.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_what_a_killed_package_left_goes_though_the_target_is_there(
    scored: Path, tiny_stack: Stack, tmp_path: Path
) -> None:
    (tmp_path / "x.zip").touch()
    (tmp_path / ".x.zip.partial" / "x").mkdir(parents=True)
    with pytest.raises(TargetExistsError):
        package(scored, tiny_stack, tmp_path / "x.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["x.zip"]


def test_targets_are_checked_first(scored: Path, tiny_stack: Stack, tmp_path: Path) -> None:
    for name in ("model.tar", "...zip", "a:b.zip", ".zip"):
        with pytest.raises(ConfigError, match=r"a package is NAME\.zip"):
            package(scored, tiny_stack, tmp_path / name)
    with pytest.raises(ConfigError, match="is inside the run folder"):
        package(scored, tiny_stack, scored / "docs" / "model.zip")
    (tmp_path / "model.zip").write_text("")
    with pytest.raises(TargetExistsError):
        package(scored, tiny_stack, tmp_path / "model.zip")


def test_a_run_folder_proves_nothing(trained: Path) -> None:
    with pytest.raises(ConfigError, match="create one with monai-app package"):
        check_package(trained)
    with pytest.raises(ConfigError, match="has no test tile"):
        check_test_tile(trained)


def test_files_that_links_lead_to_are_not_published(scored: Path, tiny_stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("private")
    for place in ("docs/notes.md", "eval/test/tiny/slice_0099.png"):
        run = Path(shutil.copytree(scored, tmp_path / place.partition("/")[0] / "run"))
        (run / place).symlink_to(tmp_path / "secret")
        with pytest.raises(ConfigError, match="link"):
            package(run, tiny_stack, tmp_path / "x.zip")


def test_damaged_records_are_named(scored: Path, tiny_stack: Stack, tmp_path: Path) -> None:
    run = Path(shutil.copytree(scored, tmp_path / "run"))
    for text, message in (('{"a": 1}', "no weights_sha256"), ("{", "is damaged"), ("[]", "is damaged")):
        (run / "eval" / "test" / "scores.json").write_text(text)
        with pytest.raises(ConfigError, match=message):
            package(run, tiny_stack, tmp_path / "x.zip")
    (run / "eval" / "test" / "scores.json").unlink()
    (run / "run.json").unlink()
    with pytest.raises(ConfigError, match=r"run\.json does not exist"):
        package(run, tiny_stack, tmp_path / "x.zip", unscored=True)
