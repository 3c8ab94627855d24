"""Methods that are not networks: what they learn, and how their parameters are chosen."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from monai_app.domain.region import Rect, Span
from monai_app.stack import Stack
from monai_app.study.baselines.forest import Forest, Trees
from monai_app.study.baselines.method import Examples, Labels, Parameters, Slab, search
from monai_app.study.baselines.otsu import Otsu
from monai_app.study.baselines.process import read_result, train_and_score
from monai_app.study.variants import read_study_variant

TRUTH: Labels = np.kron(np.array([[1, 2, 3, 1], [3, 1, 2, 2]], np.uint8), np.ones((24, 24), np.uint8)).astype(np.uint8)
WHOLE = Rect.whole(TRUTH.shape)


def slab(*tables: Sequence[int], noise: float = 4, seed: int = 0) -> Slab:
    """A slice of several detectors: the grey value of each phase, and noise."""
    rng = np.random.default_rng(seed)
    planes = [np.array(table)[TRUTH] + rng.normal(0, noise, TRUTH.shape) for table in tables]
    return np.clip(np.stack(planes), 0, 255).astype(np.uint8)


def test_thresholds_find_phases_of_different_greys() -> None:
    image = slab((0, 50, 120, 200))
    fitted = Otsu(3).fit({"sigma": 1.0, "classes": 3}, [image], [TRUTH])
    assert (fitted.predict(image, WHOLE) == TRUTH).mean() > 0.95


def test_thresholds_of_two_detectors_tell_what_neither_shows_alone() -> None:
    image = slab((0, 60, 60, 180), (0, 50, 150, 150))
    fitted = Otsu(3).fit({"sigma": 1.0, "classes": 2}, [image], [TRUTH])
    assert (fitted.predict(image, WHOLE) == TRUTH).mean() > 0.95


def test_a_rectangle_of_a_slice_is_labelled_as_in_the_whole() -> None:
    image, rect = slab((0, 50, 120, 200)), Rect(Span(10, 40), Span(30, 90))
    for fitted in (
        Otsu(3).fit({"sigma": 2.0, "classes": 3}, [image], [TRUTH]),
        Forest(1, 0).fit({"least_samples": 5}, [image], [TRUTH]),
    ):
        np.testing.assert_array_equal(fitted.predict(image, rect), fitted.predict(image, WHOLE)[rect.index])


def test_a_forest_learns_textures_and_is_the_same_for_a_seed() -> None:
    image, other = slab((0, 50, 120, 200), noise=30), slab((0, 50, 120, 200), noise=30, seed=1)
    first, second = (Forest(1, 3).fit({"least_samples": 5}, [image], [TRUTH]).predict(other, WHOLE) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert (first == TRUTH).mean() > 0.9


@dataclass
class Spy:
    """A method that gives a phase, and remembers what it was shown."""

    shown: list[Labels] = field(default_factory=list)
    choices: Sequence[Parameters] = ({"phase": 1}, {"phase": 3}, {"phase": 2})

    @property
    def draft(self) -> "Spy":
        return self

    def fit(self, parameters: Parameters, slabs: Sequence[Slab], labels: Sequence[Labels]) -> "Constant":
        self.shown = [*labels]
        return Constant(parameters["phase"])


@dataclass
class Constant:
    phase: int

    def predict(self, slab: Slab, rect: Rect) -> Labels:
        return np.full(rect.shape, self.phase, np.uint8)


def test_parameters_are_chosen_by_blocks_that_do_not_train(tiny_stack: Stack) -> None:
    spy, examples = Spy(), Examples.of(tiny_stack, ["ICE"], 1, 0, (0.25, 32))
    found = search(spy, examples)
    for shown, mask in zip(spy.shown, examples.split.validation.values(), strict=True):
        assert not shown[mask].any()
        assert shown[~mask].any()
    assert found.parameters == {"phase": 2}  # the most frequent one
    assert [parameters for parameters, _ in found.tried] == [*spy.choices]
    assert max(score for _, score in found.tried) == found.tried[-1][1]


def test_a_forest_is_chosen_with_few_trees_and_grown_with_all(tiny_stack: Stack) -> None:
    assert Forest(1, 3, trees=8).draft == Forest(1, 3, trees=8)
    assert Forest(1, 3).draft == Forest(1, 3, trees=20)
    found = search(Forest(1, 3, trees=24), Examples.of(tiny_stack, ["ICE"], 1, 0, (0.25, 32)))
    assert isinstance(found.fitted, Trees)
    assert len(found.fitted.forest.estimators_) == 24


@pytest.mark.parametrize("name", ["otsu_ICE+TLD_1", "forest_TLD_3"])
def test_a_method_is_scored_on_the_test_slices(name: str, tiny_stack: Stack, tmp_path: Path) -> None:
    train_and_score(tiny_stack, read_study_variant(name), 0, tmp_path / "run", (0.25, 32))
    found = read_result(tmp_path / "run", tiny_stack.identity)
    assert found is not None
    assert [each["z"] for each in found["slices"]] == [*tiny_stack.test_slices]
    annotated = np.count_nonzero(tiny_stack.read_annotation(6))
    confusion = np.array(found["slices"][0]["confusion"])
    assert confusion.sum() == annotated
    assert np.trace(confusion) > 0.7 * annotated
    assert read_result(tmp_path / "run", "another") is None
