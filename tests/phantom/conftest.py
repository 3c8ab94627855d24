"""Small phantoms that the tests share; a coarse voxel shows the whole default field in few pixels."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import pytest

from monai_app.phantom.config import Artefacts, PhantomConfig
from monai_app.phantom.simulate import PhantomSlice, simulate
from monai_app.stack import Voxel

NO_ARTEFACTS = Artefacts(**dict.fromkeys(Artefacts.model_fields, 0.0))
SMALL = PhantomConfig(slices=3, rows=128, columns=128, voxel_nm=Voxel(z=40.0, y=80.0, x=80.0))
SHARP = PhantomConfig(slices=1, rows=256, columns=256, voxel_nm=Voxel(z=65.0, y=20.0, x=20.0))


def with_artefacts(config: PhantomConfig, **strengths: float) -> PhantomConfig:
    """The config with these strengths and no other artefact."""
    return config.replaced(artefacts=NO_ARTEFACTS.replaced(**strengths))


def same(first: PhantomSlice, second: PhantomSlice) -> bool:
    return np.array_equal(first.truth, second.truth) and all(
        np.array_equal(first.images[name], second.images[name]) for name in first.images
    )


@pytest.fixture(scope="session")
def default_stack() -> list[PhantomSlice]:
    """Some slices of the default phantom at full resolution."""
    return list(simulate(PhantomConfig(slices=6)))


@pytest.fixture(scope="session")
def one_slice() -> Callable[[PhantomConfig], PhantomSlice]:
    return lru_cache(maxsize=None)(lambda config: next(simulate(config.replaced(slices=1))))
