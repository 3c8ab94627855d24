"""Volume files to send: right ones with random pixels, and damaged ones."""

import gzip
import random
from io import BytesIO

import nibabel
import nrrd
import numpy as np

DTYPES = ("uint8",) * 6 + ("int8", "uint16", "int16", "int32", "float32", "float64")
SUFFIXES = (".nii.gz", ".nii", ".nrrd")
FIELDS = (0, 40, 42, 46, 48, 70, 72, 80, 108, 110, 112, 116, 123, 252, 254, 280, 284, 300, 320, 344, 347)
"""Bytes of a NIfTI header that decide how it is read: size, axes, type, spacing, offset, scaling, geometry, magic."""

ODD_NAMES = ("x.txt", "x.NII.GZ", "../x.nii.gz", "x.nii.gz/", ".nrrd", "x" * 300 + ".nii", "\u202e.nii", "x.nrrd.nii")

File = tuple[str, bytes]
"""Name and content."""


def random_volume(order: random.Random) -> File:
    """A volume of the user's own: X, Y, Z and mostly detectors, small, anywhere in space."""
    shape = (order.randint(1, 100), order.randint(1, 100), order.randint(1, 4))
    detectors = order.choice(((2,),) * 6 + ((), (), (1,), (3,), (1, 1, 2)))
    affine = np.diag([-0.01, -0.01, 0.02, 1])
    if order.random() < 0.15:
        affine[:3] = [[order.choice((0, -1, 1, order.gauss(0, 1), 1e30, np.nan)) for _ in range(4)] for _ in range(3)]
    return _write(order, _pixels(order, (*shape, *detectors), 256, order.choice(DTYPES)), affine)


def random_labels(order: random.Random, image: nibabel.Nifti1Image, phases: int) -> File:
    """Labels on the grid of an image, its axes flipped and cropped as programs do; now and then with no such phase."""
    shape = image.shape[:3]
    labels = _pixels(order, shape, phases + 1 + (order.random() < 0.25), "uint8")
    labels[:, :, np.random.default_rng(order.getrandbits(32)).random(shape[2]) < 0.3] = 0
    parts = tuple(_part(order, size) for size in shape)
    changed = nibabel.Nifti1Image(labels, image.affine).slicer[parts]
    dtype = order.choice(("uint8", "uint8", "int16", "float32"))
    return _write(order, np.asarray(changed.dataobj).astype(dtype), changed.affine)


def damaged(order: random.Random, file: File) -> File:
    """A file as it arrives from a broken disk or a hostile client; what is compressed is damaged before or after."""
    name, content = file
    inner = name.endswith(".gz") and order.random() < 0.7
    harmed = bytearray(gzip.decompress(content) if inner else content)
    what = order.choice(("header", "header", "anywhere", "cut", "more", "empty"))
    cut = order.randrange(len(harmed))
    if what in ("header", "anywhere"):
        for _ in range(order.randint(1, 4)):
            field = order.randrange(200) if ".nrrd" in name else order.choice(FIELDS) + order.randrange(4)
            place = min(field, len(harmed) - 1) if what == "header" else order.randrange(len(harmed))
            harmed[place] = order.choice((0, 1, 127, 128, 255, order.randrange(256)))
    else:
        harmed = {"cut": harmed[:cut], "more": harmed + harmed[cut:], "empty": bytearray()}[what]
    return name, gzip.compress(harmed, 1) if inner else bytes(harmed)


def odd(order: random.Random, file: File) -> File:
    """A file mostly as it is, else damaged or under another name."""
    chance = order.random()
    if chance < 0.25:
        return damaged(order, file)
    return (order.choice((*ODD_NAMES, *SUFFIXES)), file[1]) if chance < 0.3 else file


def _part(order: random.Random, size: int) -> slice:
    """All of an axis, from either end, or now and then all but its last."""
    whole, turned, cut = slice(0, size), slice(size - 1, None, -1), slice(0, max(1, size - 1))
    return order.choice((*[whole] * 4, *[turned] * 3, cut))


def _pixels(order: random.Random, shape: tuple[int, ...], above: int, dtype: str) -> np.ndarray:
    return np.random.default_rng(order.getrandbits(32)).integers(0, above, shape).astype(dtype)


def _write(order: random.Random, pixels: np.ndarray, affine: np.ndarray) -> File:
    suffix = order.choice(SUFFIXES if pixels.ndim == 3 or order.random() < 0.1 else SUFFIXES[:2])
    if suffix == ".nrrd":
        return "x.nrrd", _nrrd(pixels, affine)
    image = nibabel.Nifti1Image(pixels, None, dtype=pixels.dtype)
    image.header.set_sform(affine, code=1)  # as it is; a quaternion cannot say all of it
    content = image.to_bytes()
    return f"x{suffix}", gzip.compress(content, 1) if suffix == ".nii.gz" else content


def _nrrd(pixels: np.ndarray, affine: np.ndarray) -> bytes:
    lps = np.diag([-1, -1, 1, 1]) @ affine
    directions = np.full((pixels.ndim, 3), np.nan)
    directions[:3] = lps[:3, :3].T
    kinds = ["domain"] * 3 + ["list"] * (pixels.ndim - 3)
    header = {"space": "left-posterior-superior", "space directions": directions, "space origin": lps[:3, 3]}
    file = BytesIO()
    nrrd.write(file, pixels, {**header, "kinds": kinds}, compression_level=1)
    return file.getvalue()
