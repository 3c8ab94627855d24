"""Which exported files may be run: those that this program wrote for the user, and those that the user trusted.

TorchScript reads and writes any file that it names, and torch.export falls back on pickles. ONNX computes, and reads
nothing but itself. Signatures are those of bundles (`bundle.configs.signatures`), over the whole file.
"""

import hashlib
from pathlib import Path

from monai_app.bundle.configs import signatures
from monai_app.errors import ConfigError
from monai_app.export.formats import Format


def is_trusted(content: bytes, kind: Format) -> bool:
    """Whether a file of this content may be loaded."""
    return kind == "onnx" or signatures.is_signed(_named(content))


def check_trusted(content: bytes, kind: Format, path: Path) -> None:
    """Check that a file may be loaded, before anything parses its content.

    Raises:
        ConfigError: it is a program that is not trusted on this machine.
    """
    if not is_trusted(content, kind):
        raise ConfigError(
            f"{path} is a program that this account neither exported nor trusted; export the run folder again, or run "
            f"`monai-app trust {path}` if you trust who made it"
        )


def sign(content: bytes) -> None:
    """Remember that the user trusts a file of this content."""
    signatures.sign(_named(content))


def _named(content: bytes) -> bytes:
    return b"exported file " + hashlib.sha256(content).digest()
