"""Who may ask, from where, and how much may be sent."""

from collections.abc import Iterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from monai_app.errors import ConfigError
from monai_app.label.guard import LARGEST_TEXT, LOCAL_NAMES, Access, Guard, check_access, is_loopback

TOKEN = "a token that is long enough"


def client(token: str | None = None, largest: int = 1000) -> TestClient:
    async def count(request: Request) -> PlainTextResponse:
        return PlainTextResponse(str(len(await request.body())))

    paths = ("/", "/auth/token", "/train/x", "/infer/x")
    app = Starlette(routes=[Route(path, count, methods=["GET", "POST"]) for path in paths])
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


def test_the_scheme_is_the_same_in_any_case_and_the_token_is_not() -> None:
    guarded = client(TOKEN)
    for scheme in ("bearer", "BEARER", "Bearer "):
        assert guarded.get("/", headers={"Authorization": f"{scheme} {TOKEN}"}).status_code == 200, scheme
    for wrong in (f"Bearer {TOKEN.upper()}", f"Basic {TOKEN}", f"Bearer{TOKEN}", "Bearer", "Bearer \u00e9"):
        assert guarded.get("/", headers={"Authorization": wrong.encode()}).status_code == 401, wrong


@pytest.mark.parametrize("name", ["Host", "Origin", "Authorization", "Content-Type"])
def test_a_header_that_is_sent_twice_is_refused(name: str) -> None:
    value = {"Host": "127.0.0.1:8000", "Origin": "http://127.0.0.1:8000"}.get(name, "x")
    guarded = client()
    assert guarded.get("/", headers=[(name, value)]).status_code == 200
    answer = guarded.get("/", headers=httpx.Headers([(name, value), (name, "http://evil.example")]))
    assert (answer.status_code, "send it once" in answer.json()["detail"]) == (400, True)


def test_a_length_beside_chunks_is_refused() -> None:
    answer = client().post("/", headers={"Content-Length": "1", "Transfer-Encoding": "chunked"}, content=b"x")
    assert answer.status_code == 400


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
        assert "--max-upload" in answer.json()["detail"]
    assert guarded.post("/", headers={"Content-Length": "-1"}).status_code == 413


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
        assert f"{LARGEST_TEXT} bytes; send less" in answer.json()["detail"]
