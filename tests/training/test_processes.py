from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ignite.engine import Engine

from monai_app.errors import ConfigError
from monai_app.stack import Stack
from monai_app.training import ResumeCheckpoint, join_processes, leave_processes, share_of
from monai_app.transforms import LoadAnnotationd, annotated_items, share_items


def test_processes_share_a_batch_equally_or_not_at_all() -> None:
    assert share_of(8, 1) == 8
    assert share_of(8, 4) == 2
    with pytest.raises(ConfigError, match=r"batch_size 8 and 3 processes: .* batch_size=6"):
        share_of(8, 3)
    with pytest.raises(ConfigError, match="batch_size=4"):
        share_of(2, 4)


def test_slices_are_shared_out_and_a_spare_one_counts_for_nothing(tiny_stack: Stack) -> None:
    items: list[Any] = annotated_items(str(tiny_stack.path), "train")
    shares: list[list[Any]] = [share_items(items, rank, 4) for rank in range(4)]
    assert [[item["z"] for item in share] for share in shares[:3]] == [[1], [3], [5]]
    assert [item["z"] for item in share_items(items, 0, 2)] == [1, 5]
    (spare,) = shares[3]
    loaded = LoadAnnotationd("label")(spare)["label"]
    assert loaded.shape == (1, *tiny_stack.shape[1:])
    assert not np.asarray(loaded).any()
    assert np.asarray(LoadAnnotationd("label")(shares[0][0])["label"]).any()


def test_the_configs_for_many_gpus_need_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    with pytest.raises(ConfigError, match="torchrun --nproc_per_node=2"):
        join_processes()
    leave_processes()  # nobody to leave


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "0")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    with pytest.raises(ConfigError, match=r"4 processes and 2 GPUs on"):
        join_processes()


def test_only_rank_0_locks_and_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monai_app.training.checkpoints.get_rank", lambda: 1)
    engine = Engine(lambda *_: None)
    ResumeCheckpoint(str(tmp_path / "last.ckpt"), {}).attach(engine)
    engine.run([0])
    assert list(tmp_path.iterdir()) == []


def test_processes_that_see_different_checkpoints_do_not_train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when a second machine has a folder of its own: it would begin anew while the first one goes on."""

    def gather(mine: object) -> list[int]:
        return [3, int(mine)]  # type: ignore[call-overload]

    monkeypatch.setattr("monai_app.training.checkpoints.all_gather", gather)
    engine = Engine(lambda *_: None)
    ResumeCheckpoint(str(tmp_path / "last.ckpt"), {}).attach(engine)
    with pytest.raises(ConfigError, match=r"different epochs .*\[3, -1\].* shared file system"):
        engine.run([0])
