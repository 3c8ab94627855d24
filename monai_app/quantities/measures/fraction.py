"""Volume fractions: in total and per slice."""

import numpy as np
import numpy.typing as npt

from monai_app.progress import Progress
from monai_app.quantities.labels import Labels
from monai_app.quantities.quantity import Measured, Panel, Quantity, Table


def measure(labels: Labels, progress: Progress) -> Measured:
    """Count voxels: the share of every phase in the segmented volume, its volume, and its share in every slice."""
    counts = labels.count(progress)
    values, names = [phase.value for phase in labels.phases], [phase.name for phase in labels.phases]
    total = counts[:, values].sum(0)
    volumes = total * float(np.prod(labels.voxel_um))
    fractions = total / total.sum()
    rows = [
        (z, labels.depth_um(z), int(count.sum()), *(count / count.sum() if count.any() else [None] * len(values)))
        for z, count in zip(labels.planes, counts[:, values], strict=True)
        if z is not None
    ]
    depths, *shares = _profile(labels, counts[:, values]).T.tolist()
    profile = {name: (depths, of) for name, of in zip(names, shares, strict=True)}
    bars = {name: ([n], [fraction]) for n, (name, fraction) in enumerate(zip(names, fractions.tolist(), strict=True))}
    return Measured(
        {
            "volume_fraction": {
                name: Quantity(value, "1") for name, value in zip(names, fractions.tolist(), strict=True)
            },
            "volume": {name: Quantity(value, "um^3") for name, value in zip(names, volumes.tolist(), strict=True)},
        },
        {"slices": Table(("z", "z_um", "segmented_voxels", *names), rows)},
        (
            Panel("volume fraction", "", "share of the segmented volume", bars, "bar"),
            Panel("profile along z", "z, um", "share of the segmented volume", profile),
        ),
    )


def _profile(labels: Labels, counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Depth in um and the shares of the phases of every slice with labels, (slices, 1 + K); ``nan`` at gaps."""
    nothing = [np.nan] * (1 + len(labels.phases))  # breaks the curve
    points = [
        nothing if z is None else [labels.depth_um(z), *(count / count.sum())]
        for z, count in zip(labels.planes, counts, strict=True)
        if z is None or count.any()
    ]
    return np.array(points, float)
