"""A run that segments a small stack tile by tile, in this process or in one that kills itself."""

import os
import signal

import numpy as np

from monai_app.stack import Stack
from monai_app.stack.label_images import registry as labels
from monai_app.stack.label_images.arrays import Checksum, Maps, Planes

SHAPE = (3, 1101, 71)
PHASES = 2
BOTH = Maps(confidence=True, probability=True)
BINDING = {"weights": "ab" * 32, "settings": {"tile": [1024, 71], "threads": 2}}
TILES = [(z, rows, slice(0, 71)) for z in range(3) for rows in (slice(0, 1024), slice(1024, 1101))]


def planes_of(z, rows, columns, maps=BOTH):
    """What the network says about a rectangle; far from the fill value, so that nothing missing looks right."""
    every = np.random.default_rng(z).integers(1, 256, (2 + PHASES, *SHAPE[1:]), np.uint8)[:, rows, columns]
    confidence, probability = (every[1] if maps.confidence else None), (every[2:] if maps.probability else None)
    return Planes(1 + every[0] % PHASES, confidence, probability)


def write_tile(result, tile, maps=BOTH):
    box = TILES[tile]
    planes, checksum = planes_of(*box, maps), Checksum()
    checksum.add(box[0], planes)
    result.arrays.write(box[0], box[1].start, box[2].start, planes)
    return checksum.value


def segment(stack, name="a", maps=BOTH, binding=BINDING, die=lambda where: None, **options):
    """Segment as a run does: verify, do what is missing, finish. Returns the tiles that it did."""
    done = []
    with stack.write_result(name, maps=maps, binding=binding, **options) as result:
        result.verify(lambda tile: [TILES[tile]])
        for tile in range(len(TILES)):
            if tile not in result.done:
                checksum = write_tile(result, tile, maps)
                die(f"tile {tile}")
                result.record(tile, checksum)
                done.append(tile)
        result.finish(range(SHAPE[0]))
        die("finish")
    return done


def killed(path, where, overwrite):
    """A run that kills itself; called in another process."""

    def die(reached=where):
        if reached == where:
            os.kill(os.getpid(), signal.SIGKILL)

    module, name = {
        "begin": (labels, "create_labels"),
        "flush": (labels.files, "flush_tree"),
        "register": (labels, "register"),
    }.get(where, (labels, "unused"))
    setattr(module, name, lambda *_: die())
    segment(Stack.open(path), die=die, overwrite=overwrite)
