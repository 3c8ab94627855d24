"""What the values of a label map mean: its segments by name, or the stack's phases."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from monai_app.domain.phase import Phase
from monai_app.errors import AnnotationError

Labels = npt.NDArray[np.uint8]


def to_phases(labels: Labels, phases: Sequence[Phase], names: Mapping[int, str]) -> Labels:
    """Turn the values of a label map into phases.

    Args:
        labels: any shape, 0 unlabelled.
        phases: the phases 1..K.
        names: value -> name of its segment, which is that of a phase in any case. Empty: values are those of phases.

    Returns:
        The same shape, 0 unlabelled, 1..K the phases; read-only.

    Raises:
        AnnotationError: a value that occurs is not a phase.
    """
    known = {phase.name.casefold(): phase.value for phase in phases}
    meaning = {value: known[name.casefold()] for value, name in names.items() if name.casefold() in known}
    if not names:
        meaning = {value: value for value in known.values()}
    table = bytearray(256)
    for value in filter(None, np.unique(labels).tolist()):
        if value not in meaning:
            what = f"segment {names[value]!r} (value {value}) is" if value in names else f"value {value} is"
            listed = ", ".join(f"{phase.value} {phase.name}" for phase in phases)
            raise AnnotationError(f"{what} not a phase of the stack; its phases are {listed}: use only these")
        table[value] = meaning[value]
    # Not by indexing: NumPy would turn all values into 64-bit numbers at a time.
    return np.frombuffer(labels.tobytes().translate(table), np.uint8).reshape(labels.shape)
