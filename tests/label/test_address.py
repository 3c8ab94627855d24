"""Where a server listens: what cannot be bound is refused with the option that is wrong."""

import socket

import pytest

from monai_app.errors import ConfigError
from monai_app.label.address import bound_socket, read_host


@pytest.mark.parametrize(
    ("text", "host"), [("127.0.0.1", "127.0.0.1"), ("localhost", "localhost"), ("::1", "::1"), ("[::1]", "::1")]
)
def test_hosts_are_read_as_people_write_them(text: str, host: str) -> None:
    assert read_host(text) == host


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("localhost:8000", "--host localhost --port 8000"),
        ("[::1]:8000", "--host ::1 --port 8000"),
        ("http://localhost", "such as 127.0.0.1"),
        ("::x", "such as 127.0.0.1"),
    ],
)
def test_what_is_no_host_is_refused(text: str, remedy: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_host(text)
    assert text in str(caught.value)
    assert remedy in str(caught.value)


def test_the_remedy_is_for_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    for host in ("192.0.2.1", "a" * 70):  # an address of no machine, and no name
        with pytest.raises(ConfigError, match="--host") as caught:
            bound_socket(host, 0)
        assert "--port" not in str(caught.value)
    with bound_socket("127.0.0.1", 0) as taken:
        taken.listen()
        with pytest.raises(ConfigError, match="choose another --port"):
            bound_socket("127.0.0.1", taken.getsockname()[1])
    with pytest.raises(ConfigError, match="choose another --port"):
        bound_socket("127.0.0.1", 70000)
    monkeypatch.setattr("socket.socket.bind", unknown)
    with pytest.raises(ConfigError, match=r"Name or service not known.*--host"):
        bound_socket("nosuchhost.invalid", 0)
