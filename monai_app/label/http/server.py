"""The web application: MONAI Label's interface around the app, with the package's errors as responses."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

from anyio import CapacityLimiter
from fastapi import FastAPI, Request, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from monailabel.config import settings
from monailabel.interfaces.utils import app as instances
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware

from monai_app.background.jobs import Jobs
from monai_app.errors import DISK_FULL, AppError, is_disk_full
from monai_app.label.app import StackApp
from monai_app.label.http.job_routes import job_routes, login_routes, session_routes
from monai_app.label.http.monailabel_routes import stock_routes
from monai_app.label.http.parameters import described
from monai_app.label.http.security import BEARER, LARGEST_TEXT, Access, AccessMiddleware

_REFUSED = (400, 401, 403, 404, 409, 413, 422, 429, 500, 503, 507)
"""Responses of all routes."""

_SPARE = 40
"""Threads in addition to those in which inferences wait, so that other requests are served."""

_log = logging.getLogger(__name__)


def create_api(app: StackApp, access: Access) -> FastAPI:
    """Return the web application with access control."""
    jobs = Jobs(app.workspace.logs)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        app.server_mode(True)
        # Loaded modules stay: collecting garbage among them takes half a second, during which no request is served, and
        # seconds at the end of the process.
        gc.collect()
        gc.freeze()
        forgetting = asyncio.create_task(app.store.sessions.keep_forgetting())
        yield
        forgetting.cancel()
        await jobs.close()
        await app.worker.close()

    api = FastAPI(
        title="MONAI Label: monai-app",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        responses={status: {"description": HTTPStatus(status).phrase} for status in _REFUSED},
        dependencies=[Security(BEARER)] if access.token is not None else [],
        form_limits={"max_files": 2, "max_fields": 16, "max_part_size": LARGEST_TEXT},
    )
    instances.apps[f"{settings.MONAI_LABEL_APP_DIR}{settings.MONAI_LABEL_STUDIES}"] = (
        app  # where MONAI Label looks for it
    )
    stock = stock_routes(app.workspace, CapacityLimiter(app.settings.waiting + 1 + _SPARE))
    login = [] if access.token is None else [login_routes(access.token)]
    for router in (stock, job_routes(app, jobs), session_routes(app), *login):
        api.include_router(router)
    for kind in (AppError, OSError, Exception):
        api.add_exception_handler(kind, answer_error)
    api.add_exception_handler(RequestValidationError, _answer_invalid)
    api.add_exception_handler(HTTPException, _answer_http)
    api.add_middleware(AccessMiddleware, access=access)
    api.add_middleware(TrustedHostMiddleware, allowed_hosts=access.names, www_redirect=False)
    return api


def answer_error(_: Request, error: Exception) -> JSONResponse:
    """Return errors that the client can correct; for a bug only its type, because the log has the details."""
    if is_disk_full(error):
        _log.error("the server's disk is full: %s", error)
        return JSONResponse({"detail": DISK_FULL}, 507)
    status = error.status if isinstance(error, AppError) else 500
    if status == 500:
        _log.error("a request failed", exc_info=error)
    detail = str(error) if isinstance(error, AppError) else f"the server failed ({type(error).__name__}); see its log"
    return JSONResponse({"detail": detail}, status, {"Retry-After": "5"} if status == 503 else None)


def _answer_invalid(_: Request, error: Exception) -> JSONResponse:
    """Return which parameters are invalid."""
    assert isinstance(error, RequestValidationError)
    return JSONResponse({"detail": described(error.errors())}, 422)


def _answer_http(_: Request, error: Exception) -> JSONResponse:
    """Return errors of FastAPI, Starlette and MONAI Label."""
    assert isinstance(error, HTTPException)
    # MONAI Label responds with 500 if a client names no image.
    return JSONResponse(
        {"detail": str(error.detail)}, 422 if error.status_code == 500 else error.status_code, error.headers
    )
