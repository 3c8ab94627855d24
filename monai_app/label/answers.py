"""How the HTTP interface answers: files, results of inferences, and errors as JSON."""

import json
import logging
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response
from monailabel.utils.others.generic import get_mime_type
from requests_toolbelt import MultipartEncoder
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException

from monai_app.errors import AppError, BusyError, StoppedError, TargetExistsError
from monai_app.label.datastore.temporary import hold
from monai_app.label.errors import (
    DISK_FULL,
    AbandonedError,
    InferenceError,
    NoMemoryError,
    NoRoomError,
    NotTrainedError,
    QueueFullError,
    RunningError,
    StoppingError,
    UnknownError,
    is_disk_full,
)
from monai_app.label.guard import LARGEST_TEXT, MOST_FILES, MOST_TEXTS
from monai_app.label.login import NO_KEYCLOAK
from monai_app.label.settings import Workspace

_STATUS: tuple[tuple[type[AppError], int], ...] = (
    (UnknownError, 404),
    (NotTrainedError, 409),
    (TargetExistsError, 409),
    (BusyError, 409),
    (StoppedError, 409),
    (RunningError, 429),
    (QueueFullError, 503),
    (StoppingError, 503),
    (AbandonedError, 499),  # nobody reads it; web servers note this number where a client closed its request
    (NoMemoryError, 507),
    (NoRoomError, 507),  # RFC 4918, 11.5, and 4331 for quotas; 413 says that the request itself is too large (RFC 9110)
    (InferenceError, 500),
    (AppError, 422),
)
"""What a client's error is in HTTP; anything that is no AppError is the server's."""

REFUSED: dict[int | str, dict[str, Any]] = {
    400: {"description": "The request cannot be read"},
    401: {"description": "Who asks must log in"},
    403: {"description": "Who asks may not"},
    413: {"description": "A request may not send as much"},
    421: {"description": "The server is not called so"},
}
"""What any request may be answered, for the description of the interface."""

ERRORS: dict[int | str, dict[str, Any]] = {
    404: {"description": "There is no such thing"},
    409: {"description": "It cannot be done now"},
    422: {"description": "A value breaks its rule"},
    429: {"description": "One runs already"},
    500: {"description": "The inference failed"},
    503: {"description": "As many inferences wait as may, or the server stops"},
    507: {"description": "There is not enough memory, or no room for what is sent"},
}
"""What a request that does something may be answered."""

_log = logging.getLogger(__name__)


class Output(StrEnum):
    """What an inference answers with."""

    image = "image"
    json = "json"
    all = "all"


def answer_error(error: Exception, hidden: Sequence[Path]) -> JSONResponse:
    """Tell a client what it can mend; in which folders the server keeps its files is not its business."""
    if is_disk_full(error):
        return _answer_full(error)
    status = next(code for kind, code in _STATUS if isinstance(error, kind))
    detail = str(error)
    for folder in hidden:
        detail = detail.replace(f"{folder}/", "")
    return JSONResponse({"detail": detail}, status, {"Retry-After": "5"} if status == 503 else None)


def answer_invalid(_: Request, error: Exception) -> JSONResponse:
    """Tell which value breaks which rule, without the value: it may be anything, also what JSON cannot hold."""
    assert isinstance(error, RequestValidationError)
    told = [
        {"type": entry["type"], "loc": [str(part)[:120] for part in entry["loc"]], "msg": entry["msg"]}
        for entry in error.errors()
    ]
    return JSONResponse({"detail": told}, 422)


def answer_system(request: Request, error: Exception) -> JSONResponse:
    """A full disk is nobody's bug."""
    assert isinstance(error, OSError)
    return _answer_full(error) if is_disk_full(error) else answer_bug(request, error)


def _answer_full(error: Exception) -> JSONResponse:
    _log.error("the server's disk is full: %s", error)
    return JSONResponse({"detail": DISK_FULL}, 507)


def answer_http(_: Request, error: Exception) -> JSONResponse:
    """What FastAPI and Starlette refuse; they do not say that a form which holds too much is too large."""
    assert isinstance(error, HTTPException)
    status, detail = error.status_code, str(error.detail)
    if status == 400 and any(words in detail for words in ("exceeded maximum size", "Too many f")):
        most = f"{MOST_FILES} files and {MOST_TEXTS} texts of {LARGEST_TEXT} bytes"
        status, detail = 413, f"{detail} A form may hold {most} at most; send less."
    return JSONResponse({"detail": detail}, status, error.headers)


def answer_unreached(_: Request, error: Exception) -> JSONResponse:
    """The server that says who people are does not answer."""
    _log.error("Keycloak does not answer: %s", error)
    return JSONResponse({"detail": NO_KEYCLOAK}, 503, {"Retry-After": "5"})


def answer_bug(_: Request, error: Exception) -> JSONResponse:
    """Say that something failed, and no more of it than its kind; the log has the rest."""
    _log.error("a request failed", exc_info=error)
    return JSONResponse({"detail": f"the server failed ({type(error).__name__}); its log says more"}, 500)


def send_file(workspace: Workspace, path: str, missing: AppError) -> FileResponse:
    """Send a volume as it is now, whoever replaces or removes it meanwhile.

    Args:
        workspace: the server's folder.
        path: the volume; empty where there is none.
        missing: raised where there is none.
    """
    held = hold(workspace, path, missing)
    return FileResponse(
        held,
        media_type=get_mime_type(path),
        filename=Path(path).name,
        background=BackgroundTask(held.unlink, missing_ok=True),
    )


def send_result(result: dict[str, Any], output: Output) -> Response:
    """Send what `StackApp.infer` gave, and remove the file."""
    path, told = Path(result["file"]), result["params"]
    if output is Output.json:
        path.unlink(missing_ok=True)
        return JSONResponse(told)
    if output is Output.image:
        return FileResponse(
            path, media_type=get_mime_type(str(path)), filename=path.name, background=BackgroundTask(path.unlink, True)
        )
    try:
        with path.open("rb") as labels:
            fields = {
                "params": (None, json.dumps(told), "application/json"),
                "image": (path.name, labels, get_mime_type(str(path))),
            }
            form = MultipartEncoder(fields=fields)
            return Response(form.to_string(), media_type=form.content_type)
    finally:
        path.unlink(missing_ok=True)
