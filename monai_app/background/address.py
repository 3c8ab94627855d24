"""Where a Dask scheduler is; apart from `cluster`, because Dask is large and most runs need none of it."""

import re

from monai_app.errors import ConfigError

_ADDRESS = re.compile(r"\w+://.+:\d+")


def check_address(address: str) -> None:
    """Refuse what is not an address of a scheduler.

    Raises:
        ConfigError: it is none.
    """
    if not _ADDRESS.fullmatch(address):
        raise ConfigError(f"cluster {address!r}: must be the address of a Dask scheduler, tcp://HOST:PORT")
