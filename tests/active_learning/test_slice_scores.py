"""Scores of slices, against labels and maps that the segmentation gives."""

import json
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from monai_app.active_learning.score_file import ScoreFile
from monai_app.active_learning.slice_scores import Sampling, SliceScore, appearance, score_slices
from monai_app.domain.region import Rect, Span
from monai_app.errors import ConfigError
from monai_app.inference import Outputs, Predictor
from monai_app.stack import Align, ArrayStack, Stack, ingest
from tests.conftest import write_tiny_sample
from tests.inference.models import model_of


def test_outside_of_pictures_that_were_moved_nothing_is_unsure(predictor: Predictor, tmp_path: Path) -> None:
    sample = write_tiny_sample(tmp_path / "sample")
    for z in range(4, 8):  # the second half of the slices lies 12 columns farther
        for name in ("ICE", "TLD"):
            file = sample.parent / name / f"slice_{z}.tif"
            tifffile.imwrite(file, np.roll(tifffile.imread(file), 12, 1))
    stack = ingest(sample, tmp_path / "s.ome.zarr", align=Align("slices", keep="nothing"))
    outside = {z: 1 - stack.inside(z, Rect.whole(stack.shape)).mean() for z in range(8)}  # type: ignore[union-attr]
    assert max(outside.values()) > 0.02
    for score in score_slices(stack, range(8), predictor):
        ((_, planes),) = predictor.predict(stack, [score.z], outputs=Outputs("entropy"))
        inside = planes["labels"] > 0
        assert (~inside).mean() == pytest.approx(outside[score.z])
        assert sum(score.fractions or ()) == pytest.approx(1)
        assert score.uncertainty == pytest.approx((1 - planes["confidence"][inside] / 255).mean())


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    return Predictor(model_of(tmp_path_factory.mktemp("run")))


def test_a_whole_slice_is_scored_by_its_entropy_and_its_phases(predictor: Predictor, tiny_stack: Stack) -> None:
    calls: list[tuple[int, int]] = []
    sampling = Sampling(window=32)
    scores = list(score_slices(tiny_stack, [5, 2], predictor, sampling, lambda *call: calls.append(call)))
    assert calls == [(0, 2), (1, 2), (2, 2)]
    assert [score.z for score in scores] == [5, 2]
    for z, planes in predictor.predict(tiny_stack, [2, 5], outputs=Outputs("entropy", probability=True)):
        score = scores[z == 2]
        probability = np.maximum(planes["probability"] / 255, 1e-9)
        entropy = -(probability * np.log(probability)).sum(0) / np.log(3)
        assert score.uncertainty == pytest.approx(entropy.mean(), abs=0.01)
        assert score.fractions == pytest.approx([(planes["labels"] == phase).mean() for phase in (1, 2, 3)])
        assert score.region is not None
        assert score.region.shape == (32, 32)
        inside = 1 - planes["confidence"] / 255
        means = [inside[y : y + 32, x : x + 32].mean() for y in (0, 32, 64) for x in (0, 32, 48)]
        assert inside[score.region.index].mean() == pytest.approx(max(means))


def test_of_large_slices_windows_are_looked_at(predictor: Predictor, tiny_stack: Stack) -> None:
    sampling = Sampling(window=16, grid=2)
    (score,) = score_slices(tiny_stack, [3], predictor, sampling)
    ((_, planes),) = predictor.predict(tiny_stack, [3], outputs=Outputs("entropy"))
    unsure = {
        (y, x): (1 - planes["confidence"][y : y + 16, x : x + 16] / 255).mean() for y in (16, 64) for x in (12, 52)
    }
    assert score.uncertainty == pytest.approx(np.mean(list(unsure.values())))
    top, left = max(unsure, key=unsure.__getitem__)
    assert score.region == Rect(Span(top, top + 16), Span(left, left + 16))


@given(rows=st.integers(1, 5000), columns=st.integers(1, 5000), window=st.integers(1, 400), grid=st.integers(1, 5))
def test_windows_lie_in_the_slice_and_cover_what_is_labelled(rows: int, columns: int, window: int, grid: int) -> None:
    sampling = Sampling(window, grid)
    parts = sampling.parts(rows, columns)
    assert parts == [Rect.whole((rows, columns))] or 1 <= len(parts) <= grid**2
    assert len(set(parts)) == len(parts)
    for part in parts:
        windows = sampling.windows(part)
        for axis, length in (("y", rows), ("x", columns)):
            span = getattr(part, axis)
            assert 0 <= span.start < span.stop <= length
            inside = sorted({getattr(window, axis) for window in windows})
            assert inside[0].start == span.start
            assert inside[-1].stop == span.stop
            assert all(after.start <= before.stop for before, after in pairwise(inside))


def test_without_a_model_a_slice_has_a_look_only(tiny_stack: Stack) -> None:
    (score,) = score_slices(tiny_stack, [4])
    assert (score.fractions, score.uncertainty, score.region) == ((), None, None)
    plane = tiny_stack.read_slab(4, ["TLD"], 1)[0] / 255
    quantiles = np.quantile(plane, [0.05, 0.25, 0.5, 0.75, 0.95])
    assert score.appearance[6:11] == pytest.approx(quantiles.tolist(), abs=1e-6)
    steps = np.concatenate([np.abs(np.diff(plane, axis=axis)).ravel() for axis in (0, 1)])
    assert score.appearance[11] == pytest.approx(steps.mean())


def test_both_kinds_of_pixels_and_stacks_look_alike() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (1, 1, 700, 30), np.uint8)
    deep = pixels.astype(np.uint16) * 257
    (small,), (large,) = (score_slices(ArrayStack(["ICE"], values), [0]) for values in (pixels, deep))
    assert small.appearance == pytest.approx(large.appearance, abs=0.003)
    assert len(appearance(pixels[:, 0, :1, :1])) == 6


def test_scores_are_kept_for_one_stack_model_and_sampling(
    predictor: Predictor, tiny_stack: Stack, tmp_path: Path
) -> None:
    scores = {score.z: score for score in score_slices(tiny_stack, [6, 1], predictor)}
    scores |= {score.z: score for score in score_slices(tiny_stack, [0])}
    path = tmp_path / "folder" / "scores.json"
    kept = ScoreFile(path, tiny_stack.identity, predictor.model.sha256)
    assert kept.read() == {}
    kept.write(scores)
    assert ScoreFile(path, tiny_stack.identity, predictor.model.sha256).read() == scores
    for other in (("another", predictor.model.sha256), (tiny_stack.identity, None)):
        assert ScoreFile(path, *other).read() == {}
    assert ScoreFile(path, tiny_stack.identity, predictor.model.sha256, Sampling(grid=4)).read() == {}
    content = json.loads(path.read_text())
    del content["slices"]["1"]["z"]
    path.write_text(json.dumps(content))
    assert kept.read() == {}
    with pytest.raises(ConfigError, match="window 0: must be 1 or more"):
        Sampling(window=0)


def test_of_scores_that_are_written_at_once_none_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "scores" / "unet.json"
    scores = {z: SliceScore(z, (0.5,) * 500) for z in range(40)}

    def write(z: int) -> None:
        ScoreFile(path, "stack", "model").write({z: scores[z]})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, scores))
    assert ScoreFile(path, "stack", "model").read() == scores
    ScoreFile(path, "stack", "another").write({1: scores[1]})
    assert ScoreFile(path, "stack", "model").read() == {}
    assert [found.name for found in path.parent.iterdir()] == [path.name]
