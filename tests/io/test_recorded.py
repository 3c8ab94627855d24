"""What TIFF files say of their image: sizes, detectors, stage positions, whichever program wrote them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from monai_app.errors import StackError
from monai_app.io import Recorded, Request, open_planes
from monai_app.io.recorded import length_nm
from tests.stack.samples import pixels

STACK = pixels(4, 20, 30)
NOTHING = (None, None, None)


def near(*values: float | str | None) -> Any:
    """Values of which the numbers are compared as far as they were written exactly."""
    return tuple(value if value is None or isinstance(value, str) else pytest.approx(value) for value in values)


def recorded(path: Path, stack: Any = STACK[0], request: Request = Request(), **options: Any) -> Recorded:  # noqa: B008
    tifffile.imwrite(path, stack, **options)
    return open_planes(path, request).files[0].recorded


def sections(**parts: dict[str, object]) -> list[Any]:
    lines = [
        f"[{name}]\r\n" + "".join(f"{key}={value}\r\n" for key, value in each.items()) for name, each in parts.items()
    ]
    return [(34682, "s", 0, "\r\n".join(lines), True)]


FEI: dict[str, dict[str, object]] = {
    "System": {"SystemType": "Helios"},
    "Beam": {"HV": 2000, "Beam": "EBeam", "Scan": "EScan"},
    "EBeam": {"BeamCurrent": 5e-11},
    "Scan": {"PixelWidth": 5e-9, "PixelHeight": 1e-8, "Dwelltime": 1e-6},
    "EScan": {"PixelWidth": 5e-9, "PixelHeight": 1e-8},
    "Stage": {"StageZ": 0.004, "StageT": 0.9},
    "Image": {"ResolutionX": 30, "ResolutionY": 20},
    "Detectors": {"Name": "ICE"},
}


def test_sections_of_fei(tmp_path: Path) -> None:
    said = recorded(tmp_path / "a.tif", extratags=sections(**FEI))
    assert said.voxel_nm == near(None, 10, 5)
    assert (said.detector, said.stage_nm) == near("ICE", 4e6)
    assert said.details == {
        "current": "5e-11 A",
        "dwell time": "1e-06 s",
        "microscope": "Helios",
        "tilt": "0.9 rad",
        "voltage": "2000 V",
    }


@pytest.mark.parametrize(
    "broken",
    [
        {"Scan": {"PixelWidth": "notafloat"}, "EScan": {"PixelHeight": -1}},
        {"Scan": {}, "EScan": {"PixelWidth": "nan", "PixelHeight": 0}},
        {"EScan": {"PixelWidth": 7e-9, "PixelHeight": 2e-8}},
        {"Image": {"ResolutionX": 60, "ResolutionY": 40}},
        {"Image": {}},
        {"Beam": {"Scan": "None", "Beam": ""}, "Scan": {}},
    ],
    ids=["no numbers", "no sizes", "two sizes", "resized since", "no image", "no scan"],
)
def test_what_is_broken_in_sections_says_nothing(tmp_path: Path, broken: dict[str, dict[str, object]]) -> None:
    said = recorded(tmp_path / "a.tif", extratags=sections(**{**FEI, **broken}))
    assert said.voxel_nm == NOTHING
    assert said.detector == "ICE"


XML = """<?xml version="1.0"?><Metadata xmlns:nil="http://schemas.fei.com/Metadata/v1/2013/07">
<Instrument><InstrumentClass>Hydra</InstrumentClass></Instrument>
<Optics><AccelerationVoltage>2000</AccelerationVoltage><ScanFieldOfView><X>1.5E-07</X><Y>2E-07</Y></ScanFieldOfView></Optics>
<StageSettings><StagePosition><Z>0.0040000123</Z></StagePosition></StageSettings>
<ScanSettings><ScanArea><Width>30</Width><Height>20</Height></ScanArea></ScanSettings>
<Detectors><ScanningDetector><DetectorName>TLD</DetectorName></ScanningDetector></Detectors>
<BinaryResult><PixelSize><X unit="m">5E-09</X><Y unit="m">1E-08</Y></PixelSize></BinaryResult></Metadata>"""


def test_xml_of_thermo_fisher(tmp_path: Path) -> None:
    said = recorded(tmp_path / "a.tif", extratags=[(34683, "s", 0, XML, True)])
    assert said.voxel_nm == near(None, 10, 5)
    assert (said.detector, said.stage_nm) == near("TLD", 4000012.3)
    assert said.details == {"microscope": "Hydra", "voltage": "2000 V"}
    both = recorded(tmp_path / "b.tif", extratags=[*sections(**FEI), (34683, "s", 0, XML, True)])
    assert both.stage_nm == pytest.approx(4000012.3)  # sections round it
    other = XML.replace("5E-09", "6E-09")
    assert recorded(tmp_path / "c.tif", extratags=[(34683, "s", 0, other, True)]).voxel_nm[2] is None


@pytest.mark.parametrize(
    "text", ["<Metadata>", "", "no XML", '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', XML.replace("<Optics>", "<Optic>")]
)
def test_damaged_xml_says_nothing(tmp_path: Path, text: str) -> None:
    assert recorded(tmp_path / "a.tif", extratags=[(34683, "s", 0, text, True)]) == Recorded()


def zeiss(**entries: str) -> list[Any]:
    text = "\r\n".join(f"{key.upper()}\r\n{value}" for key, value in entries.items())
    return [(34118, "s", 0, text.encode("cp1252") + b"\0", True)]


def test_entries_of_zeiss(tmp_path: Path) -> None:
    entries = {
        "dp_detector_channel": "Signal A = InLens",
        "ap_stage_at_z": "Stage at Z = 44.5 mm",
        "ap_actualkv": "EHT = 5.0 kV",
        "ap_width": "Width = 0.15 µm",
        "ap_pixel_size": "Pixel Size = 0.146 nm",
    }
    said = recorded(tmp_path / "a.tif", extratags=zeiss(**entries))
    assert said.voxel_nm == near(None, 5, 5)  # 'Pixel Size' is that of 1024 columns
    assert (said.detector, said.stage_nm) == near("InLens", 44.5e6)
    assert said.details == {"voltage": "5.0 kV"}
    image = {"ap_image_pixel_size": "Image Pixel Size = 7 nm"}
    assert recorded(tmp_path / "b.tif", extratags=zeiss(**entries, **image)).voxel_nm == NOTHING  # they disagree


def test_pages_of_detectors_are_channels(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for plane, name in zip(STACK[:2], ("InLens", "SE2"), strict=True):
            tags = zeiss(dp_detector_channel=f"Signal A = {name}")
            writer.write(plane, extratags=tags, metadata=None, contiguous=False)
    with pytest.raises(StackError, match=r"a\.tif holds 2 channels \(InLens, SE2\)"):
        open_planes(tmp_path / "a.tif")
    for channel, page, plane in (("InLens", 0, STACK[0]), (1, 1, STACK[1])):
        for request in (Request(channel=channel), Request(page=page)):
            source = open_planes(tmp_path / "a.tif", request)
            np.testing.assert_array_equal(list(source.planes()), [plane])


def test_ome_tiff(tmp_path: Path) -> None:
    metadata: dict[str, Any] = {"axes": "ZYX", "PhysicalSizeX": 5, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 0.01}
    metadata |= {"PhysicalSizeZ": 200.0, "PhysicalSizeZUnit": "Å"}
    said = recorded(tmp_path / "a.ome.tif", STACK, photometric="minisblack", metadata=metadata)
    assert said.voxel_nm == pytest.approx((20, 10, 5))
    metadata["PhysicalSizeXUnit"] = "pixel"
    said = recorded(tmp_path / "b.ome.tif", STACK, photometric="minisblack", metadata=metadata)
    assert said.voxel_nm == near(20, 10, None)


@pytest.mark.parametrize("unit", ["nm", "um", "micron", "\\u00b5m"])
def test_imagej(tmp_path: Path, unit: str) -> None:
    factor = length_nm(1, unit) or 0
    said = recorded(
        tmp_path / "a.tif",
        STACK,
        imagej=True,
        resolution=(factor / 5, factor / 10),
        metadata={"axes": "ZYX", "spacing": 20 / factor, "unit": unit},
    )
    assert said.voxel_nm == pytest.approx((20, 10, 5), rel=1e-5)


def test_imagej_without_a_size(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    assert recorded(path, STACK, imagej=True, metadata={"axes": "ZYX", "unit": "um"}).voxel_nm == NOTHING
    options: dict[str, Any] = {"resolution": (200, 200), "metadata": {"axes": "ZYX", "spacing": 4, "unit": "pixel"}}
    assert recorded(path, STACK, imagej=True, **options).voxel_nm == NOTHING


@pytest.mark.parametrize(
    ("resolution", "unit", "size"),
    [
        ((1e6, 2e6), "CENTIMETER", (None, 5, 10)),
        ((2.54e6, 2.54e6), "INCH", (None, 10, 10)),
        ((300, 300), "INCH", NOTHING),
        ((118, 118), "CENTIMETER", NOTHING),
        ((1e6, 1e6), "NONE", NOTHING),
    ],
)
def test_resolution(tmp_path: Path, resolution: tuple[float, float], unit: str, size: tuple[float | None, ...]) -> None:
    said = recorded(tmp_path / "a.tif", resolution=resolution, resolutionunit=unit)
    assert said.voxel_nm == near(*size)


CHANNELS: dict[str, tuple[str, dict[str, Any]]] = {
    "ImageJ": ("ZCYX", {"imagej": True, "metadata": {"axes": "ZCYX"}}),
    "OME": ("CZYX", {"photometric": "minisblack", "metadata": {"axes": "CZYX", "Channel": {"Name": ["ICE", "TLD"]}}}),
    "OME, slice by slice": ("ZCYX", {"photometric": "minisblack", "metadata": {"axes": "ZCYX"}}),
    "compressed": ("ZCYX", {"imagej": True, "compression": "zlib", "metadata": {"axes": "ZCYX"}}),
}


@pytest.mark.parametrize(("axes", "options"), CHANNELS.values(), ids=CHANNELS)
def test_channels_of_hyperstacks(tmp_path: Path, axes: str, options: dict[str, Any]) -> None:
    path = tmp_path / ("a.tif" if "imagej" in options else "a.ome.tif")
    tifffile.imwrite(path, np.stack([STACK, 255 - STACK], axes.index("C")), **options)
    with pytest.raises(StackError, match=r"holds 2 channels .*call them so \(in Fiji: .*Re-order Hyperstack"):
        open_planes(path)
    for channel, expected in ((0, STACK), (1, 255 - STACK)):
        source = open_planes(path, Request(channel=channel))
        np.testing.assert_array_equal(list(source.planes()), expected)
        np.testing.assert_array_equal(source.plane(2), expected[2])
    if "Channel" in options["metadata"]:
        np.testing.assert_array_equal(open_planes(path, Request(channel="TLD")).plane(0), 255 - STACK[0])


@pytest.mark.parametrize("planar", ["separate", "contig"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_values_beside_each_other_are_channels(tmp_path: Path, planar: str, compression: str | None) -> None:
    stack = np.stack([STACK[0], 255 - STACK[0]], 0 if planar == "separate" else -1)
    options: dict[str, Any] = {"photometric": "minisblack", "planarconfig": planar, "compression": compression}
    tifffile.imwrite(tmp_path / "a.tif", stack, extrasamples=["unspecified"], **options)
    source = open_planes(tmp_path / "a.tif", Request(channel=1))
    np.testing.assert_array_equal(list(source.planes()), [255 - STACK[0]])
    with pytest.raises(StackError, match=r"holds 2 channels: 0, 1, and no channel 2"):
        open_planes(tmp_path / "a.tif", Request(channel=2))


def test_real_microscopes_say_their_size(real_data: Path) -> None:
    known = {"fei-sem-rbc.tif": 7.70833, "SerialFIB_testimage2.tif": 134.896, "SEM_Image-SliceImage-001.tif": 385.4167}
    for name, size in {
        **known,
        "test_tiff_Zeiss_SEM_1k.tif": 2615,
        "FEI-Helios-navcam-with-no-IRBeam.tif": None,
    }.items():
        said = open_planes(real_data / "microscope_tiffs" / name).files[0].recorded
        assert said.voxel_nm[1:] == near(size, size)
        assert said.detector
