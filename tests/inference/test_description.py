"""The model's description: made, written, read back, and refused where something is missing."""

import json

import pytest

from monai_app.errors import ConfigError
from monai_app.inference.description import ModelDescription

PHASES = [{"value": 1, "name": "pore", "rgb": [0, 0, 0]}, {"value": 2, "name": "hydrate", "rgb": [1, 2, 3]}]
SCALING = {"ICE": {"mean": 10.0, "std": 2.0}, "TLD": {"mean": 20.5, "std": 4.0}}


def described(**changes: object) -> ModelDescription:
    values = {"network": "BasicUNet", "detectors": ["ICE", "TLD"], "slices": 3, "stride": 16, "scaling": SCALING}
    values |= {"dtype": "uint8", "phases": PHASES, "settings": {"dropout": 0.0}}
    return ModelDescription.of(**{**values, **changes})


def test_channels_are_slice_major_with_the_scaling_of_their_detector() -> None:
    description = described()
    assert description.channel_name == ["z-1:ICE", "z-1:TLD", "z:ICE", "z:TLD", "z+1:ICE", "z+1:TLD"]
    assert description.channel_mean == [10.0, 20.5] * 3
    assert description.channel_std == [2.0, 4.0] * 3
    assert description.scaling == SCALING
    assert [phase.name for phase in description.phase_list] == ["pore", "hydrate"]


def test_it_comes_back_from_json_and_leaves_other_entries_alone() -> None:
    content = {**json.loads(json.dumps(described().to_json())), "added later": 1}
    assert "halo" not in content
    assert ModelDescription.from_json(content, "model.ts") == described()
    assert ModelDescription.from_json({**content, "halo": 96}, "model.ts").halo == 96


@pytest.mark.parametrize("name", list(described().to_json()))
def test_a_missing_or_foreign_entry_is_named(name: str) -> None:
    content = described().to_json()
    with pytest.raises(ConfigError, match=f"model.ts: '{name}'.* is None|model.ts: .*{name}"):
        ModelDescription.from_json({**content, name: None}, "model.ts")
    del content[name]
    with pytest.raises(ConfigError, match=f"model.ts: its model_description has no '{name}'; .*monai-app export RUN"):
        ModelDescription.from_json(content, "model.ts")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"slices": 2}, "slices 2: must be odd"),
        ({"stride": 0}, "stride 0: must be 1 or more"),
        ({"dtype": "float32"}, "dtype 'float32': must be one of uint8, uint16"),
        ({"channel_mean": [1.0]}, r"channel_mean \[1.0\]: 3 slices of .* have 6"),
        ({"channel_std": [1, 1, 1, 1, 1, 0]}, "channel_std .*: must be positive"),
        ({"phases": PHASES[::-1]}, "their values must be 1, 2, 3"),
        ({"halo": 20}, "halo 20: must be a multiple of the stride 16"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_numbers_that_do_not_fit_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ModelDescription.from_json({**described().to_json(), **change}, "model.ts")


def test_a_file_without_a_description_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"foreign.ts has no model_description.*monai-app export RUN"):
        ModelDescription.from_json(None, "foreign.ts")
