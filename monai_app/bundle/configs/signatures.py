"""What the user of this machine trusts, recorded as in Jupyter: by keyed digests in a folder."""

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from platformdirs import user_data_path

from monai_app.files import atomic_file, clear_unused, lock, lock_path

FOLDER = "MONAI_APP_TRUST"
"""Environment variable with another folder for key and signatures, such as one shared by a cluster."""


def sign(content: bytes) -> None:
    """Record that the user trusts this content."""
    folder = _folder() / "signatures"
    folder.mkdir(parents=True, exist_ok=True)
    _make_key()
    (folder / _digest(content)).touch()


def is_signed(content: bytes) -> bool:
    """Whether the user trusted exactly this content, with the current key."""
    return _key().is_file() and (_folder() / "signatures" / _digest(content)).is_file()


def _folder() -> Path:
    return Path(os.environ.get(FOLDER) or user_data_path("monai-app"))


def _key() -> Path:
    return _folder() / "key"


def _digest(content: bytes) -> str:
    return hmac.new(_key().read_bytes(), content, hashlib.sha256).hexdigest()


def _make_key() -> None:
    """Create the key once, readable only by the user."""
    if _key().is_file():
        clear_unused(_key())  # locks of a process that was killed after publishing the key
        return
    with lock(lock_path(_key())):  # another process may have created it
        if not _key().is_file():
            with atomic_file(_key()) as file:
                file.touch(0o600)
                file.write_bytes(secrets.token_bytes(32))
