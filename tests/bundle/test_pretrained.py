"""Weights of one model as the beginning of another: what means the same is taken, the rest is named."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from monai_app.bundle.configs.templates import template_path
from monai_app.bundle.pretrained import Transfer, transfer
from monai_app.bundle.run_folder import prepare
from monai_app.domain.model_spec import ModelSpec
from monai_app.errors import ConfigError, TargetExistsError
from monai_app.stack import Stack
from monai_app.yamlfile import read_yaml
from tests.conftest import TINY, TINY_SENSOR3D, as_options, run_command
from tests.specs import spec_of

BUNDLES = {
    "unet": (template_path("fibsem_unet_segmentation"), {"features": TINY["features"]}),
    "sensor3d": (template_path("fibsem_sensor3d_segmentation"), {"filters": 4, "norm": "batch"}),
}
FIRST = {"unet": "conv_0.conv_0.conv.weight", "sensor3d": "encoder.0.0.weight"}
LAST = {"unet": "final_conv", "sensor3d": "classify"}
BOTH = pytest.mark.parametrize("kind", list(BUNDLES))


def config_of(kind: str, detectors: list[str], slices: int, phases: list[str], **more: object) -> dict[str, Any]:
    template, small = BUNDLES[kind]
    entries = [{"value": n + 1, "name": name, "rgb": [0, 0, 0]} for n, name in enumerate(phases)]
    shown = {"detectors": detectors, "slices": slices, "phases": entries}
    return {**read_yaml(template / "configs" / "train.yaml"), **small, **shown, **more}


def spec_in(config: dict[str, Any]) -> ModelSpec:
    return spec_of(config["detectors"], config["slices"], phases=config["phases"])


def begin(old: dict[str, Any], new: dict[str, Any]) -> tuple[dict[str, torch.Tensor], Transfer]:
    """The old model's weights, all of them different numbers, and what the new one takes over."""
    empty = transfer_of(old, old, None)
    source = {name: torch.randn_like(t) if t.is_floating_point() else t + 7 for name, t in empty.state.items()}
    return source, transfer_of(old, new, source)


def transfer_of(old: dict[str, Any], new: dict[str, Any], source: dict[str, torch.Tensor] | None) -> Transfer:
    from monai.bundle import ConfigParser

    state = source or ConfigParser(dict(old)).get_parsed_content("network_def").state_dict()
    return transfer(state, spec_in(old), new, spec_in(new))


@BOTH
def test_a_model_of_the_same_kind_takes_over_everything(kind: str) -> None:
    config = config_of(kind, ["ICE", "TLD"], 3, ["pore", "clinker"])
    source, result = begin(config, config)
    assert result.copied == list(source)
    assert (result.partial, result.initialised) == ({}, [])
    for name, tensor in source.items():
        assert torch.equal(result.state[name], tensor), name


@BOTH
def test_phases_are_matched_by_name(kind: str) -> None:
    old = config_of(kind, ["ICE"], 3, ["pore", "hydrate", "clinker"])
    new = config_of(kind, ["ICE"], 3, ["clinker", "alite", "pore", "belite"])
    source, result = begin(old, new)
    assert result.initialised == []
    assert set(result.partial) == {f"{LAST[kind]}.weight", f"{LAST[kind]}.bias"}
    assert all(names == ["alite", "belite"] for names in result.partial.values())
    weight, before = result.state[f"{LAST[kind]}.weight"], source[f"{LAST[kind]}.weight"]
    assert torch.equal(weight[0], before[2])
    assert torch.equal(weight[2], before[0])
    assert not any(torch.equal(weight[1], row) for row in before)


@BOTH
def test_detectors_are_matched_by_name_even_where_shapes_agree(kind: str) -> None:
    old = config_of(kind, ["ICE", "TLD"], 3, ["pore", "clinker"])
    new = config_of(kind, ["TLD", "BSE"], 3, ["pore", "clinker"])
    source, result = begin(old, new)
    kernel, before = result.state[FIRST[kind]], source[FIRST[kind]]
    assert torch.equal(kernel[:, 0::2], before[:, 1::2])  # TLD, of every slice
    assert not torch.isin(kernel[:, 1::2], before).any()
    assert all("BSE" in name for name in result.partial[FIRST[kind]])
    only = config_of(kind, ["SE"], 3, ["pore", "clinker"])
    assert begin(config_of(kind, ["TLD"], 3, ["pore", "clinker"]), only)[1].initialised == [FIRST[kind]]


