"""MONAI Label's own authentication, with tokens that a Keycloak would sign; and the end of a server at work."""

import importlib
import json
import pkgutil
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import jwt
import psutil
import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fastapi import APIRouter
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from monai_app.stack import Stack
from tests.conftest import TINY, as_options
from tests.label.conftest import app_in, import_quietly
from tests.label.servers import _environment, answers, free_port, wait_for

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


class Keycloak(BaseHTTPRequestHandler):
    """Tells the key that tokens are signed with, as a realm of Keycloak does."""

    def do_GET(self) -> None:
        public = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        body = json.dumps({"public_key": "".join(public.splitlines()[1:-1])}).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def token(*roles: str, key: object = KEY, algorithm: str = "RS256", expires: float = 600) -> dict[str, str]:
    told = {"preferred_username": "me", "realm_access": {"roles": roles}, "exp": time.time() + expires}
    return {"Authorization": f"Bearer {jwt.encode(told, key, algorithm)}"}  # type: ignore[arg-type]


def test_keycloak_lets_in_whom_it_knows_and_a_busy_server_ends_in_time(
    tiny_stack: Stack, trained: Path, tmp_path: Path
) -> None:
    stack = Path(shutil.copytree(tiny_stack.path, tmp_path / "tiny.ome.zarr"))
    port, realm_port = free_port(), free_port()
    words = ["--bundle", trained, "--host", "0.0.0.0", "--port", port, *as_options({**TINY, "max_epochs": 5000})]
    command = [sys.executable, "-m", "monai_app", "serve", stack, *words]
    variables = {
        "MONAI_LABEL_AUTH_ENABLE": "true",
        "MONAI_LABEL_AUTH_REALM_URI": f"http://127.0.0.1:{realm_port}/realms/x",
    }
    home, log = tmp_path / "home", tmp_path / "log"
    home.mkdir()
    with log.open("wb") as handle:
        process = subprocess.Popen(
            [str(word) for word in command],
            stdout=handle,
            stderr=subprocess.STDOUT,
            env=_environment(home, variables),
        )
    try:

        def ask(method: str, path: str, headers: dict[str, str] | None = None) -> requests.Response:
            return requests.request(method, f"http://127.0.0.1:{port}{path}", headers=headers, timeout=60)

        wait_for(lambda: answers(f"http://127.0.0.1:{port}"))
        assert ask("GET", "/auth/").json()["enabled"] is True
        assert "tiny" not in ask("GET", "/").text  # where MONAI Label asks nobody
        for path in ("/info/", "/datastore/", "/train/", "/logs/", "/model/trained", "/auth/token/valid"):
            assert ask("GET", path).status_code == 401, path
        assert ask("POST", "/train/trained").status_code == 401
        assert ask("GET", "/info/", token("monailabel-user")).status_code == 503  # nobody can say who that is
        realm = HTTPServer(("127.0.0.1", realm_port), Keycloak)
        threading.Thread(target=realm.serve_forever, daemon=True).start()
        user, admin = token("monailabel-user"), token("monailabel-user", "monailabel-annotator", "monailabel-admin")
        assert ask("GET", "/info/", user).status_code == 200
        assert ask("POST", "/train/trained", user).status_code == 403
        assert ask("POST", "/batch/infer/trained", user).status_code == 403
        for path in ("/logs/", "/model/trained", "/model/info/trained"):  # as in MONAI Label
            assert ask("GET", path, user).status_code == 403, path
            assert ask("GET", path, admin).status_code == 200, path
        alone = token("monailabel-admin")  # a role does not stand for another
        assert ask("GET", "/logs/", alone).status_code == 200
        assert ask("GET", "/info/", alone).status_code == 403
        other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        wrong = [token("monailabel-user", key=other), token("monailabel-user", expires=-60)]
        wrong += [token("monailabel-user", key="k" * 32, algorithm="HS256"), {"Authorization": "Bearer x"}]
        wrong.append(token("monailabel-user", key=None, algorithm="none"))
        assert [ask("GET", "/info/", headers).status_code for headers in wrong] == [401] * 5
        assert ask("GET", "/info/", token()).status_code == 403
        realm.shutdown()
        realm.server_close()
        # All at once, and the end in the midst of it.
        thread = threading.Thread(target=lambda: ask("POST", "/infer/trained?image=tiny_z0001", user), daemon=True)
        thread.start()
        assert ask("POST", "/batch/infer/trained", admin).ok
        assert ask("POST", "/train/trained", admin).ok
        family = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        assert process.wait(60) == 0  # about 3, on a machine that does nothing else; the training would take hours
        psutil.wait_procs(family, timeout=10)
        assert not [child for child in family if child.is_running() and child.status() != "zombie"]
    finally:
        process.kill()
        process.wait()


def test_every_route_asks_for_the_role_that_monai_label_asks_for(
    tiny_stack: Stack, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_quietly()
    from monailabel import endpoints
    from monailabel.config import settings

    from monai_app.label.api import create_api
    from monai_app.label.guard import Access

    monkeypatch.setattr(settings, "MONAI_LABEL_AUTH_ENABLE", True)
    app = app_in(tmp_path, tiny_stack.path, trained)
    # Its welcome is in a module that cannot be imported beside another app; it asks for nothing.
    theirs: dict[tuple[str, str], list[str]] = {("GET", "/"): []}
    for module in pkgutil.iter_modules(endpoints.__path__, "monailabel.endpoints."):
        routes = getattr(importlib.import_module(module.name), "router", APIRouter()).routes
        theirs |= asked(routes)
    ours = asked(create_api(app, Access(None, (), 1)).routes)
    assert len(ours) > 35
    assert ours == {route: theirs[route] for route in ours}


def asked(routes: Sequence[BaseRoute]) -> dict[tuple[str, str], list[str]]:
    """The roles that routes ask for, by method and path."""
    from monailabel.endpoints.user.auth import RBAC

    def roles(needs: Dependant) -> list[str]:
        own = [needs.call.roles] if isinstance(needs.call, RBAC) else []
        return own + [role for need in needs.dependencies for role in roles(need)]

    found: dict[tuple[str, str], list[str]] = {}
    for route in routes:
        if isinstance(route, APIRoute):
            found |= {(method, route.path): roles(route.dependant) for method in route.methods or ()}
        elif hasattr(route, "original_router"):  # FastAPI of today keeps routers as they were included
            found |= asked(route.original_router.routes)
    return found
