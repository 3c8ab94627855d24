import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monai_app.domain.phase import check_phases
from monai_app.domain.validation import validated
from monai_app.errors import ConfigError
from monai_app.names import is_printable
from monai_app.stack import Phase
from tests.specs import phases_of

PHASES = st.builds(
    Phase,
    value=st.integers(1, 255),
    name=st.text(min_size=1).filter(str.strip).filter(is_printable),
    rgb=st.tuples(*(st.integers(0, 255),) * 3),
)


def read(**entries: Any) -> Phase:
    return validated(Phase, {"value": 1, "name": "pore", "rgb": [0, 0, 0], **entries}, "sample.yaml")


@given(PHASES)
def test_a_phase_comes_back_from_json_and_from_a_sample(phase: Phase) -> None:
    assert Phase.model_validate(json.loads(json.dumps(phase.model_dump()))) == phase
    assert Phase.model_validate(phase.sample_entry()) == phase


def test_json_has_one_form_and_a_sample_the_colour() -> None:
    phase = Phase(value=3, name="pore", rgb=(255, 1, 128))
    assert phase.model_dump(mode="json") == {"value": 3, "name": "pore", "rgb": [255, 1, 128]}
    assert phase.sample_entry() == {"value": 3, "name": "pore", "colour": "#ff0180"}
    assert Phase.model_validate({"value": 3, "name": "pore", "colour": "#Ff0180"}) == phase


@pytest.mark.parametrize("value", [0, -1, 256, 1.0, "1", True, None])
def test_value_must_be_1_to_255(value: object) -> None:
    with pytest.raises(ConfigError, match=rf"sample.yaml: value: {value!r} is not an integer from 1 to 255; number"):
        read(value=value)


@pytest.mark.parametrize("name", ["", "  ", None, 5])
def test_name_must_be_text(name: object) -> None:
    with pytest.raises(ConfigError, match=rf"sample.yaml: name: {name!r} is not text; "):
        read(name=name)


@pytest.mark.parametrize("colour", ["", "000000", "#00000", "#0000000", "#gggggg", "red", None, 5])
def test_colour_must_be_hexadecimal(colour: object) -> None:
    with pytest.raises(ConfigError, match=rf'colour: {colour!r} is not of the form "#rrggbb"; .* in quotes'):
        validated(Phase, {"value": 1, "name": "pore", "colour": colour}, "sample.yaml")


@pytest.mark.parametrize("rgb", [[0, 0], [0, 0, 256], [0, 0, -1], [0, 0, 1.5], [0, 0, "1"]])
def test_rgb_must_be_three_bytes(rgb: object) -> None:
    with pytest.raises(ConfigError, match=r"sample.yaml: rgb"):
        read(rgb=rgb)


def test_other_entries_and_missing_ones_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"sample.yaml: unknown key 'density'"):
        read(density=2.65)
    with pytest.raises(ConfigError, match=r"sample.yaml: key 'colour' is missing"):
        validated(Phase, {"value": 1, "name": "pore"}, "sample.yaml")


@pytest.mark.parametrize("values", [[2], [1, 3], [2, 1], [1, 1]])
def test_values_have_no_gaps(values: list[int]) -> None:
    with pytest.raises(ConfigError, match="without gaps or repeats"):
        check_phases(tuple(Phase(value=value, name=f"phase {n}", rgb=(0, 0, 0)) for n, value in enumerate(values)))


def test_names_differ() -> None:
    with pytest.raises(ConfigError, match="'Pore' occurs twice"):
        check_phases(phases_of(["pore", "Pore"]))
