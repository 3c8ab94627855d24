"""Pictures in which labels were painted in colours: each colour as a number, so that a picture is a plane of values."""

from typing import Any

import numpy as np
import numpy.typing as npt

TRANSPARENT = -1
"""The number of pixels that cannot be seen."""

HALF_TRANSPARENT = -2
"""The number of pixels through which something can be seen, such as those of a soft edge."""

DTYPE = np.dtype(np.int32)
"""Type of the numbers."""


def colour_numbers(pixels: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
    """Turn colours into numbers, 0xrrggbb.

    Args:
        pixels: (rows, columns, 3) uint8 red, green, blue, or (rows, columns, 4) with the opacity.

    Example:
        >>> [hex(number) for number in colour_numbers(np.array([[[32, 48, 79], [0, 0, 255]]], np.uint8))[0].tolist()]
        ['0x20304f', '0xff']
    """
    red, green, blue = (pixels[..., channel].astype(DTYPE) for channel in range(3))
    numbers = red << 16 | green << 8 | blue
    if pixels.shape[-1] == 4:
        opacity = pixels[..., 3]
        numbers[opacity < 255] = HALF_TRANSPARENT
        numbers[opacity == 0] = TRANSPARENT
    return numbers


def number_of(rgb: tuple[int, int, int]) -> int:
    """The number of a colour."""
    red, green, blue = rgb
    return red << 16 | green << 8 | blue


def shown(number: int) -> str:
    """A colour as people write it.

    Example:
        >>> shown(0x20304F), shown(TRANSPARENT)
        ('#20304f', 'transparent')
    """
    return {TRANSPARENT: "transparent", HALF_TRANSPARENT: "half transparent"}.get(number) or f"#{number:06x}"
