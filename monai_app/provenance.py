"""Where a result comes from: recorded with every label image and every score."""

from pathlib import Path

from monai_app import __version__
from monai_app.files import file_sha256
from monai_app.stack import Stack


def provenance(stack: str, weights: str, run: str | None = None) -> dict[str, str]:
    """Describe the data and the model behind a result.

    Args:
        stack: path of the stack.
        weights: file of the model's weights.
        run: name of the model; None is the folder's that the weights lie in, ``<run folder>/models``.

    Returns:
        The stack's name and identity, the run folder's name, the SHA-256 of the weights and the package's version.
    """
    source, path = Stack.open(stack), Path(weights)
    return {
        "stack": source.name,
        "stack_identity": source.identity,
        "run": path.absolute().parents[1].name if run is None else run,
        "weights_sha256": file_sha256(path),
        "monai_app": __version__,
    }
