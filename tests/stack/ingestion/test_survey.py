"""Pictures that cannot be true are refused, and nothing is left behind, unless the description accepts them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

from monai_app.errors import ConfigError, StackError
from monai_app.stack import ingest
from tests.stack.samples import SampleFolder, pixels, write_folder


@pytest.fixture
def pair(tmp_path: Path) -> SampleFolder:
    """Two detectors, 6 slices of 40 x 48."""
    sample = SampleFolder(tmp_path)
    for seed, name in enumerate(("ICE", "TLD")):
        sample.detector(name, pixels(6, 40, 48, seed=seed))
    return sample


def _black(sample: SampleFolder) -> None:
    for z in (2, 4):
        tifffile.imwrite(sample.root / "TLD" / f"slice_{z}.tif", np.zeros((40, 48), np.uint8))


def _off(sample: SampleFolder) -> None:
    write_folder(sample.root / "TLD", np.full((6, 40, 48), 128, np.uint8))


def _repeated(sample: SampleFolder) -> None:
    tifffile.imwrite(sample.root / "ICE" / "slice_5.tif", sample.images["ICE"][1], compression="zlib")


def _twins(sample: SampleFolder) -> None:
    tifffile.imwrite(sample.root / "tld.tif", sample.images["ICE"], compression="zlib", photometric="minisblack")
    sample.content["detectors"]["TLD"] = "tld.tif"


FINDINGS = {
    "constant_slices": (_black, r"^TLD slice_2 \(0\), TLD slice_4 \(0\): of one grey value"),
    "constant_detectors": (_off, "^TLD: without any contrast; was the detector off"),
    "repeated_slices": (_repeated, "^ICE slice_1 = ICE slice_5: the same picture twice"),
    "a detector twice, in other files": (
        _twins,
        r"^ICE slice_0 = TLD tld_0000, .*ICE slice_4 = TLD tld_0004 and 1 more: the same picture twice",
    ),
}


@pytest.mark.parametrize(
    ("finding", "bend", "message"), [(name, *each) for name, each in FINDINGS.items()], ids=FINDINGS
)
def test_is_refused_unless_accepted(
    pair: SampleFolder, finding: str, bend: Callable[[SampleFolder], None], message: str
) -> None:
    accepted = finding if "_" in finding else "repeated_slices"
    bend(pair)
    with pytest.raises(StackError, match=rf"{message}.*'accept: \[{accepted}\]'$"):
        ingest(pair.write(), pair.target)
    assert not pair.target.exists()
    assert [path.name for path in pair.root.glob(".*")] == []
    pair.content["accept"] = [accepted]
    lines: list[str] = []
    assert ingest(pair.write(), pair.target, report=lines.append).shape == (6, 40, 48)
    assert [line for line in lines if line.startswith("accepted: ")]


def test_all_findings_are_listed_at_once(pair: SampleFolder) -> None:
    _black(pair)
    _repeated(pair)
    with pytest.raises(StackError, match=r"TLD slice_2 .*\nICE slice_1 = ICE slice_5"):
        ingest(pair.write(), pair.target)


def test_what_differs_in_one_pixel_is_no_repetition(tmp_path: Path) -> None:
    """Also where the smallest level of the pyramid, by which repetitions are looked for, is the same."""
    sample, stack = SampleFolder(tmp_path), np.stack([pixels(1, 600, 700)[0]] * 2)
    stack[1, 300, 300] ^= 1
    sample.detector("ICE", stack)
    assert ingest(sample.write(), sample.target).shape == (2, 600, 700)


def test_black_borders_and_pixels_of_one_value_are_no_finding(pair: SampleFolder) -> None:
    stack = pixels(6, 40, 48, seed=3)
    stack[:, :, 20:] = 0
    write_folder(pair.root / "TLD", stack)
    assert ingest(pair.write(), pair.target).shape == (6, 40, 48)


def test_only_known_findings_are_accepted(pair: SampleFolder) -> None:
    pair.content["accept"] = ["black"]
    with pytest.raises(
        ConfigError, match="accept::0: 'black' is not one of constant_slices, constant_detectors, repeated"
    ):
        ingest(pair.write(), pair.target)
