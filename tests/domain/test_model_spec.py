"""A model's specification: made, written, read back, fitted to stacks, and refused where something is wrong."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monai_app.domain.model_spec import ModelSpec
from monai_app.domain.training_stack import ChannelStats
from monai_app.errors import AnnotationError, ConfigError, StackError
from monai_app.stack import ArrayStack
from tests.specs import phases_of, spec_of

SCALING = {"ICE": {"mean": 10.0, "std": 2.0}, "TLD": {"mean": 20.5, "std": 4.0}}
PHASES = [{"value": 1, "name": "pore", "rgb": [0, 0, 0]}, {"value": 2, "name": "hydrate", "rgb": [1, 2, 3]}]
CONTENT = {
    "network": "BasicUNet",
    "detectors": ["ICE", "TLD"],
    "slices": 3,
    "stride": 16,
    "channel_name": ["z-1:ICE", "z-1:TLD", "z:ICE", "z:TLD", "z+1:ICE", "z+1:TLD"],
    "channel_mean": [10.0, 20.5] * 3,
    "channel_std": [2.0, 4.0] * 3,
    "dtype": "uint8",
    "phases": PHASES,
    "settings": {"dropout": 0.0},
}
"""As earlier versions wrote it too."""

NAMES = st.text("ABCDEFGHI0123456789_-", min_size=1)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@st.composite
def specs(draw: st.DrawFn) -> ModelSpec:
    detectors = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    stats = st.builds(ChannelStats, mean=st.floats(-1e5, 1e5), std=st.floats(1e-3, 1e5))
    stride = draw(st.integers(1, 64))
    return spec_of(
        detectors,
        2 * draw(st.integers(0, 4)) + 1,
        network=draw(st.text()),
        stride=stride,
        scaling={name: draw(stats) for name in detectors},
        dtype=draw(st.sampled_from(["uint8", "uint16"])),
        phases=phases_of(draw(st.lists(NAMES, min_size=1, max_size=5, unique=True))),
        settings=draw(st.dictionaries(st.text(), st.integers() | st.text() | st.lists(st.integers()))),
        halo=draw(st.none() | st.integers(0, 10).map(lambda n: n * stride)),
        maps=draw(st.none() | st.integers(0, 1000)),
    )


def test_a_config_makes_what_earlier_versions_wrote() -> None:
    spec = ModelSpec.of(
        network="BasicUNet",
        detectors=["ICE", "TLD"],
        slices=3,
        stride=16,
        scaling=SCALING,
        dtype="uint8",
        phases=PHASES,
        settings={"dropout": 0.0},
    )
    assert spec.to_json() == CONTENT
    assert {name: stats.model_dump() for name, stats in spec.scaling.items()} == SCALING
    assert spec.phase_names == ["pore", "hydrate"]


@given(specs())
def test_it_comes_back_from_json_and_leaves_other_entries_alone(spec: ModelSpec) -> None:
    content = {**json.loads(json.dumps(spec.to_json())), "added later": 1}
    assert ModelSpec.from_json(content, "model.ts") == spec
    assert ModelSpec.from_json(content, "model.ts").to_json() == spec.to_json()
    assert ("halo" in content, "maps" in content) == (spec.halo is not None, spec.maps is not None)


@pytest.mark.parametrize("name", list(CONTENT))
def test_a_missing_or_foreign_entry_is_named(name: str) -> None:
    content = {key: value for key, value in CONTENT.items() if key != name}
    for wrong in (content, {**content, name: None}):
        with pytest.raises(
            ConfigError, match=rf"model.ts: model_description: .*\b{name}\b.*; .*`monai-app export RUN`"
        ):
            ModelSpec.from_json(wrong, "model.ts")


@given(name=st.sampled_from(list(CONTENT)), value=JSON_VALUES)
def test_any_content_is_read_or_refused(name: str, value: Any) -> None:
    try:
        spec = ModelSpec.from_json({**CONTENT, name: value}, "model.ts")
    except ConfigError as error:
        message = str(error)
        assert message.startswith("model.ts: model_description: ")
        assert name in message
        assert "; " in message
    else:
        assert json.loads(json.dumps(spec.to_json()))[name] == value


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"slices": 2}, "slices: 2 must be odd"),
        ({"stride": 0}, "stride: 0 is not an integer of at least 1"),
        ({"dtype": "float32"}, "dtype: 'float32' is not one of uint8, uint16"),
        ({"channel_mean": [1.0]}, r"channel_mean \[1.0\]: must have 6 numbers"),
        (
            {"channel_mean": [1.0, 2, 3, 4, 5, 6]},
            r"channel_mean .*: must have 6 numbers, the values of ICE, TLD 3 times",
        ),
        ({"channel_std": [1, 1, 1, 1, 1, 0]}, "channel_std::5: 0 is not a number above 0"),
        ({"channel_name": ["z:ICE", "z:TLD"] * 3}, "channel_name .*: must be .*z-1:ICE"),
        ({"phases": PHASES[::-1]}, r"phase values \[2, 1\] are not 1..2"),
        ({"phases": [{**PHASES[0], "rgb": [0, 0, 256]}]}, "phases::0::rgb::2: 256.*255"),
        ({"halo": 20}, "halo 20: must be a multiple of the stride 16"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_numbers_that_do_not_fit_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=f"model.ts: model_description: {message}.*; "):
        ModelSpec.from_json({**CONTENT, **change}, "model.ts")


def test_a_file_without_a_description_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"foreign.ts has no model_description.*monai-app export RUN"):
        ModelSpec.from_json(None, "foreign.ts")


@pytest.mark.parametrize(
    ("scaling", "message"),
    [
        ({"ICE": {"mean": 0.0, "std": 1.0}}, "no scaling for detector 'TLD'.*add it under 'scaling'"),
        ({**SCALING, "ICE": {"mean": 0.0, "std": 0.0}}, "scaling: ICE: std: 0.0 is not a number above 0"),
        ({**SCALING, "ICE": {"mean": float("nan"), "std": 1.0}}, "scaling: ICE: mean: nan is not a number"),
        ({**SCALING, "ICE": 5}, "scaling: ICE: "),
    ],
)
def test_missing_or_senseless_scaling_is_refused(scaling: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ModelSpec.of(detectors=["ICE", "TLD"], slices=1, scaling=scaling)


def test_a_stack_must_have_the_detectors_and_the_pixels() -> None:
    stack = ArrayStack(["TLD", "BSE", "ICE"], np.zeros((3, 1, 4, 4), np.uint16), Path("sample"))
    spec_of(["ICE", "TLD"], dtype="uint16").check_stack(stack)
    with pytest.raises(ConfigError, match="detector 'SE' of the model does not exist in sample, which has TLD, BSE"):
        spec_of(["ICE", "SE"], dtype="uint16").check_stack(stack)
    with pytest.raises(StackError, match=r"pixels of sample are uint16, but the model was trained on uint8.*; convert"):
        spec_of(["ICE"]).check_stack(stack)


@pytest.mark.parametrize("names", [["pore"], ["hydrate", "pore"], ["pore", "hydrate", "clinker"], []])
def test_phases_must_agree_in_name_and_order(names: list[str]) -> None:
    spec = spec_of(phases=phases_of(["pore", "hydrate"]))
    spec.check_phases(phases_of(["pore", "hydrate"]), Path("sample"))
    with pytest.raises(
        AnnotationError, match=r"phases of sample are .*, but those of the model are \['pore', 'hydrate'\].*; use"
    ):
        spec.check_phases(phases_of(names), Path("sample"))


STACKS: list[dict[str, Any]] = [
    {
        "name": name,
        "identity": name,
        "voxel_nm": [20, 10, 10],
        "greys": {"ICE": [shift] * 16, "TLD": [9] * 16},
        "scaling": {"ICE": {"mean": shift, "std": 2}, "TLD": {"mean": 9, "std": 3}},
    }
    for name, shift in (("a", 5), ("b", 7))
]


def test_each_training_stack_may_have_a_scaling_of_its_own() -> None:
    spec = spec_of(["ICE", "TLD"], 3, training_stacks=STACKS)
    assert ModelSpec.from_json(json.loads(json.dumps(spec.to_json())), "here") == spec
    of_b = spec.of_stack("b")
    assert of_b.channel_mean == (7, 9) * 3
    assert of_b.channel_std == (2, 3) * 3
    of_b.check_common_scaling("anything")
    assert spec.of_stack("c") is spec
    with pytest.raises(ConfigError, match=r"^it fails: .*\(a, b\).*scaling_of=common"):
        spec.check_common_scaling("it fails")


def test_a_detector_takes_the_part_of_another_in_all_that_names_it() -> None:
    spec = spec_of(["ICE", "TLD"], 1, training_stacks=STACKS)
    assert spec.reading({}) is spec
    read = spec.reading({"ICE": "SE"})
    assert (read.detectors, read.channel_name) == (("SE", "TLD"), ("z:SE", "z:TLD"))
    assert (read.channel_mean, read.stand_ins) == (spec.channel_mean, {"ICE": "SE"})
    assert read.of_stack("a").scaling["SE"].mean == 5
    assert set(read.training_stacks[0].greys) == {"SE", "TLD"}
    assert spec_of(["ICE", "TLD"], 1, stand_ins={"ICE": "TLD", "TLD": "ICE"}).detectors == ("TLD", "ICE")
    with pytest.raises(ConfigError, match="detector 'SE' in place of 'ICE' does not exist"):
        read.check_stack(ArrayStack(["ICE", "TLD"], np.zeros((2, 1, 4, 4), np.uint8)))


@pytest.mark.parametrize(
    ("stand_ins", "message"),
    [
        ({"HAADF": "SE"}, "detector 'HAADF', which 'SE' is to replace, is not one of the model's, which are ICE, TLD"),
        ({"ICE": "TLD"}, "detector 'TLD' would replace two detectors"),
        ({"ICE": "SE", "TLD": "SE"}, "detector 'SE' would replace two detectors"),
    ],
)
def test_a_part_that_there_is_not_and_two_parts_of_one_detector_are_refused(
    stand_ins: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        spec_of(["ICE", "TLD"]).reading(stand_ins)
