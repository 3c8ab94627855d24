import pytest

from monai_app.domain.phase import check_phases
from monai_app.errors import ConfigError
from monai_app.stack import Phase


def test_rgb():
    assert Phase(3, "pore", "#Ff0180").rgb == (255, 1, 128)


@pytest.mark.parametrize("value", [0, -1, 256, 1.0, "1", True, None])
def test_value_must_be_1_to_255(value):
    with pytest.raises(ConfigError, match=r"'pore': value .* from 1 to 255.*number the phases"):
        Phase(value, "pore", "#000000")


@pytest.mark.parametrize("name", ["", "  ", None, 5])
def test_name_must_be_text(name):
    with pytest.raises(ConfigError, match="phase 1: name"):
        Phase(1, name, "#000000")


@pytest.mark.parametrize("colour", ["", "000000", "#00000", "#0000000", "#gggggg", "red", None, 5])
def test_colour_must_be_hexadecimal(colour):
    with pytest.raises(ConfigError, match="is not of the form '#rrggbb'"):
        Phase(1, "pore", colour)


@pytest.mark.parametrize("values", [[2], [1, 3], [2, 1], [1, 1]])
def test_values_have_no_gaps(values):
    with pytest.raises(ConfigError, match="without gaps or repeats"):
        check_phases([Phase(value, f"phase {n}", "#000000") for n, value in enumerate(values)])


def test_names_differ():
    with pytest.raises(ConfigError, match="'Pore' occurs twice"):
        check_phases([Phase(1, "pore", "#000000"), Phase(2, "Pore", "#000001")])
