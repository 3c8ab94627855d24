from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monai_app.reporting.browser.budget import DETAILS, Detail, within


@given(st.integers(1, 40), st.integers(20_000, 400_000), st.integers(0, 2**32))
def test_slices_stay_within_the_budget_whatever_they_take(slices: int, budget: int, seed: int) -> None:
    def encode(z: int, detail: Detail) -> str:
        """Slices of very different sizes, so that those that are tried mislead."""
        return "x" * (detail.side * detail.quality * (1 + hash((seed, z)) % 9) // 50)

    detail, encoded = within(slices, budget, encode)
    assert list(encoded) == list(range(0, slices, detail.step))
    assert sum(map(len, encoded.values())) <= budget
    assert detail.step == 1 or detail.side == DETAILS[-1].side  # slices are left out last


def test_the_best_that_fits_is_chosen() -> None:
    sizes = {detail: 9000 - 100 * place for place, detail in enumerate(DETAILS)}
    for detail, size in sizes.items():
        assert within(5, round(5 * 1.03 * (size + 100)) + 1, lambda z, each: "x" * sizes[each])[0] == detail


@pytest.mark.parametrize("slices", [1, 3])
def test_one_slice_is_kept_whatever_it_takes(slices: int) -> None:
    detail, encoded = within(slices, 99, lambda z, detail: "x" * detail.side)
    assert detail == replace(DETAILS[-1], step=slices)
    assert encoded == {0: "x" * DETAILS[-1].side}
