"""MONAI Label's own routes, in threads.

MONAI Label's handlers work in the event loop: during inference, the server does not respond. Here each runs in a thread
with validated parameters, and stops when its client disconnects.
"""

import asyncio
import inspect
import logging
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError
from contextlib import suppress
from pathlib import Path
from typing import Any

from anyio import CancelScope, CapacityLimiter, to_thread
from fastapi import APIRouter, Request, UploadFile
from fastapi.responses import FileResponse
from fastapi.routing import APIRoute
from monailabel.endpoints import activelearning, datastore, infer, info, session
from monailabel.endpoints.user.auth import User
from pydantic import BaseModel
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException

from monai_app.errors import NotFoundError, StoppedError
from monai_app.label.datastore.temporary import hold
from monai_app.label.http.parameters import Choice, ClientInfo, InferenceOptions, Output, Volume, json_of
from monai_app.label.settings import Workspace

Handler = Callable[..., Coroutine[Any, Any, Any]]

_ROUTES = {
    *("GET /info/", "POST /infer/{model}", "POST /activelearning/{strategy}"),
    *("GET /session/{session_id}", "DELETE /session/{session_id}"),
    *("GET /datastore/", "PUT /datastore/", "DELETE /datastore/"),
    *("PUT /datastore/image", "GET /datastore/image", "DELETE /datastore/image", "GET /datastore/image/info"),
    *("PUT /datastore/label", "GET /datastore/label", "DELETE /datastore/label", "GET /datastore/label/info"),
}
"""The routes that clients use. Others would replace files of models, or are not used."""

_CHECKED: dict[tuple[Any, str], Any] = {
    (infer, "params"): json_of(InferenceOptions),
    (infer, "output"): Output | None,
    (activelearning, "params"): Choice | None,
    (datastore, "params"): json_of(ClientInfo),
}
"""Types of parameters for which MONAI Label accepts anything, by the router's module."""

_log = logging.getLogger(__name__)


def stock_routes(workspace: Workspace, threads: CapacityLimiter) -> APIRouter:
    """Return MONAI Label's routes, run in threads."""
    router = APIRouter()
    for module in (info, infer, activelearning, datastore, session):
        for route in module.router.routes:
            if isinstance(route, APIRoute) and f"{min(route.methods or ())} {route.path}" in _ROUTES:
                router.add_api_route(
                    route.path,
                    _in_thread(route.endpoint, module, workspace, threads),
                    methods=list(route.methods or ()),
                    tags=route.tags,
                    summary=route.summary,
                    include_in_schema=route.include_in_schema,
                )
    return router


def _in_thread(handler: Handler, module: Any, workspace: Workspace, threads: CapacityLimiter) -> Handler:
    """Return a handler that does the same in a thread with validated parameters."""
    signature = inspect.signature(handler)
    files = "background_tasks" in signature.parameters

    async def answer(request: Request, **values: Any) -> Any:
        given = {name: each.model_dump() if isinstance(each, BaseModel) else each for name, each in values.items()}
        if "user" in signature.parameters:
            given["user"] = User(username="")  # whose name would be recorded
        try:
            answered = await _while_connected(request, lambda: asyncio.run(handler(**given)), threads)
        except BaseException:
            if files:  # MONAI Label removes them only after a response
                with CancelScope(shield=True):
                    await values["background_tasks"]()
            raise
        if isinstance(answered, FileResponse) and not files:
            # It is sent as it is now, even if it is replaced or removed meanwhile.
            kept = hold(workspace, Path(answered.path), NotFoundError("it has just been removed; request another"))
            answered.path, answered.background = kept, BackgroundTask(kept.unlink, missing_ok=True)
        return answered

    parameters = [_checked(module, given) for name, given in signature.parameters.items() if name != "user"]
    own = inspect.Parameter("request", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Request)
    vars(answer).update(__signature__=signature.replace(parameters=[own, *parameters]))
    answer.__name__ = handler.__name__
    return answer


def _checked(module: Any, parameter: inspect.Parameter) -> inspect.Parameter:
    """What a parameter is here."""
    if parameter.annotation is UploadFile:
        return parameter.replace(annotation=Volume | None)
    if (module, parameter.name) not in _CHECKED:
        return parameter
    default = "{}" if parameter.annotation is str else None
    return parameter.replace(annotation=_CHECKED[module, parameter.name], default=default)


async def _while_connected(request: Request, work: Callable[[], Any], threads: CapacityLimiter) -> Any:
    """Run work in a thread; its parts in the event loop or the worker stop when the client disconnects."""
    with suppress(CancelledError), CancelScope() as scope:  # the thread sees the cancellation as this exception
        watch = asyncio.create_task(_watch(request, scope))
        try:
            return await to_thread.run_sync(work, limiter=threads)
        finally:
            watch.cancel()
    raise StoppedError("the client disconnected, so its request was cancelled; send it again")


async def _watch(request: Request, scope: CancelScope) -> None:
    with suppress(HTTPException):  # it sends more than allowed, which is not read
        while (await request.receive())["type"] != "http.disconnect":
            pass
        _log.info("a client disconnected: %s %s is cancelled", request.method, request.url.path)
        scope.cancel()
