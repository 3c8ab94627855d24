"""Proposals where the right answer is known."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monai_app.active_learning.selection import Proposal, dissimilarity, next_slice, propose
from monai_app.active_learning.slice_scores import SliceScore
from monai_app.domain.region import Rect, Span
from monai_app.errors import ConfigError

REGION = Rect(Span(0, 8), Span(8, 16))


def alike(count: int, uncertainty: float | None = None, seed: int = 0) -> dict[int, SliceScore]:
    """Slices that differ by noise only."""
    rng = np.random.default_rng(seed)
    return {
        z: SliceScore(z, tuple((0.5 + rng.normal(0, 0.01, 6)).tolist()), (), uncertainty, REGION) for z in range(count)
    }


def changed(scores: dict[int, SliceScore], z: int, **values: Any) -> dict[int, SliceScore]:
    return {**scores, z: dataclasses.replace(scores[z], **values)}


def in_turn(scores: dict[int, SliceScore], count: int, labelled: tuple[int, ...] = ()) -> list[int]:
    chosen = list(labelled)
    for _ in range(count):
        chosen.append(propose(scores, chosen).z)
    return chosen[len(labelled) :]


def test_the_first_slice_is_typical_and_not_at_an_end() -> None:
    scores = changed(alike(24), 12, appearance=(0.9,) * 6)
    first = propose(scores)
    assert 4 <= first.z < 20
    assert first.z != 12
    assert (first.distance, first.nearest) == (None, None)


def test_an_odd_slice_is_next_without_a_model() -> None:
    scores = changed(alike(24), 17, appearance=(0.9,) * 6)
    assert propose(scores, [11]).z == 17
    assert propose(scores, [11, 17]).z != 17


def test_what_the_model_is_unsure_of_is_next_but_not_a_copy_of_what_is_labelled() -> None:
    even = {z: SliceScore(z, (0.5,), (), 0.1, REGION) for z in range(25)}
    unsure = even
    for z in (18, 19, 20, 21, 22):
        unsure = changed(unsure, z, uncertainty=0.5, region=Rect(Span(z, z + 1), Span(3, 4)))
    found = propose(unsure, [10])
    assert (found.z, found.uncertainty, found.nearest) == (20, 0.5, 10)
    assert found.to_dict()["region"] == [[20, 21], [3, 4]]
    assert found.distance == pytest.approx(10 / 12)
    beside = changed(even, 11, uncertainty=0.5)
    assert abs(propose(beside, [10]).z - 10) > 3


def test_the_gain_is_what_annotating_takes_away() -> None:
    scores = {z: SliceScore(z, (0.5,), (), uncertainty, REGION) for z, uncertainty in enumerate([0.1, 0.2, 0.4])}
    found = propose(scores, [0], reach=4)
    assert found.z == 2
    before, after = 0.2 * 0.25**2 + 0.4 * 0.5**2, 0.2 * 0.25**2
    assert found.gain == pytest.approx(1 - after / before)


def test_slices_that_are_alike_are_chosen_as_one_would_by_hand() -> None:
    even = {z: SliceScore(z, (0.5,)) for z in range(24)}
    first, second, third = sorted(in_turn(even, 3))
    assert 2 <= first <= 6
    assert 9 <= second <= 14
    assert 17 <= third <= 21


@given(seed=st.integers(0, 10_000), uncertainty=st.sampled_from([None, 0.2]))
def test_no_two_neighbours_in_a_row_among_slices_that_are_alike(seed: int, uncertainty: float | None) -> None:
    chosen = sorted(in_turn(alike(24, uncertainty, seed), 4))
    assert min(np.diff(chosen)) >= 2


def test_both_halves_of_a_stack_that_changes_are_seen() -> None:
    scores = alike(24)
    for z in range(16, 24):
        scores = changed(scores, z, appearance=tuple(value + 0.2 for value in scores[z].appearance))
    first, second = in_turn(scores, 2)
    assert first < 16 <= second


def test_fractions_of_phases_count_like_grey_values() -> None:
    scores = {z: SliceScore(z, (0.5,), (0.7, 0.3), 0.2, REGION) for z in range(20)}
    assert propose(changed(scores, 13, fractions=(0.2, 0.8)), [3]).z == 13


def test_candidates_limit_the_choice_and_a_proposal_is_json() -> None:
    scores = alike(12, 0.2)
    assert propose(scores, [2], candidates=[2, 3, 5]).z == 5
    assert propose(scores, [2], candidates=[2, 3]).to_dict().keys() == {
        "z",
        "gain",
        "uncertainty",
        "distance",
        "nearest",
        "region",
    }


@given(order=st.permutations(range(12)), labelled=st.sets(st.integers(0, 11), max_size=5))
def test_the_order_of_scores_does_not_matter_and_what_is_labelled_is_not_proposed(
    order: list[int], labelled: set[int]
) -> None:
    scores = alike(12, 0.2)
    found = propose({z: scores[z] for z in order}, labelled)
    assert found == propose(scores, labelled)
    assert found.z not in labelled


def test_dissimilarity_is_a_distance_to_oneself_and_back() -> None:
    unlike = dissimilarity(list(alike(9).values()), reach=4)
    assert (np.diag(unlike) == 0).all()
    np.testing.assert_array_equal(unlike, unlike.T)
    alone = dissimilarity([SliceScore(z, (0.5,)) for z in (0, 2, 10)], reach=4)
    assert alone[0].tolist() == [0, 0.5, 1]


def test_what_cannot_be_chosen_from_is_refused() -> None:
    scores = alike(4)
    wrong: list[tuple[list[int], dict[str, Any], str]] = [
        ([0, 1, 2, 3], {}, "all slices are labelled, so there is none to propose"),
        ([0], {"candidates": [7]}, "slice 7 has no score"),
        ([9], {}, "slice 9 has no score"),
        ([0], {"reach": 0}, "reach 0: must be above 0"),
    ]
    for labelled, options, message in wrong:
        with pytest.raises(ConfigError, match=message):
            propose(scores, labelled, **options)
    with pytest.raises(ConfigError, match="different features"):
        propose(changed(scores, 1, fractions=(1.0,)), [0])


def test_slices_that_test_are_next_when_three_to_train_on_are_labelled() -> None:
    scores = alike(12, 0.2)

    def following(trained: list[int], tested: list[int] | None = None, offered: range = range(12)) -> Proposal | None:
        return next_slice(scores, offered, trained, tested or [], reserved=[6, 9])

    early = following([1, 4])
    assert early is not None
    assert early.z not in (1, 4, 6, 9)
    assert following([1, 4, 8]) == Proposal(6)
    assert following([1, 4, 8], [6]) == Proposal(9)
    assert following([1], offered=range(1, 2)) is None
    assert following([5], offered=range(5, 7)) == Proposal(6), "nothing else is left"
