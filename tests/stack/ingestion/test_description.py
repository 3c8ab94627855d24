from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monai_app.errors import ConfigError
from monai_app.stack import AnnotationDescription, Phase, SampleDescription, SourceDescription
from monai_app.stack.ingestion.description import VoxelDescription
from tests.stack.ingestion import changing
from tests.stack.samples import SampleFolder


def test_reads_everything(sample: SampleFolder) -> None:
    sample.content["annotations"] |= {"rest_unlabelled": True, "train": [2, "slice_10"]}
    description = SampleDescription.from_yaml(sample.write())
    assert description.name == "sample"
    assert description.voxel == VoxelDescription(z=20.0, y=10.0, x=5.0)
    assert {name: entry.source for name, entry in description.detectors.items()} == {
        name: sample.root / name for name in ("ICE", "TLD")
    }
    assert list(description.detectors) == ["ICE", "TLD"]
    assert description.phases == (
        Phase(value=1, name="pore", rgb=(32, 48, 79)),
        Phase(value=2, name="hydrate", rgb=(192, 176, 144)),
    )
    assert description.annotations == AnnotationDescription(
        source=SourceDescription(source=sample.root / "annotations"),
        mapping={0: "pore", 7: "hydrate"},
        unlabelled=(255,),
        rest_unlabelled=True,
        train=(2, "slice_10"),
        test=(5,),
    )


def test_annotations_and_phases_are_optional(sample: SampleFolder) -> None:
    del sample.content["annotations"], sample.content["phases"]
    description = SampleDescription.from_yaml(sample.write())
    assert description.annotations is None
    assert description.phases == ()


def test_detectors_keep_their_order(sample: SampleFolder) -> None:
    sample.content["detectors"] = {"TLD": "TLD", "ICE": "ICE", "SE": "ICE"}
    assert list(SampleDescription.from_yaml(sample.write()).detectors) == ["TLD", "ICE", "SE"]


