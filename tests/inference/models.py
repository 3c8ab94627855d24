"""Networks of the nine variants, small and with random weights, as models whose weights lie on the disk."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from monai_app.inference import Model
from monai_app.stack import Stack
from monai_app.transforms import LoadSlabd
from tests.specs import PHASES, normaliser, spec_of
from tests.zoo import NETWORKS, network_of


def model_of(
    folder: Path, kind: str = "unet", detectors: Sequence[str] = ("ICE", "TLD"), slices: int = 3, **options: Any
) -> Model:
    """A model with its weights in ``folder/models/model.pt``."""
    network = network_of(kind, len(detectors), slices, len(PHASES), **options)
    (folder / "models").mkdir(parents=True, exist_ok=True)
    torch.save(network.state_dict(), folder / "models" / "model.pt")
    spec = spec_of(
        detectors,
        slices,
        network=type(network).__name__,
        stride=NETWORKS[kind].stride,
        phases=PHASES,
        settings={"width": options.get("width", 4)},
    )
    return Model(spec, network, str(folder / "models" / "model.pt"))


def whole_slice(model: Model, stack: Stack, z: int) -> Tensor:
    """Probabilities (K, rows, columns) by one forward pass of the plain network over the slice, as training sees it."""
    slab = LoadSlabd("image", model.spec)({"image": str(stack.path), "z": z})["image"]
    _, rows, columns = stack.shape
    below, right = -rows % model.spec.stride, -columns % model.spec.stride
    plain = torch.from_numpy(normaliser(model.spec)(slab).numpy())[None]
    image = nn.functional.pad(plain, (0, right, 0, below), mode="replicate")
    with torch.no_grad():
        logits: Tensor = model.network(image)
    return logits[0, :, :rows, :columns].softmax(0)


def whole_labels(model: Model, stack: Stack) -> np.ndarray:
    """Labels (slices, rows, columns) of the same."""
    slices = [whole_slice(model, stack, z).argmax(0) + 1 for z in range(stack.shape[0])]
    return torch.stack(slices).to(torch.uint8).numpy()


def assert_exact(labels: np.ndarray, model: Model, stack: Stack) -> None:
    """Check labels (slices, rows, columns) against whole slices, and that every phase is somewhere.

    Pixels whose two best phases are closer than float32's rounding are ties: nothing decides between them.
    """
    seen = set()
    for z, plane in enumerate(labels):
        probability = whole_slice(model, stack, z).numpy()
        expected = probability.argmax(0) + 1
        best = np.sort(probability, 0)
        ties = best[-1] - best[-2] < 1e-5
        assert ties.mean() < 1e-3
        np.testing.assert_array_equal(plane[~ties], expected[~ties])
        seen |= set(np.unique(expected).tolist())
    assert seen == {1, 2, 3}


def labels_of(stack: Stack, name: str) -> np.ndarray:
    """All labels of a finished label image."""
    return np.stack([stack.read_labels(name, z) for z in range(stack.shape[0])])
