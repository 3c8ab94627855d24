"""Who may ask, from where, and how much may be sent."""

from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from monai_app.errors import ConfigError
from monai_app.label.http.security import LARGEST_TEXT, Access, AccessMiddleware

TOKEN = "a token that is long enough"


def client(token: str | None = None, largest: int = 1000) -> TestClient:
    async def count(request: Request) -> PlainTextResponse:
        return PlainTextResponse(str(len(await request.body())))

    paths = ("/", "/auth/token", "/train/x", "/infer/x")
    access = Access("127.0.0.1", token, largest)
    app = Starlette(routes=[Route(path, count, methods=["GET", "POST"]) for path in paths])
    app.add_middleware(AccessMiddleware, access=access)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=access.names, www_redirect=False)
    return TestClient(app, base_url="http://127.0.0.1:8000")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_loopback_needs_no_token(host: str) -> None:
    assert Access(host).is_local


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "microscope.example", "localhost.example", ""])
def test_other_addresses_need_a_token(host: str) -> None:
    with pytest.raises(ConfigError, match="--token-file"):
        Access(host)
    assert not Access(host, TOKEN).is_local


def test_a_short_token_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 16"):
        Access("127.0.0.1", "secret")


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
        assert guarded.get("/", headers={"Host": host}).status_code == 400, host
    assert guarded.post("/", headers={"Origin": "http://evil.example"}).status_code == 403
    assert guarded.post("/", headers={"Origin": "null"}).status_code == 403
    assert guarded.post("/", headers={"Origin": "http://127.0.0.1:8000"}).status_code == 200


def test_the_scheme_is_the_same_in_any_case_and_the_token_is_not() -> None:
    guarded = client(TOKEN)
    for scheme in ("bearer", "BEARER"):
        assert guarded.get("/", headers={"Authorization": f"{scheme} {TOKEN}"}).status_code == 200, scheme
    for wrong in (f"Bearer {TOKEN.upper()}", f"Basic {TOKEN}", f"Bearer{TOKEN}", "Bearer", "Bearer \u00e9"):
        assert guarded.get("/", headers={"Authorization": wrong.encode()}).status_code == 401, wrong


FILES = {"Content-Type": "Multipart/form-data; boundary=x"}


def parts(size: int) -> Iterator[bytes]:
    """A body that does not say how long it is."""
    yield from [b"x" * 100] * (size // 100)
    yield b"x" * (size % 100)


def test_large_requests_are_refused_whether_they_say_so_or_not() -> None:
    guarded = client(largest=1000)
    assert guarded.post("/infer/x", content=b"x" * 1000, headers=FILES).text == "1000"
    assert guarded.post("/infer/x", content=parts(1000), headers=FILES).text == "1000"
    for content in (b"x" * 1001, parts(1001)):
        answer = guarded.post("/infer/x", content=content, headers=FILES)
        assert answer.status_code == 413
        assert "--max-upload" in answer.text


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/train/x", "application/json"),
        ("/infer/x", "application/json"),
        ("/infer/x", "application/x-www-form-urlencoded"),
        ("/infer/x", ""),
        ("/train/x", FILES["Content-Type"]),  # where it would be read as a whole, whatever it is
        ("/auth/token", FILES["Content-Type"]),  # where anybody may ask
    ],
)
def test_what_is_no_file_may_be_small_only(path: str, kind: str) -> None:
    guarded, headers = client(largest=10 * LARGEST_TEXT), {"Content-Type": kind} if kind else {}
    assert guarded.post(path, content=parts(LARGEST_TEXT), headers=headers).text == str(LARGEST_TEXT)
    for content in (b"x" * (LARGEST_TEXT + 1), parts(LARGEST_TEXT + 1)):
        answer = guarded.post(path, content=content, headers=headers)
        assert answer.status_code == 413
        assert f"{LARGEST_TEXT} bytes; send less" in answer.text
