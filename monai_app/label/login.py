"""How clients log in: with the server's token, or by MONAI Label's own authentication (Keycloak)."""

import hmac
from typing import Annotated, Any

import jwt
import requests
from fastapi import APIRouter, Depends, Form, HTTPException
from monailabel.config import settings
from monailabel.endpoints import login
from monailabel.endpoints.user import auth
from monailabel.endpoints.user.auth import RBAC

from monai_app.label.guard import Access

NO_KEYCLOAK = "Keycloak (MONAI_LABEL_AUTH_REALM_URI) does not answer, so nobody can be let in; ask again in a while"


def keycloak() -> bool:
    """Whether MONAI Label's own authentication is on (``MONAI_LABEL_AUTH_ENABLE``)."""
    return bool(settings.MONAI_LABEL_AUTH_ENABLE)


def roles(role: str) -> list[Any]:
    """Return what a route depends on: a role, where MONAI Label's own authentication is on.

    Args:
        role: ``user``, ``annotator`` or ``admin``.
    """
    return [Depends(RBAC(getattr(settings, f"MONAI_LABEL_AUTH_ROLE_{role.upper()}")))] if keycloak() else []


def current_user(token: Annotated[str, Depends(auth.oauth2_scheme)]) -> auth.User:
    """Who asks, by MONAI Label's own authentication; in a thread, since Keycloak may be slow to answer.

    MONAI Label asks it in the event loop, where nothing else is answered meanwhile.

    Raises:
        HTTPException: 401, the token is not valid; 503, Keycloak does not answer.
    """
    try:
        return _user_of(token)
    except jwt.InvalidTokenError:
        raise HTTPException(401, "the token is not valid; log in again", {"WWW-Authenticate": "Bearer"}) from None
    except (requests.RequestException, LookupError, ValueError):
        raise HTTPException(503, NO_KEYCLOAK, {"Retry-After": "5"}) from None


def _user_of(token: str) -> auth.User:
    """As ``auth.from_token``, which names no algorithm and so is refused by the PyJWT of today, whatever the token."""
    key = auth.get_public_key(settings.MONAI_LABEL_AUTH_REALM_URI)
    told = jwt.decode(token, key, algorithms=["RS256"], options={"verify_aud": False})
    granted: Any = told
    for name in settings.MONAI_LABEL_AUTH_TOKEN_ROLES.split("#"):
        granted = granted.get(name) if isinstance(granted, dict) else None
    return auth.User(
        username=told.get(settings.MONAI_LABEL_AUTH_TOKEN_USERNAME) or "",
        email=told.get(settings.MONAI_LABEL_AUTH_TOKEN_EMAIL),
        name=told.get(settings.MONAI_LABEL_AUTH_TOKEN_NAME),
        roles=[str(role) for role in granted] if isinstance(granted, list) else [],
    )


def login_routes(access: Access) -> list[APIRouter]:
    """Return the routes by which clients log in, where they must.

    3D Slicer asks for user name and password where ``/auth/`` says so; with a token it is the password.
    """
    if keycloak():
        return [login.router]
    return [] if access.token is None else [_token_routes(access.token)]


def _token_routes(token: str) -> APIRouter:
    router = APIRouter(prefix="/auth", tags=["Auth"])

    @router.get("/", summary="Whether clients must log in")
    def enabled() -> dict[str, Any]:
        return {"enabled": True, "client_id": "monai-app", "realm": ""}

    @router.post(
        "/token", summary="Log in with the token as the password", responses={401: {"description": "Wrong token"}}
    )
    def log_in(password: Annotated[str, Form()], username: Annotated[str, Form()] = "") -> dict[str, str]:
        # What a form of an odd character set holds need not be a text that UTF-8 knows.
        if not hmac.compare_digest(password.encode(errors="surrogatepass"), token.encode()):
            raise HTTPException(401, "the password is not the server's token")
        return {"access_token": token, "token_type": "Bearer"}

    @router.get("/token/valid", summary="Whether the token that was sent is right")
    def valid() -> dict[str, str]:
        return {"username": "token"}

    return router
