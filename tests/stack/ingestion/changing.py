"""A sample whose description is changed at random, and what reading it ends in."""

import math
from datetime import date
from pathlib import Path
from random import Random
from typing import Any

import yaml

from monai_app.errors import AppError
from monai_app.stack.discovery import read_description
from monai_app.stack.ingestion.sample import check_sample
from tests.stack.samples import SampleFolder, label_plane, pixels

ODD: tuple[Any, ...] = (
    *(None, True, -1, 0, 1.5, 1e308, math.nan, 10**30, date(2024, 2, 29), "", "ICE", "../..", "/", "~", "a\nb", "\x85"),
    *("0:9", "::-1", "0:999999999999:1", "slice_{}", "*" * 60 + "x{}", "*" * 60 + "x", "[!", "9" * 5000, "refuse"),
    *([], {}, [[]], {"a": None}, {1: 2}, ["0:9", 1], {"source": "ICE"}, {"from": [0, 255], "to": "uint8"}),
)
"""Values that an entry may get."""

ENTRIES: dict[str, Any] = {
    "grey": {"from": [0, 255], "to": "uint8", "inverted": True},
    "numbers": {"pattern": "slice_{}", "gaps": "keep"},
    "breaks": [2],
    "accept": ["constant_slices"],
}
"""What stands in the description beside what every sample has."""


def write_sample(root: Path) -> Path:
    """Write a sample whose description has all kinds of entries; returns the description."""
    sample = SampleFolder(root)
    sample.detector("ICE", pixels(4, 8, 9))
    sample.detector("TLD", pixels(4, 8, 9, seed=1))
    sample.annotate({0: label_plane(8, 9), 3: label_plane(8, 9, 1)}, train=["0:1"], test=["slice_3"], unused="ignore")
    sample.content["detectors"]["TLD"] = {"source": "TLD", "files": "slice_*", "page": 0}
    sample.content |= ENTRIES
    return sample.write()


def change(description: Path, good: str, random: Random) -> None:
    """Write a good description with a few entries or bytes changed."""
    if random.random() < 0.3:
        content = bytearray(good.encode())
        for _ in range(random.randint(1, 4)):
            place = random.randrange(len(content))
            content[place : place + random.randint(0, 3)] = random.choice(
                (b"", b"*a", b"&a [", b": ", random.randbytes(2))
            )
        description.write_bytes(content)
        return
    document = yaml.safe_load(good)
    for _ in range(random.randint(1, 3)):
        _change_entry(document, random)
    description.write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True))


def _change_entry(document: dict[Any, Any], random: Random) -> None:
    """Replace, remove or add an entry anywhere in a document."""
    place: Any = document
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            return
        key = random.choice(keys)
        if not isinstance(place[key], dict | list) or random.random() < 0.3:
            break
        place = place[key]
    match random.randrange(3):
        case 0:
            del place[key]
        case 1 if isinstance(place, dict):
            place[random.choice((*ENTRIES, "source", "channel", "x", 1))] = random.choice(ODD)
        case _:
            place[key] = random.choice(ODD)


def outcome(description: Path) -> str:
    """Read a description and check its sample: empty where that went well, else the message.

    Any other exception than an error of the package passes through.
    """
    try:
        check_sample(read_description(description))
    except AppError as error:
        return str(error)
    return ""
