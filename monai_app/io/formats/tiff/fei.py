"""What microscopes of FEI and Thermo Fisher write into their TIFFs: sections of entries, and XML in newer ones."""

from collections.abc import Mapping
from typing import Any
from xml.etree.ElementTree import Element

from tifffile import TiffPage

from monai_app.io.formats.tiff.xml import parse_xml
from monai_app.io.recorded import Recorded, Size, agreed, finite, positive

_SECTIONS = (34682, 34680)
_XML = 34683

_METRE = 1e9

_DETAILS = {
    "voltage": ("Beam", "HV", "V"),
    "dwell time": ("Scan", "Dwelltime", "s"),
    "working distance": ("Stage", "WorkingDistance", "m"),
    "tilt": ("Stage", "StageT", "rad"),
}
"""What is recorded -> section, entry, unit."""

_XML_DETAILS = {
    "voltage": ("Optics/AccelerationVoltage", "V"),
    "current": ("Optics/BeamCurrent", "A"),
    "dwell time": ("ScanSettings/DwellTime", "s"),
    "working distance": ("Optics/WorkingDistance", "m"),
    "tilt": ("StageSettings/StagePosition/Tilt/Alpha", "rad"),
}


def picture_rows(page: TiffPage) -> int:
    """Rows of the picture: what microscopes of FEI and Thermo Fisher write below it, they say."""
    length, width = page.imagelength, page.imagewidth
    for sections in (page.tags.valueof(tag) for tag in _SECTIONS):
        image, private = _section(sections, "Image"), _section(sections, "PrivateFei")
        rows, bar = image.get("ResolutionY"), private.get("DatabarHeight")
        if isinstance(rows, int) and image.get("ResolutionX") == width and 0 < rows <= length:
            return rows
        if not isinstance(rows, int) and isinstance(bar, int) and 0 < bar < length:
            return length - bar
    return length


def read_sections(page: TiffPage) -> Recorded | None:
    """What the sections say; None if there are none."""
    sections = next((found for tag in _SECTIONS if isinstance(found := page.tags.valueof(tag), dict)), None)
    if sections is None:
        return None
    beam, stage = _section(sections, "Beam"), _section(sections, "Stage")
    scans = [_section(sections, name) for name in ("Scan", str(beam.get("Scan")))]
    width = _section(sections, "Image").get("ResolutionX")
    size = agreed(*(_size(scan) for scan in scans)) if width == page.imagewidth else agreed()  # else it was resized
    details = {name: _text(_section(sections, part).get(key), unit) for name, (part, key, unit) in _DETAILS.items()}
    details["current"] = _text(_section(sections, str(beam.get("Beam"))).get("BeamCurrent"), "A")
    details["microscope"] = str(_section(sections, "System").get("SystemType") or "")
    z = finite(stage.get("StageZ"))
    return Recorded(
        size,
        detector=str(_section(sections, "Detectors").get("Name") or "") or None,
        stage_nm=None if z is None else z * _METRE,
        details={name: text for name, text in sorted(details.items()) if text},
        origin="the microscope's metadata (FEI)",
    )


def read_fei_xml(page: TiffPage) -> Recorded | None:
    """What the XML of newer microscopes says; None if there is none."""
    text = page.tags.valueof(_XML)
    root = parse_xml(text) if isinstance(text, str) else None
    if root is None:
        return None
    field, area = root.find("Optics/ScanFieldOfView"), root.find("ScanSettings/ScanArea")
    details = {name: _text(_value(root, path), unit) for name, (path, unit) in _XML_DETAILS.items()}
    details["microscope"] = _value(root, "Instrument/InstrumentClass") or ""
    z = finite(_value(root, "StageSettings/StagePosition/Z"))
    names = {each.text for each in root.iter("DetectorName") if each.text}
    return Recorded(
        agreed(_xml_size(root), _field_size(field, area, page)),
        detector=names.pop() if len(names) == 1 else None,
        stage_nm=None if z is None else z * _METRE,
        details={name: text for name, text in sorted(details.items()) if text},
        origin="the microscope's metadata (Thermo Fisher)",
    )


def _section(sections: object, name: str) -> Mapping[str, Any]:
    found = sections.get(name) if isinstance(sections, dict) else None
    return found if isinstance(found, dict) else {}


def _size(scan: Mapping[str, Any]) -> Size:
    y, x = (positive(scan.get(name)) for name in ("PixelHeight", "PixelWidth"))
    return None, None if y is None else y * _METRE, None if x is None else x * _METRE


def _text(value: object, unit: str) -> str:
    number = finite(value)
    return "" if number is None else f"{number:g} {unit}"


def _value(root: Element, path: str) -> str | None:
    found = root.find(path)
    return None if found is None or found.text is None else found.text.strip()


def _xml_size(root: Element) -> Size:
    """The pixel size, which stands there with its unit."""
    found = next(root.iter("PixelSize"), None)
    if found is None:
        return None, None, None
    parts = [found.find(axis) for axis in "YX"]
    y, x = (positive(part.text) if part is not None and part.get("unit") == "m" else None for part in parts)
    return None, None if y is None else y * _METRE, None if x is None else x * _METRE


def _field_size(field: Element | None, area: Element | None, page: TiffPage) -> Size:
    """The pixel size by the field of view, where the whole of what was scanned is in the picture."""
    if field is None or area is None or finite(_value(area, "Width")) != page.imagewidth:
        return None, None, None
    y, x = positive(_value(field, "Y")), positive(_value(field, "X"))
    rows, columns = positive(_value(area, "Height")), positive(_value(area, "Width"))
    return None, y * _METRE / rows if y and rows else None, x * _METRE / columns if x and columns else None
