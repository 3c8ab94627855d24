"""What microscopes of Zeiss write into their TIFFs: entries of name, value and unit (tag 34118)."""

from tifffile import TiffPage

from monai_app.io.recorded import Recorded, Size, agreed, finite, length_nm

_TAG = 34118

_DETAILS = {
    "voltage": "ap_actualkv",
    "current": "ap_iprobe",
    "dwell time": "dp_dwell_time",
    "working distance": "ap_wd",
    "tilt": "ap_stage_at_t",
    "microscope": "sv_serial_number",
}
"""What is recorded -> entry."""


def read_zeiss(page: TiffPage) -> Recorded | None:
    """What a page of a Zeiss microscope says; None if it says nothing."""
    entries = page.tags.valueof(_TAG)
    if not isinstance(entries, dict):
        return None
    found = {key: entry[1:] for key, entry in entries.items() if key and isinstance(entry, tuple) and len(entry) > 1}
    details = {name: " ".join(map(str, found[key])).strip() for name, key in _DETAILS.items() if key in found}
    (detector, *_), (z, *unit) = found.get("dp_detector_channel", ("",)), found.get("ap_stage_at_z", (None,))
    stage = finite(z) if unit and length_nm(1, unit[0]) else None
    return Recorded(
        _size(found, page),
        detector=str(detector) or None,
        stage_nm=None if stage is None else stage * (length_nm(1, unit[0]) or 1),
        details={name: text for name, text in sorted(details.items()) if text},
        origin="the microscope's metadata (Zeiss)",
    )


def _size(found: dict[str, tuple[object, ...]], page: TiffPage) -> Size:
    """The size of the pixels in the file.

    ``ap_pixel_size`` does not say it: it is that of a picture of 1024 columns, whatever was saved.
    """
    image, width = found.get("ap_image_pixel_size", ()), found.get("ap_width", ())
    own = length_nm(*image) if len(image) == 2 else None
    across = length_nm(*width) if len(width) == 2 else None
    by_width = None if across is None else across / page.imagewidth
    return agreed((None, own, own), (None, by_width, by_width))
