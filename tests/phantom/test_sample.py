import csv
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from monai_app.errors import ConfigError, TargetExistsError
from monai_app.phantom.config import PhantomConfig
from monai_app.phantom.sample import annotated_slices, write_sample
from monai_app.phantom.simulate import simulate
from monai_app.stack import Voxel

CONFIG = PhantomConfig(slices=6, rows=37, columns=50, voxel_nm=Voxel(z=40.0, y=200.0, x=200.0))

Written = tuple[Path, list[tuple[object, ...]]]
"""A folder, and the calls of progress."""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    calls: list[tuple[object, ...]] = []
    target = write_sample(
        CONFIG, tmp_path_factory.mktemp("sample") / "a" / "demo", progress=lambda *call: calls.append(call)
    )
    return target, calls


def test_folder_holds_all_and_nothing_else(written: Written) -> None:
    target, _ = written
    assert sorted(path.name for path in target.iterdir()) == [
        "ICE", "TLD", "annotations", "phantom.schema.json", "phantom.yaml", "positions.csv", "sample.schema.json",
        "sample.yaml", "truth",
    ]  # fmt: skip
    assert [path.name for path in target.parent.iterdir()] == ["demo"]
    names = [f"slice_{z:04d}.tif" for z in range(6)]
    for folder in ("ICE", "TLD", "truth"):
        assert sorted(path.name for path in (target / folder).iterdir()) == names
    assert sorted(path.name for path in (target / "annotations").iterdir()) == [names[z] for z in (1, 2, 3, 5)]


def test_tiffs_are_the_simulation(written: Written) -> None:
    target, _ = written
    for item in simulate(CONFIG):
        name = f"slice_{item.z:04d}.tif"
        for detector, image in item.images.items():
            assert np.array_equal(tifffile.imread(target / detector / name), image)
        assert np.array_equal(tifffile.imread(target / "truth" / name), item.truth)


def test_annotations_are_the_truth(written: Written) -> None:
    target, _ = written
    for path in (target / "annotations").iterdir():
        assert np.array_equal(tifffile.imread(path), tifffile.imread(target / "truth" / path.name))


def test_descriptions(written: Written) -> None:
    target, _ = written
    content = YAML(typ="safe").load(target / "sample.yaml")
    assert content["voxel_nm"] == {"z": 40.0, "y": 200.0, "x": 200.0}
    assert content["detectors"] == {"ICE": "ICE", "TLD": "TLD"}
    assert [phase["name"] for phase in content["phases"]] == [
        "pore", "hydrate", "portlandite", "clinker", "aggregate",
    ]  # fmt: skip
    annotations = content["annotations"]
    assert annotations["mapping"][1] == "pore"
    assert annotations["unlabelled"] == [0]
    assert (annotations["train"], annotations["test"]) == ([1, 2, 3], [5])
    assert PhantomConfig.from_yaml(target / "phantom.yaml") == CONFIG


def test_positions_are_recorded(written: Written) -> None:
    target, _ = written
    with (target / "positions.csv").open() as file:
        rows = list(csv.DictReader(file))
    for row, item in zip(rows, simulate(CONFIG), strict=True):
        assert int(row["z"]) == item.z
        assert float(row["depth_nm"]) == pytest.approx(item.position.depth_nm, abs=1e-3)
        assert float(row["drift_x_nm"]) == pytest.approx(item.position.drift_x_nm, abs=1e-3)


def test_progress_is_called(written: Written) -> None:
    assert written[1] == [(done, 6) for done in range(7)]


def test_existing_target_is_refused_and_kept(tmp_path: Path) -> None:
    target = tmp_path / "demo"
    target.mkdir()
    (target / "mine.txt").write_text("precious")
    with pytest.raises(TargetExistsError, match="demo"):
        write_sample(CONFIG, target)
    assert (target / "mine.txt").read_text() == "precious"


