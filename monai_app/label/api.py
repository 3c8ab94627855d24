"""MONAI Label's HTTP interface, answered by an app that may be busy.

Paths, parameters and answers are those of MONAI Label 0.8.5 (``monailabel.endpoints``), whose handlers do their work in
the event loop: while it infers, nothing is answered. These run in threads. Values are checked before anything is done,
and every error is a JSON object with ``detail``. Left out are its proxy to DICOM servers, its viewers, whole-slide
inference and the replacing of model files.
"""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import requests
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from monailabel.endpoints.user.auth import get_current_user
from starlette.exceptions import HTTPException

from monai_app.errors import AppError
from monai_app.label.answers import (
    REFUSED,
    answer_bug,
    answer_error,
    answer_http,
    answer_invalid,
    answer_system,
    answer_unreached,
)
from monai_app.label.app import StackApp
from monai_app.label.guard import LARGEST_TEXT, MOST_FILES, MOST_TEXTS, Access, Guard
from monai_app.label.login import current_user, login_routes
from monai_app.label.routes import about_routes, inference_routes, session_routes, work_routes
from monai_app.label.routes_datastore import image_routes, label_routes


def create_api(app: StackApp, access: Access) -> FastAPI:
    """Return the web application.

    Args:
        app: what answers.
        access: who may ask.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        app.server_mode(True)
        # What is loaded stays: looking through all of it for garbage takes half a second, and nobody is answered then;
        # at the end of the process it would take seconds.
        gc.collect()
        gc.freeze()
        forgetting = asyncio.create_task(app.store.sessions.keep_forgetting())
        yield
        forgetting.cancel()
        app.close()

    api = FastAPI(
        title="MONAI Label: monai-app",
        openapi_url="/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        form_limits={"max_files": MOST_FILES, "max_fields": MOST_TEXTS, "max_part_size": LARGEST_TEXT},
    )
    hidden = (app.workspace.folder, app.store.path.parent)
    api.add_exception_handler(AppError, lambda _, error: answer_error(error, hidden))
    api.add_exception_handler(RequestValidationError, answer_invalid)
    api.add_exception_handler(HTTPException, answer_http)
    api.add_exception_handler(OSError, answer_system)
    api.add_exception_handler(requests.RequestException, answer_unreached)
    api.dependency_overrides[get_current_user] = current_user
    api.add_exception_handler(Exception, answer_bug)
    for router in (
        about_routes(app),
        inference_routes(app),
        image_routes(app),
        label_routes(app),
        work_routes(app),
        session_routes(app),
        *login_routes(access),
    ):
        api.include_router(router, responses=REFUSED)
    api.add_middleware(Guard, access=access)
    return api
