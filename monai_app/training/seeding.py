"""Data sets whose random numbers are independent of worker processes and ranks, and loaders of their batches."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from ignite.distributed import get_rank
from ignite.engine import Engine, Events
from monai.data import CacheDataset, DataLoader, get_track_meta, set_track_meta
from monai.transforms import Compose, Randomizable

from monai_app.background.bounded_map import bounded_map


class SeededDataset(CacheDataset):
    """A ``CacheDataset`` whose random transforms depend only on the seed, the epoch and the item's index.

    Drawn from one sequence per process, they would change with the number of processes that share the items. All
    transforms draw from one generator, which is seeded for every item: 14 new ones would take milliseconds. Transforms
    keep no metadata of their own, which would take as long as what they do.

    Args:
        seed: the run's seed.
        arguments: those of ``CacheDataset``.
    """

    def __init__(self, *, seed: int, **arguments: Any) -> None:
        self.seed, self.epoch = seed, 0
        self._random = np.random.RandomState(seed)
        super().__init__(**arguments)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose items are given; before a loader starts its workers, which hold copies."""
        self.epoch = epoch

    def _transform(self, index: int) -> Any:
        if self.transform.R is not self._random:  # at first, and after a loader has seeded the transforms itself
            _share_generator(self.transform, self._random)
        self._random.seed(_derive(self.seed, self.epoch, index))
        with _without_metadata():
            return super()._transform(index)


class AheadLoader(DataLoader):
    """A ``DataLoader`` that makes the next batch in a thread while the caller works with the one before it.

    The batches are the same. With worker processes, which do so too, it is a plain one. The thread keeps to one core,
    however many torch uses elsewhere.
    """

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        """Yield the batches; work begins when the first is asked for."""
        return super().__iter__() if self.num_workers else self._ahead()

    def _ahead(self) -> Iterator[Any]:
        batches, threads = super().__iter__(), torch.get_num_threads()
        with ThreadPoolExecutor(1, "batches", initializer=torch.set_num_threads, initargs=(1,)) as pool:
            for _, batch in bounded_map(pool, lambda _: next(batches), range(len(self)), 1):
                torch.set_num_threads(threads)  # the thread's number became that of threads to come, too
                yield batch


class SeedEachEpoch:
    """Draw every epoch's random numbers from the seed and the epoch's number.

    A resumed run then sees the crops and augmentations that an uninterrupted one would have seen.
    """

    def __init__(self, seed: int, dataset: SeededDataset) -> None:
        self.seed, self.dataset = seed, dataset

    def attach(self, engine: Engine) -> None:
        """Seed before the trainer's loader draws its first batch of an epoch."""
        engine.add_event_handler(Events.EPOCH_STARTED, self)

    def __call__(self, engine: Engine) -> None:
        """Seed for the trainer's current epoch."""
        self.dataset.set_epoch(engine.state.epoch)
        # What is left to torch is dropout. Ranks see different crops, which equal masks would tie together.
        torch.manual_seed(_derive(self.seed, engine.state.epoch, get_rank()))


@contextmanager
def _without_metadata() -> Iterator[None]:
    tracked = get_track_meta()
    set_track_meta(False)
    try:
        yield
    finally:
        set_track_meta(tracked)


def _share_generator(transforms: Compose, generator: np.random.RandomState) -> None:
    """Let all random transforms draw from one generator; MONAI would give each its own."""
    transforms.R = generator
    for transform in transforms.transforms:
        if isinstance(transform, Compose):
            _share_generator(transform, generator)
        elif isinstance(transform, Randomizable):
            transform.set_random_state(state=generator)


def _derive(*numbers: int) -> int:
    """Mix numbers into a seed: sums would make epoch 2 of seed 0 and epoch 1 of seed 1 twins."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])
