"""A run that segments a small stack tile by tile, in this process or in one that kills itself."""

import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from monai_app import files
from monai_app.domain.region import Rect, Region, Span
from monai_app.stack import Stack
from monai_app.stack.label_images import registry as labels
from monai_app.stack.label_images.arrays import Checksum, Map
from monai_app.stack.label_images.resumable import Result

SHAPE = (3, 1101, 71)
PHASES = 2
BOTH = (Map("confidence", per_phase=False), Map("probability", per_phase=True))
FINGERPRINT: dict[str, Any] = {"weights": "ab" * 32, "settings": {"tile": [1024, 71], "threads": 2}}
TILES = [Region(Span(z, z + 1), rows, Span(0, 71)) for z in range(3) for rows in (Span(0, 1024), Span(1024, 1101))]


def planes_of(z: int, rect: Rect | None = None, maps: Sequence[Map] = BOTH) -> dict[str, npt.NDArray[np.uint8]]:
    """What the network says about a rectangle; far from the fill value, so that nothing missing looks right."""
    index = (rect or Rect.whole(SHAPE)).index
    every = np.random.default_rng(z).integers(1, 256, (2 + PHASES, *SHAPE[1:]), np.uint8)[:, *index]
    values = {"confidence": every[1], "probability": every[2:]}
    return {"labels": 1 + every[0] % PHASES, **{each.name: values[each.name] for each in maps}}


def write_tile(result: Result, tile: int, maps: Sequence[Map] = BOTH) -> int:
    z, rect = TILES[tile].z.start, TILES[tile].rect
    planes, checksum = planes_of(z, rect, maps), Checksum()
    checksum.add(z, planes)
    result.arrays.write(z, rect, planes)
    return checksum.value


def segment(
    stack: Stack,
    name: str = "a",
    maps: Sequence[Map] = BOTH,
    fingerprint: dict[str, Any] = FINGERPRINT,
    die: Callable[[str], object] = lambda where: None,
    **options: Any,
) -> list[int]:
    """Segment as a run does: verify, do what is missing, finish. Returns the tiles that it did."""
    done = []
    with stack.write_result(name, maps=maps, fingerprint=fingerprint, **options) as result:
        result.verify(TILES.__getitem__)
        for tile in range(len(TILES)):
            if tile not in result.done:
                checksum = write_tile(result, tile, maps)
                die(f"tile {tile}")
                result.record(tile, checksum)
                done.append(tile)
        result.finish(range(SHAPE[0]))
        die("finish")
    return done


def killed(path: Path, where: str, overwrite: bool) -> None:
    """A run that kills itself; called in another process."""

    def die(reached: str = where) -> None:
        if reached == where:
            os.kill(os.getpid(), signal.SIGKILL)

    module, name = {
        "begin": (labels, "create_labels"),
        "flush": (files, "flush_tree"),
        "register": (labels, "register"),
    }.get(where, (labels, "unused"))
    setattr(module, name, lambda *_: die())
    segment(Stack.open(path), die=die, overwrite=overwrite)
