import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monai_app.domain.region import Span
from monai_app.domain.slab import Slab
from monai_app.errors import ConfigError


@given(depth=st.integers(1, 12), reach=st.integers(0, 15), ends=st.tuples(st.integers(0, 11), st.integers(1, 12)))
def test_slabs_are_windows_of_the_edge_padded_stack(depth: int, reach: int, ends: tuple[int, int]) -> None:
    slab = Slab(2 * reach + 1)
    assert slab.reach == reach
    padded = np.pad(np.arange(depth), reach, mode="edge")
    for z in range(depth):
        assert slab.indices(z, depth) == tuple(padded[z : z + slab.slices])
    first, stop = min(ends[0], depth - 1), min(ends[1], depth)
    if first < stop:
        sequence = slab.sequence(Span(first, stop), depth)
        assert len(sequence) == stop - first + slab.slices - 1
        for number, z in enumerate(range(first, stop)):
            assert sequence[number : number + slab.slices] == slab.indices(z, depth)


@pytest.mark.parametrize("slices", [0, 2, -1, -3, 4, 3.0, True, "3", None])
def test_a_slab_without_a_middle_slice_is_refused(slices: object) -> None:
    with pytest.raises(ConfigError, match=rf"a slab of {slices!r} slices: must be odd and 1 or more.*; give 1, 3, 5"):
        Slab(slices)  # type: ignore[arg-type]
