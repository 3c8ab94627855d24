"""Where a server listens: the host and port that a person gave, and the socket."""

import ipaddress
import re
import socket

from monai_app.errors import ConfigError

_WITH_PORT = re.compile(r"(?P<host>\[[^\]]*\]|[^:\[\]]*):(?P<port>\d*)")


def read_host(text: str) -> str:
    """Read an address to bind to, also where it is written as in URLs: ``[::1]``.

    Raises:
        ConfigError: it has a port, or is no address.
    """
    found = _WITH_PORT.fullmatch(text)
    if found:
        raise ConfigError(
            f"--host {text} has a port; give the two apart: --host {_bare(found['host'])} --port {found['port']}"
        )
    host = _bare(text)
    if ":" in host:
        try:
            ipaddress.IPv6Address(host)
        except ValueError:
            raise ConfigError(
                f"--host {text} is no address; give a name or an address of this machine, such as 127.0.0.1 or ::1"
            ) from None
    return host


def _bare(host: str) -> str:
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def bound_socket(host: str, port: int) -> socket.socket:
    """Return a socket that is bound.

    Args:
        host: as `read_host` gives it.
        port: 0 takes any that is free.

    Raises:
        ConfigError: the host is not this machine's, or the port is not free.
    """
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except (OSError, OverflowError, UnicodeError) as error:
        bound.close()
        raise ConfigError(
            f"{host}:{port} cannot be bound ({error}); give a name or an address of this machine (--host), such as "
            "127.0.0.1, and a --port on which nothing listens"
        ) from None
    return bound
