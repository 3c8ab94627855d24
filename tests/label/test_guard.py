"""Who may ask, from where, and how much may be sent."""

from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from monai_app.errors import ConfigError
from monai_app.label.guard import LOCAL_NAMES, Access, Guard, check_access, is_loopback

TOKEN = "a token that is long enough"


def client(token: str | None = None, largest: int = 1000) -> TestClient:
    async def count(request: Request) -> PlainTextResponse:
        return PlainTextResponse(str(len(await request.body())))

    app = Starlette(routes=[Route("/", count, methods=["GET", "POST"]), Route("/auth/token", count, methods=["POST"])])
    hosts = LOCAL_NAMES if token is None else ()
    return TestClient(Guard(app, Access(token, hosts, largest)), base_url="http://127.0.0.1:8000")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_loopback_needs_no_token(host: str) -> None:
    assert is_loopback(host)
    check_access(host, None)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "microscope.example", "localhost.example", ""])
def test_other_addresses_need_a_token_or_keycloak(host: str) -> None:
    with pytest.raises(ConfigError, match="--token-file"):
        check_access(host, None)
    check_access(host, TOKEN)
    check_access(host, None, keycloak=True)


def test_a_short_token_is_refused() -> None:
    with pytest.raises(ConfigError, match="16 or more"):
        check_access("127.0.0.1", "secret")


def test_a_token_is_asked_for() -> None:
    guarded = client(TOKEN)
    assert guarded.get("/").status_code == 401
    assert guarded.get("/", headers={"Authorization": TOKEN}).status_code == 401
    assert guarded.get("/", headers={"Authorization": f"Bearer {TOKEN}x"}).status_code == 401
    assert guarded.get("/", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
    assert guarded.post("/auth/token").status_code == 200  # where clients log in


def test_other_names_and_web_pages_are_refused() -> None:
    guarded = client()
    assert guarded.get("/").status_code == 200
    assert guarded.get("/", headers={"Host": "localhost:8000"}).status_code == 200
    for host in ("rebound.example", "127.0.0.1.example:8000", "", "[", "a@rebound.example"):
        assert guarded.get("/", headers={"Host": host}).status_code == 421, host
    assert guarded.post("/", headers={"Origin": "http://evil.example"}).status_code == 403
    assert guarded.post("/", headers={"Origin": "null"}).status_code == 403
    assert guarded.post("/", headers={"Origin": "http://127.0.0.1:8000"}).status_code == 200


def test_large_requests_are_refused_whether_they_say_so_or_not() -> None:
    def parts(count: int) -> Iterator[bytes]:
        yield from [b"x" * 100] * count

    guarded = client(largest=1000)
    assert guarded.post("/", content=b"x" * 1000).text == "1000"
    assert guarded.post("/", content=parts(10)).text == "1000"
    for content in (b"x" * 1001, parts(11)):
        answer = guarded.post("/", content=content)
        assert answer.status_code == 413
        assert "--max-upload" in answer.json()["detail"]
    assert guarded.post("/", headers={"Content-Length": "-1"}).status_code == 413
