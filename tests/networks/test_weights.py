"""Weights are read without running code and loaded only where all of them fit."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from monai_app.errors import ConfigError
from monai_app.files import file_sha256
from monai_app.networks import weights as module
from monai_app.networks.weights import (
    load_weights,
    read_checkpoint,
    read_weights,
    record_checksum,
    recorded_checksums,
    save_weights,
)


class Evil:
    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, ("evil",)


def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))


def test_weights_that_fit_are_loaded(tmp_path: Path) -> None:
    torch.save(network().state_dict(), tmp_path / "model.pt")
    target = network()
    assert load_weights(target, tmp_path / "model.pt").sha256 == file_sha256(tmp_path / "model.pt")
    for name, value in torch.load(tmp_path / "model.pt", weights_only=True).items():
        assert torch.equal(target.state_dict()[name], value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("0.bias"), r"missing: 0\.bias"),
        (lambda state: state.update(more=torch.zeros(1)), "unknown: more"),
        (lambda state: state.update({"0.bias": torch.zeros(3)}), r"0\.bias \(3,\) instead of \(2,\)"),
        (lambda state: [state.pop(name) for name in list(state)], "and 1 more"),
    ],
)
def test_weights_that_do_not_fit_are_refused_and_named_and_nothing_is_loaded(
    change: object, message: str, tmp_path: Path
) -> None:
    state = network().state_dict()
    change(state)  # type: ignore[operator]
    torch.save(state, tmp_path / "model.pt")
    target = network()
    before = {name: value.clone() for name, value in target.state_dict().items()}
    with pytest.raises(ConfigError, match=message):
        load_weights(target, tmp_path / "model.pt")
    assert all(torch.equal(before[name], value) for name, value in target.state_dict().items())


def test_a_bundle_is_loaded_with_the_weights_that_its_metadata_name_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metadata, weights = tmp_path / "configs" / "metadata.json", tmp_path / "models" / "model.pt"
    metadata.parent.mkdir()
    metadata.write_text('{"version": "1"}')
    for factor in (1, 2):
        save_weights({"a": torch.full((1,), float(factor))}, weights)
        assert read_weights(weights).state["a"].item() == factor
        assert recorded_checksums(weights) == {file_sha256(weights)}
    assert json.loads(metadata.read_text())["version"] == "1"

    with monkeypatch.context() as patched:  # killed just before the new file gets its name
        patched.setattr(Path, "replace", killed_at("model.pt", Path.replace))
        with pytest.raises(KeyboardInterrupt):
            save_weights({"a": torch.full((1,), 3.0)}, weights)
    assert read_weights(weights).state["a"].item() == 2

    with monkeypatch.context() as patched:  # killed just after
        patched.setattr(module, "_record", killed_after(1, module._record))
        with pytest.raises(KeyboardInterrupt):
            save_weights({"a": torch.full((1,), 4.0)}, weights)
    assert read_weights(weights).state["a"].item() == 4

    torch.save({"a": torch.zeros(1)}, weights)
    with pytest.raises(ConfigError, match=r"contains weights other than .*; restore the right ones"):
        read_weights(weights)
    record_checksum(weights)
    assert read_weights(weights).state["a"].item() == 0


def test_a_damaged_metadata_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / "configs").mkdir()
    save_weights({"a": torch.zeros(1)}, tmp_path / "models" / "model.pt")
    for text in ("{", "[]"):
        (tmp_path / "configs" / "metadata.json").write_text(text)
        with pytest.raises(ConfigError, match=r"metadata\.json is damaged .*; restore it"):
            record_checksum(tmp_path / "models" / "model.pt")


def killed_at(name: str, replace: Callable[[Path, Path], Path]) -> Callable[[Path, Path], Path]:
    def killing(self: Path, target: Path) -> Path:
        if target.name == name:
            raise KeyboardInterrupt
        return replace(self, target)

    return killing


def killed_after(calls: int, function: Callable[..., None]) -> Callable[..., None]:
    left = iter(range(calls))

    def killing(*arguments: object) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt
        function(*arguments)

    return killing


def test_a_checkpoint_under_a_key_is_refused(tmp_path: Path) -> None:
    torch.save({"network": network().state_dict()}, tmp_path / "model.pt")
    with pytest.raises(ConfigError, match="unknown: network"):
        load_weights(network(), tmp_path / "model.pt")


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"0.bias": Evil()}, tmp_path / "model.pt")
    with pytest.raises(ConfigError, match="would run code"):
        read_checkpoint(tmp_path / "model.pt")
    assert not (tmp_path / "evil").exists()


def test_damaged_and_missing_files_are_named(tmp_path: Path) -> None:
    torch.save(network().state_dict(), tmp_path / "model.pt")
    (tmp_path / "half.pt").write_bytes((tmp_path / "model.pt").read_bytes()[:700])
    (tmp_path / "junk.pt").write_bytes(b"half")
    torch.save([1, 2], tmp_path / "list.pt")
    for name, message in (
        ("half.pt", "damaged"),
        ("junk.pt", "damaged"),
        ("list.pt", "holds a list, but weights"),
        ("no.pt", "does not exist"),
    ):
        for read in (read_checkpoint, read_weights):
            with pytest.raises(ConfigError, match=message):
                read(tmp_path / name)


def test_no_flipped_bit_gives_other_tensors(tmp_path: Path) -> None:
    file = tmp_path / "model.pt"
    torch.save(network().state_dict(), file)
    content, state = file.read_bytes(), read_checkpoint(file)
    noticed = 0
    for place in range(0, 8 * len(content), 397):
        damaged = bytearray(content)
        damaged[place // 8] ^= 1 << place % 8
        file.write_bytes(damaged)
        try:
            read = read_checkpoint(file)
        except ConfigError as error:
            noticed += str(error).startswith(f"{file} is damaged")
        else:  # bytes between records, dates and the like
            assert all(torch.equal(read[name], value) for name, value in state.items())
    assert noticed > 20


def test_numbers_that_are_read_without_the_tensors_are_compared_too(tmp_path: Path) -> None:
    file = tmp_path / "last.ckpt"
    torch.save({"epoch": 71, "tensor": torch.ones(9)}, file)
    content = file.read_bytes()
    place = content.index(b"epoch") + 8
    assert content[place] == 71
    file.write_bytes(content[:place] + b"\x07" + content[place + 1 :])
    with pytest.raises(ConfigError, match="is damaged"):
        read_checkpoint(file, mapped=True)
