from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_app.domain.schemas import settings_table
from monai_app.errors import ConfigError
from monai_app.phantom.config import Artefacts, PhantomConfig, Structure
from monai_app.stack import Voxel


def _from(tmp_path: Path, text: str) -> PhantomConfig:
    path = tmp_path / "phantom.yaml"
    path.write_text(text, encoding="utf-8")
    return PhantomConfig.from_yaml(path)


def test_subset_is_laid_over_the_defaults(tmp_path: Path) -> None:
    config = _from(tmp_path, "rows: 96\nvoxel_nm: {z: 50}\nlens: {name: BSE}\nartefacts: {noise: 0.5}\n")
    assert (config.rows, config.columns) == (96, 512)
    assert config.voxel_nm == Voxel(z=50, y=20.0, x=20.0)
    assert [detector.name for detector in config.detectors] == ["ICE", "BSE"]
    assert config.artefacts == Artefacts(noise=0.5)


def test_mapping_is_laid_over_the_defaults() -> None:
    assert PhantomConfig.from_mapping({"voxel_nm": {"y": 8}, "seed": 2}) == PhantomConfig(
        seed=2, voxel_nm=Voxel(z=40.0, y=8, x=20.0)
    )


def test_empty_file_is_the_default(tmp_path: Path) -> None:
    assert _from(tmp_path, "") == PhantomConfig()


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**40),
    size=st.tuples(st.integers(1, 9000), st.integers(1, 9000), st.integers(1, 9000)),
    strength=st.floats(0, 10),
    level=st.floats(0, 3),
)
def test_yaml_round_trip(
    tmp_path_factory: pytest.TempPathFactory, seed: int, size: tuple[int, int, int], strength: float, level: float
) -> None:
    slices, rows, columns = size
    config = PhantomConfig(
        slices=slices,
        rows=rows,
        columns=columns,
        seed=seed,
        artefacts=Artefacts(curtaining=strength),
        structure=Structure(pore_level=level),
    )
    path = tmp_path_factory.mktemp("config") / "phantom.yaml"
    config.to_yaml(path)
    assert PhantomConfig.from_yaml(path) == config


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("row: 3", ["'row'", "rows"]),
        ("artefacts: {curtain: 1}", ["artefacts", "'curtain'", "curtaining"]),
        ("artefacts: 1", ["artefacts", "mapping"]),
        ("- 1", ["mapping"]),
        ("rows: 0", ["rows", "0", "from 1 to 65536"]),
        ("rows: 2.5", ["line 1: rows", "2.5", "integer"]),
        ("slices: true", ["slices", "True"]),
        ("seed: -1", ["seed", "-1"]),
        ("artefacts: {noise: -1}", ["artefacts::noise", "-1", "from 0 to 100"]),
        ("artefacts: {noise: .nan}", ["artefacts::noise", "nan"]),
        ("artefacts: {noise: much}", ["artefacts::noise", "'much'"]),
        ("voxel_nm: {x: 0}", ["voxel_nm::x", "from 0.001 to 1000000"]),
        ("structure: {pore_nm: 0}", ["structure::pore_nm"]),
        ("chamber: {composition: 1.5}", ["chamber::composition", "1.5", "from 0 to 1"]),
        ("chamber: {electrons: 0}", ["chamber::electrons"]),
        ("chamber: {name: a/b}", ["chamber::name", "a/b"]),
        ("lens: {name: truth}", ["lens::name", "truth"]),
        ("lens: {name: ICE}", ["ICE", "different"]),
        ("rows: 1\nrows: 2", ["rows"]),
        ("rows: [", ["not valid YAML", "line 1"]),
    ],
)
def test_refusals_name_value_and_rule(tmp_path: Path, text: str, words: list[str]) -> None:
    with pytest.raises(ConfigError) as error:
        _from(tmp_path, text)
    for word in words:
        assert word in str(error.value)


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nothing\.yaml"):
        PhantomConfig.from_yaml(tmp_path / "nothing.yaml")


def test_every_setting_is_documented() -> None:
    assert all(row.text for row in settings_table(PhantomConfig))


def test_strengths_default_to_realistic() -> None:
    assert set(Artefacts().model_dump().values()) == {1.0}


KEYS = st.sampled_from([row.name.split("::")[-1] for row in settings_table(PhantomConfig)])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.integers() | st.text(), inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None, max_examples=100)
@given(VALUES | st.dictionaries(st.sampled_from(list(PhantomConfig.model_fields)), VALUES))
def test_any_document_is_taken_or_refused(content: object) -> None:
    try:
        told = f"it: {PhantomConfig.from_mapping(content, 'it').rows}"
    except ConfigError as error:
        told = str(error)
    assert told.startswith("it: ")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("slices: 1000000000000000000000", ["slices", "from 1 to 65536"]),
        ("{rows: 60000, columns: 60000}", ["rows 60000 x columns 60000", "at most 268435456 pixels", "lower"]),
        ("seed: 12345678901234567890123", ["seed", "from 0 to 9223372036854775807"]),
        ("artefacts: {blur: 1.0e+9}", ["artefacts::blur", "from 0 to 100"]),
        ("structure: {pore_nm: 1.0e-6}", ["structure::pore_nm", "from 1 to 100000"]),
        ("structure: {clinker_radius_um: 1.0e-9}", ["structure::clinker_radius_um", "from 0.05 to 1000"]),
        ("voxel_nm: {z: 0.01}", ["voxel_nm::z", "0.01", "from 0.1 to 10000 nm"]),
        ("lens: {electrons: 1.0e+300}", ["lens::electrons", "from 0.1 to 1000000"]),
    ],
)
def test_what_would_fill_the_memory_is_refused(tmp_path: Path, text: str, words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        _from(tmp_path, text)
    assert all(word in str(caught.value) for word in words), str(caught.value)
