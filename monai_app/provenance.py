"""Provenance of results, recorded with every label image and score."""

from collections.abc import Mapping
from typing import Any

from monai_app import __version__
from monai_app.stack import Stack


def provenance(
    stack: Stack, run: str, weights_sha256: str, stand_ins: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Describe the data and the model of a result, as they were read.

    Args:
        stack: the stack.
        run: name of the model's run folder or file.
        weights_sha256: SHA-256 of the weights that were loaded.
        stand_ins: detector of the model -> detector of the stack that replaced it.

    Returns:
        The stack's name and identity, the model's name, the SHA-256 of its weights, the package's version, and
        ``stand_ins`` if there are any.
    """
    return {
        "stack": stack.name,
        "stack_identity": stack.identity,
        "run": run,
        "weights_sha256": weights_sha256,
        "monai_app": __version__,
        **({"stand_ins": dict(stand_ins)} if stand_ins else {}),
    }