def test_overwrite_replaces(tmp_path: Path) -> None:
    target = write_sample(CONFIG, tmp_path / "demo")
    (target / "stale.txt").write_text("old")
    write_sample(CONFIG.replaced(seed=4), target, overwrite=True)
    assert not (target / "stale.txt").exists()
    assert PhantomConfig.from_yaml(target / "phantom.yaml").seed == 4
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_failure_leaves_no_half_target(tmp_path: Path, overwrite: bool) -> None:
    target = tmp_path / "demo"
    if overwrite:
        write_sample(CONFIG, target)

    def stop(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_sample(CONFIG.replaced(seed=9), target, progress=stop, overwrite=overwrite)
    assert [path.name for path in tmp_path.iterdir()] == (["demo"] if overwrite else [])
    if overwrite:
        assert PhantomConfig.from_yaml(target / "phantom.yaml").seed == CONFIG.seed


def test_leftovers_of_a_killed_run_go(tmp_path: Path) -> None:
    (tmp_path / ".demo.partial" / "ICE").mkdir(parents=True)
    (tmp_path / ".demo.partial" / "ICE" / "slice_0099.tif").write_text("half")
    write_sample(CONFIG, tmp_path / "demo")
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]
    assert not (tmp_path / "demo" / "ICE" / "slice_0099.tif").exists()


def test_killed_between_the_renames_brings_the_old_sample_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old sample is moved aside before the new one stands; a kill between the two must not lose it."""
    write_sample(CONFIG, tmp_path / "demo")
    (tmp_path / "demo").rename(tmp_path / ".demo.old")
    with pytest.raises(TargetExistsError):
        write_sample(CONFIG, tmp_path / "demo")
    assert PhantomConfig.from_yaml(tmp_path / "demo" / "phantom.yaml") == CONFIG


def test_a_file_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "demo").write_text("a file")
    with pytest.raises(TargetExistsError, match=r"phantom\.yaml"):
        write_sample(CONFIG, tmp_path / "demo", overwrite=True)


def test_other_detector_names_are_folders(tmp_path: Path) -> None:
    config = CONFIG.replaced(chamber=CONFIG.chamber.replaced(name="SE2"), lens=CONFIG.lens.replaced(name="EsB"))
    target = write_sample(config, tmp_path / "demo", train=[0, 1], test=[4])
    assert YAML(typ="safe").load(target / "sample.yaml")["detectors"] == {"SE2": "SE2", "EsB": "EsB"}
    assert len(list((target / "EsB").iterdir())) == 6
    assert len(list((target / "annotations").iterdir())) == 3


def test_the_default_stack_trains_on_three_and_tests_on_a_fourth() -> None:
    assert annotated_slices(24) == ((4, 11, 18), (21,))


@given(st.integers(5, 3000))
def test_default_slices_fit_every_stack(slices: int) -> None:
    train, (test,) = annotated_slices(slices)
    assert 0 <= train[0] < train[1] < train[2] < slices
    assert 0 <= test < slices
    assert min(abs(test - z) for z in train) >= 2


@given(slices=st.integers(8, 200), data=st.data())
def test_default_test_slice_keeps_away_from_given_training_slices(slices: int, data: st.DataObject) -> None:
    train = data.draw(st.lists(st.integers(0, slices - 1), min_size=1, max_size=2, unique=True))
    _, (test,) = annotated_slices(slices, train)
    assert min(abs(test - z) for z in train) >= 2


@pytest.mark.parametrize(
    ("slices", "train", "test", "words"),
    [
        (4, None, None, ["4", "at least 5"]),
        (10, [1, 2, 10], [5], ["10", "0 to 9"]),
        (10, [1, 1, 3], [5], ["once"]),
        (10, [], [5], ["train", "empty"]),
        (10, [1, 2], [2], ["slice 2", "test"]),
        (3, [1], None, ["beside"]),
    ],
)
def test_refusals(slices: int, train: list[int] | None, test: list[int] | None, words: list[str]) -> None:
    with pytest.raises(ConfigError) as error:
        annotated_slices(slices, train, test)
    for word in words:
        assert word in str(error.value)


def test_refusal_comes_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        write_sample(CONFIG.replaced(slices=2), tmp_path / "demo")
    assert list(tmp_path.iterdir()) == []