def test_paths_are_relative_to_the_file(
    sample: SampleFolder, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert SampleDescription.from_yaml(sample.write()).detectors["ICE"].source == sample.root / "ICE"


def _set(content: Any, path: list[Any], value: object) -> None:
    *parents, last = path
    for key in parents:
        content = content[key]
    content[last] = value


BROKEN = {
    "unknown key": (["colour"], "red", "unknown key 'colour'"),
    "unknown annotation key": (["annotations", "tests"], [1], "unknown key 'tests'"),
    "unknown axis": (["voxel_nm", "w"], 1, "unknown key 'w'"),
    "name is a number": (["name"], 5, "name: 5 is not text"),
    "name is empty": (["name"], " ", "name: ' ' is not text"),
    "voxel is a number": (["voxel_nm"], 10, "voxel_nm: 10 is not a mapping"),
    "voxel is text": (["voxel_nm", "z"], "10 nm", "voxel_nm::z: '10 nm' is not a number from 0.001 to 1000000"),
    "voxel is 0": (["voxel_nm", "y"], 0, "voxel_nm::y: 0 is not a number from 0.001 to 1000000"),
    "voxel is true": (["voxel_nm", "y"], True, "voxel_nm::y: True is not a number"),
    "voxel is infinite": (["voxel_nm", "x"], float("inf"), "voxel_nm::x: inf is not a number"),
    "no detectors": (["detectors"], {}, "detectors: {} is not a mapping"),
    "detectors are a list": (["detectors"], ["ICE"], "is not a mapping"),
    "detector name is a number": (["detectors", 5], "ICE", "detectors: key 5 is not text; write it in quotes"),
    "detector path is missing": (["detectors", "SE"], "SE", "SE does not exist"),
    "detector path is null": (["detectors", "SE"], None, "detectors::SE: None is not text"),
    "detector name occurs twice": (["detectors", "ice"], "TLD", "'ICE' and 'ice' are the same name"),
    "phases are a mapping": (["phases"], {"pore": 1}, "phases: .* is not a list"),
    "phase is a name": (["phases"], ["pore"], "phases::0: 'pore' is not a mapping"),
    "phase without colour": (
        ["phases"],
        [{"value": 1, "name": "pore"}],
        """key 'colour' is missing; add it, such as colour: "#56b4e9\"""",
    ),
    "path is nobody's": (["detectors", "SE"], "~nobody-here/SE", "cannot be accessed"),
    "path is long": (["detectors", "SE"], "a" * 5000, "cannot be accessed"),
    "colour is null": (["phases", 0, "colour"], None, 'colour: None is not of the form "#rrggbb"'),
    "phases have a gap": (["phases", 1, "value"], 3, r"phase values \[1, 3\] are not 1..2"),
    "phase named twice": (["phases", 1, "name"], "pore", "phase name 'pore' occurs twice"),
    "annotations are a list": (["annotations"], [1], "annotations: .* is not a mapping"),
    "source is missing": (["annotations", "source"], "nowhere", "nowhere does not exist"),
    "mapping is empty": (["annotations", "mapping"], {}, "annotations::mapping: {} is not a mapping"),
    "mapping from text": (
        ["annotations", "mapping"],
        {"0": "pore"},
        "mapping: key '0' is not an integer; write it without quotes",
    ),
    "mapping to a number": (["annotations", "mapping"], {0: 1}, "annotations::mapping::0: 1 is not text"),
    "mapping to no phase": (["annotations", "mapping"], {0: "void"}, "value 0 means 'void', which is not a phase"),
    "unlabelled is a number": (["annotations", "unlabelled"], 255, "255 is not a list"),
    "unlabelled is mapped": (["annotations", "unlabelled"], [7], "value 7 is both phase 'hydrate'"),
    "unlabelled twice": (["annotations", "unlabelled"], [9, 9], "9 occurs twice"),
    "rest is text": (["annotations", "rest_unlabelled"], "yes", "'yes' is not true or false"),
    "slices are text": (["annotations", "slices"], ["2"], "slices::0: '2' is not an integer"),
    "slices twice": (["annotations", "slices"], [2, 2], "slices: 2 occurs twice"),
    "train is a number": (["annotations", "train"], 5, "train: 5 is not a list"),
    "train holds true": (["annotations", "train"], [True], "train::0: True is not an integer or text"),
    "train holds 1.5": (["annotations", "test"], [1.5], "test::0: 1.5 is not an integer or text"),
}


@pytest.mark.parametrize(("path", "value", "message"), BROKEN.values(), ids=BROKEN)
def test_refuses(sample: SampleFolder, path: list[Any], value: object, message: str) -> None:
    _set(sample.content, path, value)
    description = sample.write()
    with pytest.raises(ConfigError, match=message) as error:
        SampleDescription.from_yaml(description)
    assert str(description) in str(error.value)


@pytest.mark.parametrize("name", ["a+b", "a/b", "a b", "", ".a", "..", "-a", "é"])
def test_refuses_detector_names(sample: SampleFolder, name: str) -> None:
    sample.content["detectors"][name] = "ICE"
    with pytest.raises(ConfigError, match="detectors"):
        SampleDescription.from_yaml(sample.write())


@pytest.mark.parametrize("name", ["ICE", "tld", "SE_2", "In-lens.1", "4QBSD"])
def test_accepts_detector_names(sample: SampleFolder, name: str) -> None:
    sample.content["detectors"] = {name: "ICE"}
    assert list(SampleDescription.from_yaml(sample.write()).detectors) == [name]


@pytest.mark.parametrize("key", ["name", "detectors"])
def test_refuses_missing_keys(sample: SampleFolder, key: str) -> None:
    del sample.content[key]
    with pytest.raises(ConfigError, match=f"key '{key}' is missing"):
        SampleDescription.from_yaml(sample.write())


def test_refuses_annotations_without_split(sample: SampleFolder) -> None:
    del sample.content["annotations"]["train"], sample.content["annotations"]["test"]
    with pytest.raises(ConfigError, match="no slice is listed in 'train' or 'test'"):
        SampleDescription.from_yaml(sample.write())


def test_refuses_a_key_given_twice(tmp_path: Path) -> None:
    (tmp_path / "sample.yaml").write_text("name: a\ndetectors:\n  ICE: a\n  ICE: b\n")
    with pytest.raises(ConfigError, match=r'duplicate key "ICE" \(line 4.*rename or remove one'):
        SampleDescription.from_yaml(tmp_path / "sample.yaml")


def test_unquoted_colour_says_how_to_quote(sample: SampleFolder) -> None:
    del sample.content["annotations"], sample.content["phases"]
    path = sample.write()
    path.write_text(path.read_text() + "phases:\n- value: 1\n  name: pore\n  colour: #20304f\n")
    with pytest.raises(ConfigError, match="in quotes"):
        SampleDescription.from_yaml(path)


@pytest.mark.parametrize("content", [b"name: [", b"\xff\xfe\x00", b"", b"just text", b"a: b: c"])
def test_refuses_files_that_are_no_description(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "sample.yaml").write_bytes(content)
    with pytest.raises(ConfigError, match=r"sample\.yaml(:| is no)"):
        SampleDescription.from_yaml(tmp_path / "sample.yaml")


def test_refuses_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        SampleDescription.from_yaml(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        SampleDescription.from_yaml(tmp_path)


def test_refusals_name_the_line(sample: SampleFolder) -> None:
    sample.content["voxel_nm"]["y"] = "10 nm"
    path = sample.write()
    line = path.read_text().splitlines().index("  y: 10 nm") + 1
    with pytest.raises(ConfigError) as error:
        SampleDescription.from_yaml(path)
    rule = "'10 nm' is not a number from 0.001 to 1000000; write a number, in nm"
    assert str(error.value) == f"{path}, line {line}: voxel_nm::y: {rule}"


KEYS = st.sampled_from([*SampleDescription.model_fields, *AnnotationDescription.model_fields, "z", "value", "colour"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates() | st.just("ICE"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.integers() | st.text(), inner, max_size=4),
    max_leaves=20,
)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32))
def test_a_changed_description_is_taken_or_refused(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    description = changing.write_sample(tmp_path_factory.mktemp("sample"))
    good = description.read_text()
    assert changing.outcome(description) == ""
    changing.change(description, good, Random(seed))
    assert all(line.strip() for line in changing.outcome(description).splitlines())


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.dictionaries(st.sampled_from([*SampleDescription.model_fields, "voxel_nm"]), VALUES))
def test_any_document_is_taken_or_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    path = tmp_path / "sample.yaml"
    content = {"name": "a", "voxel_nm": {"z": 1, "y": 1, "x": 1}, "detectors": {"ICE": "sample.yaml"}}
    path.write_text(yaml.safe_dump({**content, **changes}, sort_keys=False))
    try:
        told = f"{path}: {SampleDescription.from_yaml(path).name}"
    except ConfigError as error:
        told = str(error)
    assert told.startswith(str(path))
