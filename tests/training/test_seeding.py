"""What a training item looks like depends on the seed, the epoch and its index, not on who makes it."""

import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Engine, Events
from monai.bundle import ConfigParser
from monai.data import DataLoader, MetaTensor, get_track_meta
from monai.transforms import Compose, RandFlip

from monai_app.stack import Stack
from monai_app.training import AheadLoader, SeedEachEpoch, SeededDataset


@pytest.fixture
def open_config(trained: Path, tiny_stack: Stack) -> Any:
    """Read the training config of a run anew, with other values."""

    def read(**changes: object) -> ConfigParser:
        parser = ConfigParser(ConfigParser.load_config_file(trained / "configs" / "train.yaml"))
        parser.update({"bundle_root": str(trained), "dataset_dir": str(tiny_stack.path), **changes})
        parser.get_parsed_content("imports")
        return parser

    return read


def batches(config: ConfigParser, epoch: int) -> list[dict[str, torch.Tensor]]:
    """The batches of an epoch, as the trainer's handlers prepare them."""
    seeding, loader = (config.get_parsed_content(name) for name in ("train::handlers::0", "train::dataloader"))
    engine = Engine(lambda *_: None)
    seeding.attach(engine)
    engine.state.epoch = epoch
    engine.fire_event(Events.EPOCH_STARTED)
    loader.sampler.set_epoch(epoch)
    return list(loader)


def test_worker_processes_do_not_change_the_items(open_config: Any) -> None:
    alone, helped = (batches(open_config(workers=workers), 3) for workers in (0, 2))
    for one, other in zip(alone, helped, strict=True):
        assert torch.equal(one["image"], other["image"])
        assert torch.equal(one["label"], other["label"])


def test_the_batches_of_all_ranks_are_those_of_one_process(open_config: Any) -> None:
    """Item by item, whatever the order in a batch: sums over it decide."""
    whole = batches(open_config(batch_size=4), 2)
    shares = [batches(open_config(batch_size=4, processes=2, rank=rank), 2) for rank in (0, 1)]
    assert [len(share) for share in shares] == [len(whole)] * 2
    for number, batch in enumerate(whole):
        together = torch.cat([share[number]["image"] for share in shares])
        sums = [sorted(images.double().sum((1, 2, 3)).tolist()) for images in (batch["image"], together)]
        assert sums[0] == sums[1]


def test_every_item_is_seen_once_an_epoch(open_config: Any) -> None:
    seen: Counter[int] = Counter()
    orders = set()
    for rank in range(3):
        config = open_config(batch_size=6, processes=3, rank=rank)
        sampler = config.get_parsed_content("train::dataloader").sampler
        seen.update(sampler)
        for epoch in range(3):
            sampler.set_epoch(epoch)
            orders.add(tuple(sampler))
    assert seen == Counter(range(len(config.get_parsed_content("train::dataset"))))
    assert len(orders) == 9  # shuffled anew every epoch


def test_the_trainer_reshuffles_every_epoch(open_config: Any) -> None:
    """MONAI's engines tell a distributed sampler the epoch, as long as they know it for one."""
    config = open_config()
    trainer, loader = (config.get_parsed_content(name) for name in ("train::trainer", "train::dataloader"))
    for epoch in (1, 2):
        trainer.state.epoch = epoch
        trainer.fire_event(Events.EPOCH_STARTED)
        assert loader.sampler.epoch == epoch


def test_seeds_epochs_and_items_have_random_numbers_of_their_own() -> None:
    class Draw(RandFlip):
        def __call__(self, *_: Any, **options: Any) -> Any:
            return float(self.R.random())

    draws: set[float] = set()
    torch_draws: set[float] = set()
    for seed in range(3):
        dataset = SeededDataset(seed=seed, data=[0] * 3, transform=Compose([Compose([Draw()])]), progress=False)
        engine = Engine(lambda *_: None)
        SeedEachEpoch(seed, dataset).attach(engine)
        for epoch in range(3):
            engine.state.epoch = epoch
            engine.fire_event(Events.EPOCH_STARTED)
            torch_draws.add(float(torch.rand(1)))
            draws.update(dataset[index] for index in range(3))
            assert dataset[0] == dataset[0]
    assert len(draws) == 27
    assert len(torch_draws) == 9


class Numbers(torch.utils.data.Dataset[int]):
    """The numbers from 0; which are made, and that the made ones wait to be taken, is known."""

    def __init__(self, length: int, broken: int = -1) -> None:
        self.length, self.broken = length, broken
        self.made = threading.Semaphore(0)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> int:
        self.made.release()
        if index == self.broken:
            raise ValueError(f"number {index}")
        return index


def test_the_next_batch_is_made_while_one_is_worked_with() -> None:
    numbers, threads = Numbers(6), torch.get_num_threads()
    loader = AheadLoader(numbers, batch_size=2)
    batches = iter(loader)
    assert not numbers.made.acquire(blocking=False)  # the epoch's handlers come before the first batch
    assert next(batches).tolist() == [0, 1]
    assert all(numbers.made.acquire(timeout=60) for _ in range(4))
    assert torch.get_num_threads() == threads
    assert [batch.tolist() for batch in batches] == [[2, 3], [4, 5]]
    assert [batch.tolist() for batch in loader] == [batch.tolist() for batch in DataLoader(numbers, batch_size=2)]


def test_an_item_that_cannot_be_made_ends_the_epoch_in_its_turn() -> None:
    batches = iter(AheadLoader(Numbers(6, broken=3), batch_size=2))
    assert next(batches).tolist() == [0, 1]
    with pytest.raises(ValueError, match="number 3"):
        next(batches)


def test_crops_carry_no_metadata(open_config: Any) -> None:
    item = open_config().get_parsed_content("train::dataset")[0][0]
    assert {type(item[key]) for key in ("image", "label")} == {torch.Tensor}
    assert MetaTensor not in map(type, item.values())
    assert get_track_meta()


def test_dropout_differs_between_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = SeededDataset(seed=0, data=[0], transform=Compose([RandFlip()]), progress=False)
    draws = []
    for rank in (0, 1, 0):
        monkeypatch.setattr("monai_app.training.seeding.get_rank", lambda rank=rank: rank)
        engine = Engine(lambda *_: None)
        engine.state.epoch = 1
        SeedEachEpoch(0, dataset)(engine)
        draws.append(float(torch.rand(1)))
    assert draws[0] == draws[2] != draws[1]