def test_more_slices_take_the_middle_slice() -> None:
    kind = "unet"
    old = config_of(kind, ["ICE", "TLD"], 1, ["pore", "clinker"])
    source, result = begin(old, config_of(kind, ["ICE", "TLD"], 3, ["pore", "clinker"]))
    assert torch.equal(result.state[FIRST[kind]][:, 2:4], source[FIRST[kind]])
    assert result.partial[FIRST[kind]] == ["z-1:ICE", "z-1:TLD", "z+1:ICE", "z+1:TLD"]


def test_another_kind_or_size_of_network_is_refused() -> None:
    unet = config_of("unet", ["ICE"], 3, ["pore", "clinker"])
    with pytest.raises(ConfigError, match="no layer fits"):
        begin(config_of("sensor3d", ["ICE"], 3, ["pore", "clinker"]), unet)


def test_new_weights_come_from_the_seed() -> None:
    old = config_of("unet", ["ICE"], 3, ["pore"])
    states = [begin(old, config_of("unet", ["ICE"], 3, ["pore", "new"], seed=seed))[1].state for seed in (1, 1, 2)]
    rows = [state["final_conv.weight"][1] for state in states]
    assert torch.equal(rows[0], rows[1])
    assert not torch.equal(rows[0], rows[2])


def test_a_run_begins_with_the_weights_and_says_what_does_not_fit(
    tiny_stack: Stack, trained: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    words = ["train", tiny_stack.path, run, *as_options(TINY), "--detectors", "TLD", "--from", trained]
    shown = run_command("-m", "monai_app", *words, "--set", "learning_rate=1e-12", "--set", "weight_decay=0")
    assert "tensors were copied completely" in shown.stderr
    record = json.loads((run / "run.json").read_text())["pretrained"]
    assert len(record["weights_sha256"]) == 64
    before = torch.load(trained / "models" / "model.pt", weights_only=True)
    after = torch.load(run / "models" / "model.pt", weights_only=True)
    assert torch.equal(torch.load(run / "models" / "initial.pt", weights_only=True)[FIRST["unet"]],
                       before[FIRST["unet"]][:, 1::2])  # fmt: skip
    # Training at no rate to speak of leaves them as they were: it did begin with them, the running average too.
    torch.testing.assert_close(after["final_conv.weight"], before["final_conv.weight"], rtol=0, atol=1e-6)


def test_a_run_begun_otherwise_is_another_run(tiny_stack: Stack, trained: Path, tmp_path: Path) -> None:
    template, run = template_path("fibsem_unet_segmentation"), tmp_path / "run"
    assert prepare(template, tiny_stack, run, settings=TINY, pretrained=trained)
    assert not prepare(template, tiny_stack, run, settings=TINY, pretrained=trained)
    with pytest.raises(TargetExistsError, match="it started from other weights"):
        prepare(template, tiny_stack, run, settings=TINY)
    with pytest.raises(ConfigError, match="follows from --from"):
        prepare(template, tiny_stack, tmp_path / "other", settings={**TINY, "pretrained": True})


def test_what_is_no_trained_bundle_is_refused(tiny_stack: Stack, trained: Path, tmp_path: Path) -> None:
    sensor3d = template_path("fibsem_sensor3d_segmentation")
    for source, message in ((tmp_path, "not a trained bundle"), (trained / "run.json", "is a file")):
        with pytest.raises(ConfigError, match=message):
            prepare(sensor3d, tiny_stack, tmp_path / "run", settings=TINY_SENSOR3D, pretrained=source)
    with pytest.raises(ConfigError, match="no layer fits"):
        prepare(sensor3d, tiny_stack, tmp_path / "run", settings=TINY_SENSOR3D, pretrained=trained)
    damaged = Path(shutil.copytree(trained, tmp_path / "damaged"))
    (damaged / "models" / "model.pt").write_bytes(b"no weights")
    with pytest.raises(ConfigError, match="is damaged"):
        prepare(
            template_path("fibsem_unet_segmentation"), tiny_stack, tmp_path / "run", settings=TINY, pretrained=damaged
        )
