"""Positions of slices from pairs, and what of them is drift."""

import numpy as np
import numpy.typing as npt
import pytest

from monai_app.stack.alignment.drift import DISTANCES, Keep, Positions, kept, solve
from tests.stack.alignment.drifting import walk

SHAPE = (100, 200)
Pairs = dict[tuple[int, int], npt.NDArray[np.float64]]


def pairs_of(positions: npt.NDArray[np.float64], noise: float = 0.0) -> Pairs:
    rng, count = np.random.default_rng(1), len(positions)
    ends = [(z, z + distance) for z in range(count) for distance in DISTANCES if z + distance < count]
    return {(a, b): positions[b] - positions[a] + rng.normal(0, noise, 2) for a, b in ends}


def solved(pairs: Pairs, slices: int) -> Positions:
    return solve(slices, pairs, 2, SHAPE)


def test_positions_follow_from_pairs() -> None:
    known = walk(30)
    found = solved(pairs_of(known, 0.1), 30)
    steps = np.diff(found.numbers - known, axis=0)
    assert np.median(np.linalg.norm(steps, axis=1)) < 0.12
    assert (found.flagged, found.breaks) == ((), ())
    assert 0 < np.median(found.residuals) < 0.2


def test_pairs_that_are_wrong_move_nothing() -> None:
    known = walk(20)
    pairs = pairs_of(known)
    for ends in ((4, 5), (9, 11), (0, 1), (17, 19)):
        pairs[ends] = pairs[ends] + (30, -45)
    found = solved(pairs, 20)
    np.testing.assert_allclose(found.numbers, known, atol=0.05)
    assert found.flagged == ()


@pytest.mark.parametrize("bad", [(7,), (7, 8), (0,), (19,)])
@pytest.mark.parametrize("compared", [True, False])
def test_bad_slices_lie_between_their_neighbours(bad: tuple[int, ...], compared: bool) -> None:
    known, rng = walk(20), np.random.default_rng(2)
    pairs = pairs_of(known)
    for ends in [ends for ends in pairs if set(ends) & set(bad)]:
        if compared:
            pairs[ends] = rng.uniform(-60, 60, 2)
        else:
            del pairs[ends]
    found = solved(pairs, 20)
    assert found.flagged == bad
    good = [z for z in range(20) if z not in bad]
    # The sum of the random steps within a stack decides; the first good slice stands for all.
    np.testing.assert_allclose(np.diff(found.numbers[good], axis=0), np.diff(known[good], axis=0), atol=0.05)
    if bad == (7, 8):
        between = found.numbers[6] + (found.numbers[9] - found.numbers[6]) * [[1 / 3], [2 / 3]]
        np.testing.assert_allclose(found.numbers[7:9], between, atol=0.01)
    assert np.isnan(found.residuals[list(bad)]).all() == (not compared)


def test_a_jump_of_the_stage_is_no_fault() -> None:
    known = walk(20)
    known[9:] += (25, -14)
    found = solved(pairs_of(known, 0.1), 20)
    assert found.flagged == ()
    np.testing.assert_allclose(found.numbers[9] - found.numbers[8], known[9] - known[8], atol=0.3)


def test_a_break_is_named_and_the_parts_stay_as_they_lay() -> None:
    known = walk(12)
    pairs = {ends: pair for ends, pair in pairs_of(known).items() if not ends[0] < 6 <= ends[1]}
    found = solved(pairs, 12)
    assert (found.flagged, found.breaks) == ((), (6,))
    np.testing.assert_allclose(found.numbers[6], found.numbers[5], atol=0.01)
    np.testing.assert_allclose(found.numbers[11] - found.numbers[6], known[11] - known[6], atol=0.01)


def test_slices_that_only_neighbours_agree_on_are_no_fault() -> None:
    known = walk(10)
    found = solved({ends: pair for ends, pair in pairs_of(known).items() if ends[1] == ends[0] + 1}, 10)
    assert (found.flagged, found.breaks) == ((), ())
    np.testing.assert_allclose(found.numbers, known, atol=0.01)


def placed(numbers: npt.NDArray[np.float64]) -> Positions:
    return Positions(numbers, np.zeros(len(numbers)), (), ())


def test_a_line_keeps_the_mean_step_whatever_jumps() -> None:
    lean = np.arange(40)[:, None] * [0.4, -1.1]
    positions = lean + walk(40)
    np.testing.assert_allclose(kept(placed(positions), "line"), lean, atol=1e-6)
    positions[20:] += (50, 80)
    found = kept(placed(positions), "line")
    np.testing.assert_allclose(np.diff(found, axis=0), np.tile([0.4, -1.1], (39, 1)), atol=0.1)


@pytest.mark.parametrize("keep", ["line", "curve"])
def test_steps_across_gaps_count_for_nothing(keep: Keep) -> None:
    gaps = tuple(range(3, 60, 3))
    steps = np.tile([1.0, -0.5], (60, 1)) * ~np.isin(np.arange(60), [0, *gaps])[:, None]
    found = kept(placed(np.cumsum(steps, axis=0)), keep, gaps)
    np.testing.assert_allclose(np.diff(found, axis=0), np.tile([1.0, -0.5], (59, 1)), atol=1e-6)


def test_a_curve_keeps_structure_that_bends_and_a_line_does_not() -> None:
    bend = np.stack([40 * np.sin(np.arange(160) / 50), np.zeros(160)], axis=1)
    for keep, most in (("curve", 0.1), ("line", np.inf)):
        wrong = np.diff(bend - kept(placed(bend), "curve" if keep == "curve" else "line"), axis=0)
        assert np.median(np.abs(wrong[:, 0])) < most
    assert np.median(np.abs(np.diff(bend - kept(placed(bend), "line"), axis=0)[:, 0])) > 0.3
    jittered = bend + np.random.default_rng(0).normal(0, 2, bend.shape)
    assert np.abs(np.diff(kept(placed(jittered), "curve") - bend, axis=0)).mean() < 0.25


@pytest.mark.parametrize("keep", ["line", "curve", "nothing"])
def test_what_stands_still_keeps_nothing(keep: Keep) -> None:
    assert not kept(placed(np.zeros((5, 2))), keep).any()
    assert not kept(placed(walk(9)), "nothing").any()
