"""A whole segmentation: exact, resumable, refusing what does not fit."""

import json
import logging
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_app.device import precision
from monai_app.domain.region import Rect
from monai_app.errors import BusyError, ConfigError, StackError, StoppedError, TargetExistsError
from monai_app.inference import Model, Outputs, Predictor, Request, Segmentation
from monai_app.inference.outputs import OUTPUTS, Output
from monai_app.stack import Stack, ingest
from monai_app.stack.label_images.arrays import ResultArrays
from monai_app.stack.label_images.resumable import Result
from tests.conftest import write_tiny_sample
from tests.inference.models import assert_exact, labels_of, model_of, whole_labels, whole_slice
from tests.networks.test_zoo import HALOS

VARIANTS = [
    (kind, detectors, slices)
    for (kind, slices), detectors in product(
        [("unet", 1), ("unet", 3), ("sensor3d", 3)], [("ICE",), ("TLD",), ("ICE", "TLD")]
    )
]


@pytest.fixture(scope="module")
def odd_stack(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """Sides that nothing divides, and too many rows for a small tile of Sensor-3D to read all; not to be written to."""
    folder = tmp_path_factory.mktemp("odd")
    return ingest(write_tiny_sample(folder / "sample", slices=7, rows=89, columns=59), folder / "odd.ome.zarr")


@pytest.fixture
def stack(odd_stack: Stack, tmp_path: Path) -> Stack:
    shutil.copytree(odd_stack.path, tmp_path / "own.ome.zarr")
    return Stack.open(tmp_path / "own.ome.zarr")


def segmentation(model: Model, stack: Stack, name: str = "net", **options: Any) -> Segmentation:
    return Segmentation(model, str(stack.path), name, **options)


def stored(stack: Stack, name: str = "net") -> dict[str, npt.NDArray[np.uint8]]:
    """Every byte of a finished label image and its maps, all levels."""
    arrays = ResultArrays.open(stack.path / "labels" / name)
    return {
        f"{kind}/{n}": np.asarray(level[:]) for kind, levels in arrays.levels.items() for n, level in enumerate(levels)
    }


def assert_same_bytes(first: Mapping[str, npt.NDArray[np.uint8]], second: Mapping[str, npt.NDArray[np.uint8]]) -> None:
    assert first.keys() == second.keys()
    for key, pixels in first.items():
        np.testing.assert_array_equal(pixels, second[key], err_msg=key)


@pytest.mark.parametrize(("kind", "detectors", "slices"), VARIANTS)
def test_every_variant_gives_the_labels_of_the_whole_slice(
    kind: str, detectors: tuple[str, ...], slices: int, stack: Stack, tmp_path: Path
) -> None:
    model = model_of(tmp_path / "run", kind, detectors, slices)
    outputs = Outputs(confidence="max", probability=True)
    request = Request(tile=(32, 48))
    segmentation(model, stack, "tiles", outputs=outputs, region={"slices": "0:2"}, request=request).run()
    segmentation(model, stack, "chosen").run()
    tiles, chosen = labels_of(stack, "tiles"), labels_of(stack, "chosen")
    assert_exact(chosen, model, stack)
    assert_exact(np.concatenate([tiles[:2], chosen[2:]]), model, stack)
    for z in (0, 1):
        probability = whole_slice(model, stack, z).numpy()
        difference = stack.read_map("tiles", "probability", z) / 255 - probability
        assert np.abs(difference).max() < 0.5 / 255 + 1e-5
        assert np.abs(stack.read_map("tiles", "confidence", z) / 255 - probability.max(0)).max() < 0.5 / 255 + 1e-5


@pytest.mark.parametrize("kind", ["unet", "sensor3d"])
@settings(max_examples=4, deadline=None)
@given(data=st.data())
def test_any_tile_and_region_gives_that_part_of_the_whole(
    kind: str, data: st.DataObject, odd_stack: Stack, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("any")
    shutil.copytree(odd_stack.path, folder / "own.ome.zarr")
    stack, model = Stack.open(folder / "own.ome.zarr"), model_of(folder, kind)
    rows, columns = (
        16 * data.draw(st.integers(1, 4)) + data.draw(st.sampled_from([0, model.spec.stride])) for _ in range(2)
    )
    spans = {}
    for axis, length in zip(("slices", "rows", "columns"), stack.shape, strict=True):
        start = data.draw(st.integers(0, length - 1))
        spans[axis] = (start, data.draw(st.integers(start + 1, length)))
    region = {axis: f"{start}:{stop}" for axis, (start, stop) in spans.items()}
    segmentation(model, stack, region=region, request=Request(tile=(rows, columns))).run()
    expected, inside = whole_labels(model, stack), tuple(slice(*span) for span in spans.values())
    labels = labels_of(stack, "net")
    outside = np.ones(labels.shape, bool)
    outside[inside] = False
    assert not labels[outside].any()
    labels[outside] = expected[outside]
    assert_exact(labels, model, stack)


def test_longer_slabs_reach_beyond_the_ends_of_the_stack_as_in_training(stack: Stack, tmp_path: Path) -> None:
    model = model_of(tmp_path / "run", "sensor3d", slices=7)
    segmentation(model, stack).run()
    assert_exact(labels_of(stack, "net"), model, stack)


def test_a_network_that_cannot_be_streamed_is_as_exact(
    stack: Stack, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = model_of(tmp_path / "run")
    model.network.get_submodule("upcat_1.upsample").deconv = torch.nn.Upsample(scale_factor=2, mode="bicubic")
    torch.save(model.network.state_dict(), model.weights)
    segmentation(model, stack, request=Request(tile=(32, 48))).run()
    assert "complete tiles, because of its operation upsample_bicubic2d" in caplog.text
    assert_exact(labels_of(stack, "net"), model, stack)


def test_only_what_a_mask_keeps_is_segmented_and_empty_tiles_are_not_computed(stack: Stack, tmp_path: Path) -> None:
    counts: list[tuple[int, int]] = []
    model = model_of(tmp_path / "run")
    mask = np.zeros(stack.shape, np.uint8)
    mask[2:5, 10:40, 20:30] = 255
    tifffile.imwrite(tmp_path / "mask.tif", mask)
    masked = segmentation(model, stack, mask=str(tmp_path / "mask.tif"), request=Request(tile=(32, 32)))
    masked.progress = lambda *count: counts.append(count)
    masked.run()
    np.testing.assert_array_equal(labels_of(stack, "net"), whole_labels(model, stack) * (mask > 0))
    # 3 slices of 2 x 1 tiles, each reading no more than the slice: 96 x 64 pixels with the padding.
    assert counts[-1] == (3 * 2 * 96 * 64, 3 * 2 * 96 * 64)
    segmentation(model, stack, "again", mask="net").run()
    np.testing.assert_array_equal(labels_of(stack, "again"), labels_of(stack, "net"))


def test_a_preview_is_a_label_image_of_its_own(stack: Stack, tmp_path: Path) -> None:
    model = model_of(tmp_path / "run", "sensor3d")
    for _ in range(2):  # a newer preview takes the place of the older one
        segmentation(model, stack, preview=2).run()
    assert stack.label_names() == ("net_preview",)
    labels, expected = labels_of(stack, "net_preview"), whole_labels(model, stack)
    np.testing.assert_array_equal(labels[[1, 5]], expected[[1, 5]])
    assert not labels[[0, 2, 3, 4, 6]].any()


def test_the_plan_is_told_before_and_saved_beside_the_result(
    stack: Stack, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "monai_app")
    segmentation(model_of(tmp_path / "run", "sensor3d"), stack).run()
    saved = json.loads((stack.path / "labels" / "net" / "plan.json").read_text())
    assert saved["plan"]["tile"] == [1024, 1024]
    assert saved["plan"]["block"] == 8
    assert saved["plan"]["halo"] == HALOS["sensor3d"]
    assert saved["estimate"]["seconds"] > 0
    assert [record.message for record in caplog.records if record.levelname == "DEBUG"] == saved["text"]
    assert caplog.messages[:-2] == saved["text"]
    what, done = caplog.messages[-2:]
    assert re.fullmatch(r"segmenting 7 slices of \S+ with run on cpu: about .* on disk before compression", what)
    assert re.fullmatch(r"segmented 7 slices in \d+ s", done)


def test_every_slice_is_read_once(stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    plain = Stack.read_slab

    def spy(
        self: Stack, z: int, detectors: Sequence[str], slices: int, rect: Rect | None = None
    ) -> npt.NDArray[np.integer[Any]]:
        read.append((z, slices, rect))
        return plain(self, z, detectors, slices, rect)

    model = model_of(tmp_path / "run")
    monkeypatch.setattr(Stack, "read_slab", spy)
    segmentation(model, stack, region={"slices": "2:6"}).run()
    assert [(z, slices) for z, slices, _ in read] == [(z, 1) for z in range(1, 7)]


class KilledError(Exception):
    """Ends a run in the middle."""


def kill_after(count: int, run: Callable[[], object], error: type[BaseException] = KilledError) -> None:
    """Run, and fail when so many tiles are recorded."""
    plain = Result.record
    left = [count]

    def record(self: Result, tile: int, checksum: int) -> None:
        plain(self, tile, checksum)
        left[0] -= 1
        if left[0] == 0:
            raise error

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Result, "record", record)
        run()


@pytest.mark.parametrize("kind", ["unet", "sensor3d"])
def test_a_stopped_run_goes_on_to_the_same_bytes(
    kind: str, stack: Stack, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    model = model_of(tmp_path / "run", kind)
    options: dict[str, Any] = {"outputs": Outputs("entropy", True), "region": {"slices": "1:4"}}
    request = Request(tile=(32, 96))
    segmentation(model, stack, "whole", request=request, **options).run()
    with pytest.raises(KilledError):
        kill_after(2, segmentation(model, stack, request=request, **options).run)
    assert "net" not in stack.label_names()
    segmentation(model, stack, **options).run()  # the tile is that of the plan that was begun
    assert "2 of " in caplog.text
    assert_same_bytes(stored(stack, "net"), stored(stack, "whole"))


def test_a_damaged_tile_is_done_again(stack: Stack, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model, request = model_of(tmp_path / "run"), Request(tile=(32, 96))
    segmentation(model, stack, "whole", request=request).run()
    with pytest.raises(KilledError):
        kill_after(5, segmentation(model, stack, request=request).run)
    partial = stack.path / "labels" / ".net.partial"
    (chunk, *_) = sorted(path for path in (partial / "0" / "c").rglob("*") if path.is_file())
    chunk.write_bytes(chunk.read_bytes()[:-9])
    segmentation(model, stack, request=request).run()
    assert "damaged tile" in caplog.text
    assert_same_bytes(stored(stack, "net"), stored(stack, "whole"))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seed": 1}, "model.weights_sha256: "),
        ({"request": Request(tile=(48, 96))}, r"plan.tile: \[32, 96\] -> \[48, 96\]"),
        ({"outputs": Outputs("max")}, 'confidence: "none" -> "max"'),
        ({"region": {"slices": "0:3"}}, r"plan.region.z"),
        ({"kind": "sensor3d"}, 'model.network: "BasicUNet" -> "Sensor3D"'),
    ],
    ids=lambda value: str(list(value)) if isinstance(value, dict) else "",
)
def test_going_on_with_something_else_is_refused(
    change: dict[str, Any], named: str, stack: Stack, tmp_path: Path
) -> None:
    begun: dict[str, Any] = {"request": Request(tile=(32, 96)), "region": {"slices": "0:2"}}
    with pytest.raises(KilledError):
        kill_after(1, segmentation(model_of(tmp_path / "run"), stack, **begun).run)
    of_model = {name: value for name, value in change.items() if name in ("seed", "kind")}
    options = {**begun, **change}
    for name in of_model:
        del options[name]
    other = model_of(tmp_path / "run", **of_model)
    with pytest.raises(ConfigError, match=f"(?s)begun with -> asked for.*{named}.*--overwrite"):
        segmentation(other, stack, **options).run()
    segmentation(other, stack, overwrite=True, **options).run()
    assert stack.label_attributes("net")["weights_sha256"] == other.sha256


def test_what_does_not_fit_is_refused_before_anything_is_made(stack: Stack, tmp_path: Path) -> None:
    model = model_of(tmp_path / "run")
    refused: list[tuple[dict[str, Any], str]] = [
        ({"preview": -1}, "preview -1: must be from 0 to"),
        ({"workers": -2}, "workers -2: must be from 0 to 256"),
        ({"workers": 2, "cluster": "tcp://localhost:1"}, "leave out --workers 2"),
        ({"region": {"z": "1:2"}}, "no axis 'z'; give slices, rows, columns"),
        ({"region": {"slices": "5:20"}}, r"--z 5:20 is not within the slices 0 to 6"),
        ({"mask": "nowhere.tif"}, "mask nowhere.tif does not exist"),
        ({"precision": "float16"}, "precision 'float16': must be one of float32, bfloat16"),
        ({"request": Request(memory=10)}, "memory 0 MiB: the smallest tile needs"),
        ({"request": Request(tile=(40, 32))}, "tile 40,32: 40 must be a multiple of the network's stride 16"),
        ({"workers": 2, "request": Request(tile=(32, 32))}, "several processes would write to the same chunk"),
    ]
    for options, message in refused:
        with pytest.raises(ConfigError, match=message):
            segmentation(model, stack, **options).run()
    with pytest.raises(ConfigError, match="'ETD' of the model does not exist"):
        segmentation(model_of(tmp_path / "etd", detectors=("ICE", "ETD")), stack).run()
    (tmp_path / "run" / "models" / "model.pt").unlink()
    with pytest.raises(ConfigError, match=r"model.pt does not exist; train first"):
        segmentation(replace(model), stack).run()
    assert sorted(path.name for path in (stack.path / "labels").iterdir()) == ["annotation", "zarr.json"]


def test_finished_labels_are_not_replaced_unasked_and_two_runs_do_not_write_at_once(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = model_of(tmp_path / "run")
    plain = Segmentation._compute

    def compute(self: Segmentation, *args: Any) -> None:
        with pytest.raises(BusyError, match="being written by another process"):
            segmentation(model, stack).run()
        plain(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(Segmentation, "_compute", compute)
        segmentation(model, stack, "net").run()
    before = stored(stack)
    with pytest.raises(TargetExistsError, match="'net' is already in"):
        segmentation(model, stack).run()
    segmentation(model, stack, overwrite=True).run()
    assert_same_bytes(stored(stack), before)


def test_an_unreadable_chunk_and_a_full_disk_stop_the_run_which_can_go_on(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = model_of(tmp_path / "run")
    (chunk,) = (stack.path / "0" / "c" / "1" / "4").rglob("0/0")
    whole = chunk.read_bytes()
    chunk.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StackError, match=r"0\[1, 4, .*cannot be read"):
        segmentation(model, stack).run()
    chunk.write_bytes(whole)
    plain = ResultArrays.write

    def write(self: ResultArrays, z: int, rect: Rect, planes: Any) -> None:
        if z == 4:
            raise OSError(28, "No space left on device")
        plain(self, z, rect, planes)

    with monkeypatch.context() as patch:
        patch.setattr(ResultArrays, "write", write)
        with pytest.raises(OSError, match="No space left"):
            segmentation(model, stack).run()
    assert stack.label_names() == ()
    segmentation(model, stack).run()
    assert_exact(labels_of(stack, "net"), model, stack)


def test_ctrl_c_is_a_message_and_the_next_run_goes_on(stack: Stack, tmp_path: Path) -> None:
    model = model_of(tmp_path / "run")
    with pytest.raises(StoppedError, match="stopped with 1 tile complete; run the same"):
        kill_after(1, segmentation(model, stack).run, KeyboardInterrupt)
    segmentation(model, stack).run()
    assert_exact(labels_of(stack, "net"), model, stack)


def test_bfloat16_is_close_and_says_what_it_costs(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    model = model_of(tmp_path / "run")
    expected = whole_labels(model, stack)
    monkeypatch.setattr(precision, "has_bfloat16", lambda device: True)  # it computes everywhere, if not fast
    segmentation(model, stack, precision="bfloat16").run()
    assert "bfloat16 changed 1 to 3 of 1000 labels" in caplog.text
    assert 0.97 < (labels_of(stack, "net") == expected).mean() < 1


def test_a_new_output_is_one_entry_of_the_table(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is stored beside the others, masked, checked, resumed, given in memory and listed where it is misspelt."""

    def distance(probability: torch.Tensor) -> torch.Tensor:
        best, second = probability.topk(2, -1).values.unbind(-1)
        return best - second

    caplog.set_level(logging.INFO)
    monkeypatch.setitem(OUTPUTS, "margin", Output("margin", per_phase=False, encode=distance))
    monkeypatch.setitem(OUTPUTS, "doubt", Output("doubt", per_phase=True, encode=lambda probability: 1 - probability))
    model, outputs = model_of(tmp_path / "run"), Outputs("margin,entropy, doubt", probability=True)
    mask = np.zeros(stack.shape, np.uint8)
    mask[1:4, 10:40, 20:45] = 1
    tifffile.imwrite(tmp_path / "mask.tif", mask)
    options: dict[str, Any] = {
        "outputs": outputs,
        "mask": str(tmp_path / "mask.tif"),
        "request": Request(tile=(32, 96)),
    }
    segmentation(model, stack, "whole", **options).run()
    with pytest.raises(KilledError):
        kill_after(3, segmentation(model, stack, **options).run)
    (chunk, *_) = sorted((stack.path / "labels" / ".net.partial" / "doubt" / "0" / "c").rglob("0/0"))
    chunk.write_bytes(chunk.read_bytes()[:-9])
    with pytest.raises(ConfigError, match=r'confidence: "entropy,margin,doubt" -> "entropy"'):
        segmentation(model, stack, **{**options, "outputs": Outputs("entropy", probability=True)}).run()
    segmentation(model, stack, **options).run()
    assert "damaged tile" in caplog.text
    assert_same_bytes(stored(stack, "net"), stored(stack, "whole"))
    assert set(stored(stack)) >= {"labels/0", "confidence/0", "probability/0", "margin/0", "doubt/0"}
    in_memory = dict(Predictor(model).predict(stack, [2], outputs=outputs))[2]
    probability = whole_slice(model, stack, 2).numpy()
    best = np.sort(probability, 0)
    for name, expected in (("margin", best[-1] - best[-2]), ("doubt", 1 - probability)):
        found = stack.read_map("net", name, 2)
        assert np.abs(found / 255 - expected * mask[2]).max() < 0.5 / 255 + 1e-5
        np.testing.assert_array_equal(in_memory[name] * mask[2], found)
    with pytest.raises(ConfigError, match="'margins': must be one of none, max, entropy, probability, margin, doubt"):
        Outputs("margins")
