"""Volume fractions: of all of it, and slice by slice."""

import numpy as np

from monai_app.progress import Progress
from monai_app.quantify.labels import Labels
from monai_app.quantify.quantity import Measured, Panel, Quantity, Table


def measure(labels: Labels, progress: Progress) -> Measured:
    """Count voxels: the share of every phase in what is segmented, its volume, and the shares of every slice."""
    counts = labels.count(progress)
    values, names = [phase.value for phase in labels.phases], [phase.name for phase in labels.phases]
    total = counts[:, values].sum(0)
    volumes = total * float(np.prod(labels.voxel_um))
    fractions = total / total.sum()
    rows = [
        (z, z * labels.voxel_um[0], int(count.sum()), *(count / count.sum() if count.any() else [None] * len(values)))
        for z, count in zip(labels.planes, counts[:, values], strict=True)
        if z is not None
    ]
    measured = [row for row in rows if row[2]]
    profile = {name: ([row[1] for row in measured], [row[3 + n] for row in measured]) for n, name in enumerate(names)}
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
            Panel("volume fraction", "", "share of what is segmented", bars, "bar"),
            Panel("profile along z", "z, um", "share of what is segmented", profile),
        ),
    )
