"""Faults that are put into a simulated stack, and into real slices, are found and named; nothing else is."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from scipy.ndimage import gaussian_filter

from monai_app.inspection import Finding, inspect, open_images
from monai_app.inspection.report import stack_lines
from tests.conftest import SHARED_DATA
from tests.inspection.conftest import Detectors, simulated

Write = Callable[[Detectors], Path]


def found(folder: Path) -> list[Finding]:
    return list(inspect(open_images(folder)).findings)


def kinds(findings: list[Finding]) -> set[tuple[str, tuple[int, ...], tuple[str, ...]]]:
    return {(finding.kind, finding.slices, finding.detectors) for finding in findings}


def test_a_stack_without_faults_has_no_findings(flawless: Detectors, write: Write) -> None:
    assert found(write(flawless)) == []


def swap(stack: Detectors) -> None:
    for pixels in stack.values():
        pixels[[4, 5]] = pixels[[5, 4]]


def misplace(stack: Detectors) -> None:
    for pixels in stack.values():
        pixels[2:9] = pixels[[3, 4, 5, 6, 7, 2, 8]]


def change(detector: str, z: int, to: Callable[[np.ndarray], np.ndarray]) -> Callable[[Detectors], None]:
    def fault(stack: Detectors) -> None:
        stack[detector][z] = np.clip(np.rint(to(stack[detector][z].astype(float))), 0, 255)

    return fault


def copy(stack: Detectors) -> None:
    stack["ICE"][8] = stack["ICE"][2]


def shift_on(stack: Detectors) -> None:
    stack["TLD"][6:] = np.roll(stack["TLD"][6:], (0, 12), (1, 2))
    stack["ICE"][6:] = np.roll(stack["ICE"][6:], (0, 12), (1, 2))


def shift_detector(stack: Detectors) -> None:
    stack["TLD"] = np.roll(stack["TLD"], (5, -8), (1, 2))


def darken_on(stack: Detectors) -> None:
    stack["ICE"][6:] = 0.7 * stack["ICE"][6:]


FAULTS: dict[str, tuple[Callable[[Detectors], None], set[tuple[str, tuple[int, ...], tuple[str, ...]]]]] = {
    "swapped": (swap, {("swapped", (4, 5), ("ICE",)), ("swapped", (4, 5), ("TLD",))}),
    "misplaced": (misplace, {("misplaced", (7,), ("ICE",)), ("misplaced", (7,), ("TLD",))}),
    "repeated": (copy, {("repeated", (8,), ("ICE",))}),
    "blank": (change("TLD", 3, lambda grey: 0 * grey + 9), {("blank", (3,), ("TLD",))}),
    "nearly blank": (change("ICE", 3, lambda grey: 90 + grey % 2), {("blank", (3,), ("ICE",))}),
    "smoothed": (change("ICE", 7, lambda grey: gaussian_filter(grey, 2)), {("blurred", (7,), ("ICE",))}),
    "bright": (change("ICE", 0, lambda grey: grey + 60), {("brightness", (0,), ("ICE",))}),
    "flat": (change("TLD", 11, lambda grey: 100 + grey / 4), {("contrast", (11,), ("TLD",))}),
    "clipped": (
        change("TLD", 5, lambda grey: 3 * grey - 250),
        {("clipped bright", (5,), ("TLD",)), ("clipped dark", (5,), ("TLD",))},
    ),
    "shifted": (change("TLD", 5, lambda grey: np.roll(grey, 20, 1)), {("shifted", (5,), ("TLD",))}),
    "jump": (shift_on, {("jump", (6,), ("ICE",)), ("jump", (6,), ("TLD",))}),
    "offset": (shift_detector, {("offset", (), ("ICE", "TLD"))}),
    "darker from a slice on": (darken_on, {("brightness changes", (6,), ("ICE",))}),
    "noisy": (
        change("ICE", 5, lambda grey: grey + np.random.default_rng(0).normal(0, 25, grey.shape)),
        {("noise", (5,), ("ICE",))},
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_in_its_slice_and_others_are_not_named(fault: str, flawless: Detectors, write: Write) -> None:
    stack = {name: pixels.copy() for name, pixels in flawless.items()}
    make, expected = FAULTS[fault]
    make(stack)
    findings = found(write(stack))
    assert expected <= kinds(findings)
    places = {z for _, slices, _ in expected for z in slices}
    assert {z for finding in findings for z in finding.slices} <= places


def test_a_slice_recorded_out_of_focus_or_with_strong_curtains_is_found(flawless: Detectors, write: Write) -> None:
    """Real defocus blurs what is seen and not the noise."""
    stack = {name: pixels.copy() for name, pixels in flawless.items()}
    stack["TLD"][4] = simulated(5, seed=1, artefacts={"blur": 4.0})["TLD"][4]
    stack["ICE"][8] = simulated(9, seed=1, artefacts={"curtaining": 4.0})["ICE"][8]
    findings = found(write(stack))
    assert {("blurred", (4,), ("TLD",)), ("curtaining", (8,), ("ICE",))} <= kinds(findings)
    assert {z for finding in findings for z in finding.slices} == {4, 8}


def test_the_line_of_a_finding_says_everything(flawless: Detectors, write: Write) -> None:
    stack = {name: pixels.copy() for name, pixels in flawless.items()}
    stack["ICE"][6] = 0
    (finding,) = found(write(stack))
    assert finding.line == (
        f"slice 6 (s_006) ICE: blank: contrast 0.0, usually {finding.usual} (less than 10% of the usual contrast); "
        "was the beam off? Leave the slice out"
    )
    assert float(finding.usual) == pytest.approx(np.median(flawless["ICE"].std(axis=(1, 2))), rel=0.05)


def test_missing_slices_are_listed_and_their_neighbours_are_not_compared(flawless: Detectors, write: Write) -> None:
    folder = write(flawless)
    for z in (4, 5, 6):
        for detector in flawless:
            (folder / detector / f"s_{z:03d}.tif").unlink()
    inspection = inspect(open_images(folder))
    assert [finding.value for finding in inspection.findings] == ["slices 4 to 6 are missing"]
    similarity = inspection.table.values["ICE"]["similarity"]
    assert np.flatnonzero(np.isnan(similarity)).tolist() == [3, 8]


def test_real_slices_have_no_false_alarms_and_their_faults_are_found(write: Write) -> None:
    path = SHARED_DATA / "isbi2012" / "train_image.tif"
    if not path.exists():
        pytest.skip("the slices of the ISBI 2012 challenge are not here")
    stack = tifffile.imread(path)
    # From slice 15 on the images of this data set are twice as noisy.
    assert kinds(list(inspect(open_images(path)).findings)) == {("noise changes", (15,), ("train_image",))}
    stack[[5, 6]] = stack[[6, 5]]
    stack[10] = stack[9]
    stack[13] = 0
    stack[20] = gaussian_filter(stack[20], 2)
    stack[25] = np.clip(stack[25].astype(int) + 60, 0, 255)
    expected = {("swapped", (5, 6)), ("repeated", (10,)), ("blank", (13,)), ("blurred", (20,)), ("brightness", (25,))}
    findings = found(write({"ssTEM": stack}) / "ssTEM")
    assert expected <= {(finding.kind, finding.slices) for finding in findings}
    assert {z for finding in findings for z in finding.slices} == {5, 6, 10, 13, 15, 20, 25}


@pytest.mark.parametrize("slices", [1, 2, 9])
def test_a_detector_that_was_off_is_one_finding_or_one_a_slice(slices: int, write: Write) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (slices, 64, 64)).astype(np.uint8)
    findings = found(write({"on": noise, "off": np.full_like(noise, 7)}))
    assert {(finding.kind, finding.detectors) for finding in findings} == {("blank", ("off",))}
    assert len(findings) == 1


def test_the_order_of_unrelated_slices_is_not_checked(write: Write) -> None:
    fields = gaussian_filter(np.random.default_rng(0).normal(size=(30, 96, 96)), (0, 3, 3))
    pixels: np.ndarray = np.clip(120 + 30 * fields / fields.std(), 0, 255).astype(np.uint8)
    inspection = inspect(open_images(write({"A": pixels})))
    assert inspection.findings == ()
    assert any("their order is not checked" in line for line in stack_lines(inspection))


@pytest.mark.parametrize("shape", [(1, 40, 40), (2, 64, 64), (3, 1, 1), (5, 8, 300), (4, 300, 9)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_any_number_and_size_of_slices_is_taken(shape: tuple[int, int, int], dtype: type, write: Write) -> None:
    rng = np.random.default_rng(0)
    highest = 4000 if dtype is np.uint16 else 255
    pixels: Detectors = {name: rng.integers(0, highest, shape).astype(dtype) for name in ("A", "B")}
    inspection = inspect(open_images(write(pixels)))
    assert inspection.shape == shape
    np.testing.assert_allclose(inspection.table.values["B"]["mean"], pixels["B"].mean(axis=(1, 2)), rtol=1e-6)


def test_the_highest_value_of_12_bits_is_clipped_and_others_are_not(write: Write) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(100, 3900, (6, 40, 40)).astype(np.uint16)
    pixels[:, :8] = 4095
    odd = pixels.copy()
    odd[:, :8] = 4000
    inspection = inspect(open_images(write({"full": pixels, "odd": odd})))
    assert inspection.table.usual("full", "clipped_high") == pytest.approx(0.2)
    assert inspection.table.usual("odd", "clipped_high") == 0
    clipped = [finding for finding in inspection.findings if finding.kind == "clipped bright"]
    assert [(finding.slices, finding.detectors) for finding in clipped] == [((), ("full",))]


def test_memory_does_not_grow_with_the_slices(write: Write) -> None:
    rng = np.random.default_rng(0)
    folder = write({"A": rng.integers(0, 255, (24, 256, 256)).astype(np.uint8)})

    def peak() -> int:
        tracemalloc.start()
        inspect(open_images(folder))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    inspect(open_images(folder))  # fills what is kept for a shape
    long = peak()
    for file in sorted((folder / "A").iterdir())[6:]:
        file.unlink()
    assert long - peak() < 18 * 20_000  # slices have 65,536 pixels; the reader keeps headers of files
