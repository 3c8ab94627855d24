"""MONAI Label's HTTP interface, answered by an app that may be busy.

Paths, parameters and answers are those of MONAI Label 0.8.5 (``monailabel.endpoints``), whose handlers do their work in
the event loop: while it infers, nothing is answered. These run in threads. Values are checked before anything is done,
and every error is a JSON object with ``detail``. Left out are its proxy to DICOM servers, its viewers, whole-slide
inference and the replacing of model files.
"""

import errno
import json
import logging
import os
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import requests
from fastapi import APIRouter, Body, FastAPI, File, Form, Query, Request, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from monailabel.endpoints.user.auth import get_current_user
from monailabel.utils.others.generic import get_mime_type
from requests_toolbelt import MultipartEncoder
from starlette.background import BackgroundTask

from monai_app.errors import AppError, BusyError, ConfigError, TargetExistsError
from monai_app.label.app import StackApp
from monai_app.label.datastore import FINAL, ORIGINAL
from monai_app.label.errors import (
    InferenceError,
    NoMemoryError,
    NotTrainedError,
    QueueFullError,
    RunningError,
    UnknownError,
)
from monai_app.label.guard import Access, Guard
from monai_app.label.login import NO_KEYCLOAK, current_user, login_routes, roles
from monai_app.label.tasks import read_flag, read_options
from monai_app.label.training import check_trainable
from monai_app.label.uploads import Uploads, check_id, suffix_of

_log = logging.getLogger(__name__)

_STATUS: tuple[tuple[type[AppError], int], ...] = (
    (UnknownError, 404),
    (NotTrainedError, 409),
    (TargetExistsError, 409),
    (BusyError, 409),
    (RunningError, 429),
    (QueueFullError, 503),
    (NoMemoryError, 507),
    (InferenceError, 500),
    (AppError, 422),
)
"""What a client's error is in HTTP; anything that is no AppError is the server's."""

_NOT_FINAL = "label_tag 'final' is for what people checked; choose another, such as 'original'"

Options = Annotated[dict[str, Any] | None, Body()]
Image = Annotated[str, Query(max_length=200)]
Tag = Annotated[str, Query(max_length=200)]


class Output(StrEnum):
    """What an inference answers with."""

    image = "image"
    json = "json"
    all = "all"


class Listing(StrEnum):
    """What is told of the datastore."""

    train = "train"
    stats = "stats"
    all = "all"


class Images(StrEnum):
    """What a batch labels."""

    all = "all"
    labeled = "labeled"
    unlabeled = "unlabeled"


def create_api(app: StackApp, access: Access) -> FastAPI:
    """Return the web application.

    Args:
        app: what answers.
        access: who may ask.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        app.server_mode(True)
        yield
        app.close()

    api = FastAPI(
        title="MONAI Label: monai-app", openapi_url="/openapi.json", docs_url=None, redoc_url=None, lifespan=lifespan
    )
    hidden = (app.workspace.folder, app.store.path.parent)
    api.add_exception_handler(AppError, lambda _, error: _answer_error(error, hidden))
    api.add_exception_handler(RequestValidationError, _answer_invalid)
    api.add_exception_handler(OSError, _answer_system)
    api.add_exception_handler(requests.RequestException, _answer_unreached)
    api.dependency_overrides[get_current_user] = current_user
    api.add_exception_handler(Exception, _answer_bug)
    for router in (
        _about(app),
        _inference(app),
        _data(app),
        _labels(app),
        _work(app),
        _sessions(app),
        *login_routes(access),
    ):
        api.include_router(router, responses=_REFUSED)
    api.add_middleware(Guard, access=access)
    return api


def _answer_error(error: Exception, hidden: Sequence[Path]) -> JSONResponse:
    """Tell a client what it can mend; in which folders the server keeps its files is not its business."""
    status = next(code for kind, code in _STATUS if isinstance(error, kind))
    detail = str(error)
    for folder in hidden:
        detail = detail.replace(f"{folder}/", "")
    return JSONResponse({"detail": detail}, status, {"Retry-After": "5"} if status == 503 else None)


def _answer_invalid(_: Request, error: Exception) -> JSONResponse:
    """Tell which value breaks which rule, without the value: it may be anything, also what JSON cannot hold."""
    assert isinstance(error, RequestValidationError)
    told = [
        {"type": entry["type"], "loc": [str(part)[:120] for part in entry["loc"]], "msg": entry["msg"]}
        for entry in error.errors()
    ]
    return JSONResponse({"detail": told}, 422)


def _answer_system(request: Request, error: Exception) -> JSONResponse:
    """A full disk is nobody's bug."""
    assert isinstance(error, OSError)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        _log.error("the server's disk is full", exc_info=error)
        return JSONResponse({"detail": "the server's disk is full; remove uploads, or tell who runs the server"}, 507)
    return _answer_bug(request, error)


def _answer_unreached(_: Request, error: Exception) -> JSONResponse:
    _log.error("Keycloak does not answer: %s", error)
    return JSONResponse({"detail": NO_KEYCLOAK}, 503, {"Retry-After": "5"})


def _answer_bug(_: Request, error: Exception) -> JSONResponse:
    _log.error("a request failed", exc_info=error)
    return JSONResponse({"detail": f"the server failed ({type(error).__name__}); its log says more"}, 500)


# ---- about the server ------------------------------------------------------------------------------------------------


def _about(app: StackApp) -> APIRouter:
    router = APIRouter(dependencies=roles("user"))

    @router.get("/", include_in_schema=False)
    def welcome() -> PlainTextResponse:
        return PlainTextResponse(
            f"{app.name}: a MONAI Label server. 3D Slicer: enter this address in its MONAI Label module.\n"
        )

    @router.get("/info/", tags=["App"], summary="What the app can do")
    def info() -> dict[str, Any]:
        return app.info()

    @router.get("/model/info/{model}", tags=["Model"], summary="Checksum of the weights that count", responses=_ERRORS)
    def model_info(model: str) -> dict[str, Any]:
        app.model(model)
        found: dict[str, Any] | None = app.model_info(model)
        if found is None:
            raise NotTrainedError(f"model {model} has no weights yet; train it first")
        return found

    @router.get(
        "/model/{model}",
        tags=["Model"],
        summary="The weights that count",
        responses=_ERRORS,
        response_class=FileResponse,
    )
    def model_file(model: str) -> FileResponse:
        weights = app.model(model).weights
        if weights is None:
            raise NotTrainedError(f"model {model} has no weights yet; train it first")
        return FileResponse(weights, filename=f"{model}{weights.suffix}")

    @router.get("/logs/", tags=["Others"], summary="The end of the server's log", response_class=PlainTextResponse)
    def logs(lines: Annotated[int, Query(ge=1, le=100_000)] = 300) -> PlainTextResponse:
        path = app.workspace.log
        text = path.read_text(encoding="utf8", errors="replace") if path.is_file() else ""
        return PlainTextResponse("".join(text.splitlines(keepends=True)[-lines:]))

    return router


# ---- inference -------------------------------------------------------------------------------------------------------


def _inference(app: StackApp) -> APIRouter:
    router = APIRouter(tags=["Infer"], dependencies=roles("user"))

    @router.post("/infer/{model}", summary="Label an image, a session's or the one sent along", responses=_ERRORS)
    def infer(
        model: str,
        image: Image = "",
        session_id: Annotated[str, Query(max_length=200)] = "",
        params: Annotated[str, Form()] = "{}",
        file: Annotated[UploadFile | None, File()] = None,
        label: Annotated[UploadFile | None, File()] = None,  # of scribbles, which these models don't take
        output: Output | None = None,
    ) -> Response:
        request = {**_object(params), "model": model, "image": image}
        request.pop("volume", None)
        app.model(model)
        tag = check_id(str(request.get("label_tag") or ORIGINAL))
        if read_flag(request, "save_label") and tag == FINAL:
            raise ConfigError(_NOT_FINAL)
        if file is not None:
            with _received(app, file) as path:
                result = app.infer({**request, "volume": str(path), "save_label": False})
        elif session_id:
            result = app.infer({**request, "volume": str(_session(app, session_id)), "save_label": False})
        else:
            result = app.infer(request)
        return _result(result, output or Output.all)

    @router.get("/batch/infer", summary="The batch that runs or ran last", responses=_ERRORS)
    def batch_status(all: bool = False, check_if_running: bool = False) -> Any:
        return app.background.status("batch_infer", everything=all, running=check_if_running)

    @router.post("/batch/infer/{model}", summary="Label many images, and keep the labels", responses=_ERRORS)
    def batch_infer(model: str, images: Images = Images.all, params: Options = None, run_sync: bool = False) -> Any:
        served = app.model(model)
        if served.run is None:
            raise NotTrainedError(f"model {model} has no weights yet; train it first")
        wanted = params or {}
        tag = check_id(str(wanted.get("label_tag") or "original"))
        if tag == FINAL:
            raise ConfigError(_NOT_FINAL)
        # Without a GPU, MONAI Label divides by their number unless it is told that it is not to use several.
        request = {"model": model, "images": images.value, "label_tag": tag, "multi_gpu": False, "max_workers": 1}
        return app.background.start("batch_infer", {**request, "max_batch_size": _whole(wanted, "max_batch_size")})

    @router.delete("/batch/infer", summary="Stop the batch that runs")
    def batch_stop() -> Any:
        return app.background.stop("batch_infer")

    return router


def _result(result: dict[str, Any], output: Output) -> Response:
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


# ---- images ----------------------------------------------------------------------------------------------------------


def _data(app: StackApp) -> APIRouter:
    router, store = APIRouter(prefix="/datastore", tags=["Datastore"], dependencies=roles("user")), app.store

    @router.get("/", summary="What images and labels there are")
    def listing(output: Listing | None = None) -> Any:
        if output is Listing.all:
            return store.json()
        return store.datalist() if output is Listing.train else store.status()

    @router.put("/image", summary="Send a volume to stay", responses=_ERRORS, dependencies=roles("annotator"))
    def add_image(
        file: Annotated[UploadFile, File()],
        image: Image = "",
        params: Annotated[str, Form()] = "{}",
    ) -> dict[str, str]:
        name = file.filename or ""
        info = _object(params)
        with _received(app, file) as path:
            return {"image": store.add_image(image or Path(name).name.split(".")[0], str(path), info)}

    @router.get("/image", summary="An image's file", responses=_ERRORS, response_class=FileResponse)
    def download_image(image: Image) -> FileResponse:
        return _file(app, store.get_image_uri(image), f"there is no image {image!r}")

    @router.head("/image", summary="Whether there is such an image", responses=_ERRORS)
    def check_image(image: Image, check_sum: Annotated[str, Query(max_length=200)] = "") -> dict[str, Any]:
        if not store.get_image_uri(image) or (check_sum and check_sum != store.checksum(image)):
            raise UnknownError(f"there is no image {image!r} of this checksum")
        return {}

    @router.delete("/image", summary="Remove a volume that was sent", responses=_ERRORS, dependencies=roles("admin"))
    def remove_image(id: Image) -> dict[str, Any]:
        store.remove_image(id)
        return {}

    @router.get("/image/info", summary="What is known of an image", responses=_ERRORS)
    def image_info(image: Image) -> dict[str, Any]:
        return store.get_image_info(image)

    @router.put(
        "/image/info", summary="Add to what is known of an image", responses=_ERRORS, dependencies=roles("annotator")
    )
    def update_image_info(image: Image, info: Annotated[str, Form()] = "{}") -> None:
        store.update_image_info(image, _object(info))

    @router.get("/dataset", summary="Images and final labels as a zip", responses=_ERRORS, response_class=FileResponse)
    def dataset(limit_cases: Annotated[int | None, Query(ge=1, le=1_000_000)] = None) -> FileResponse:
        path = Path(store.get_dataset_archive(limit_cases))
        return FileResponse(path, filename="dataset.zip", background=BackgroundTask(path.unlink, True))

    return router


# ---- labels ----------------------------------------------------------------------------------------------------------


def _labels(app: StackApp) -> APIRouter:
    router, store = APIRouter(prefix="/datastore", tags=["Datastore"], dependencies=roles("user")), app.store

    @router.put("/label", summary="Submit a label", responses=_ERRORS, dependencies=roles("annotator"))
    def save_label(
        image: Image,
        label: Annotated[UploadFile, File()],
        params: Annotated[str, Form()] = "{}",
        tag: Tag = FINAL,
    ) -> dict[str, Any]:
        info = _object(params)
        with _received(app, label) as path:
            return {"image": image, "label": store.save_label(image, str(path), tag or FINAL, info)}

    @router.get("/label", summary="A label's file", responses=_ERRORS, response_class=FileResponse)
    def download_label(label: Image, tag: Tag) -> FileResponse:
        return _file(app, store.get_label_uri(label, tag), f"image {label!r} has no label {tag!r}")

    @router.head("/label", summary="Whether there is such a label", responses=_ERRORS)
    def check_label(image: Image, tag: Tag) -> dict[str, Any]:
        if not store.get_label_by_image_id(image, tag):
            raise UnknownError(f"image {image!r} has no label {tag!r}")
        return {}

    @router.delete("/label", summary="Remove a label", responses=_ERRORS, dependencies=roles("admin"))
    def remove_label(id: Image, tag: Tag) -> dict[str, Any]:
        store.remove_label(id, tag)
        return {}

    @router.get("/label/info", summary="What is known of a label", responses=_ERRORS)
    def label_info(label: Image, tag: Tag) -> dict[str, Any]:
        return store.get_label_info(label, tag)

    @router.put(
        "/label/info", summary="Add to what is known of a label", responses=_ERRORS, dependencies=roles("annotator")
    )
    def update_label_info(label: Image, tag: Tag, info: Annotated[str, Form()] = "{}") -> None:
        store.update_label_info(label, tag, _object(info))

    return router


# ---- training, choosing, scoring -------------------------------------------------------------------------------------


def _work(app: StackApp) -> APIRouter:
    router = APIRouter(dependencies=roles("user"))

    @router.post(
        "/activelearning/{strategy}", tags=["ActiveLearning"], summary="The image to label next", responses=_ERRORS
    )
    def next_sample(strategy: str, params: Options = None) -> dict[str, Any]:
        if strategy not in app.info()["strategies"]:
            raise UnknownError(
                f"there is no strategy {strategy[:120]!r}; there are {', '.join(app.info()['strategies'])}"
            )
        chosen: dict[str, Any] = app.next_sample(
            {**_text(params, "model"), **_text(params, "label_tag"), "strategy": strategy}
        )
        if not chosen:
            return {}
        store = app.store
        del chosen["path"]  # clients on this machine would open the server's own file
        return {**store.get_image_info(chosen["id"]), **chosen, "checksum": store.checksum(chosen["id"])}

    @router.get("/train/", tags=["Train"], summary="The training that runs or ran last", responses=_ERRORS)
    def train_status(all: bool = False, check_if_running: bool = False) -> Any:
        return app.background.status("train", everything=all, running=check_if_running)

    @router.post(
        "/train/{model}", tags=["Train"], summary="Train on the labels", responses=_ERRORS, dependencies=roles("admin")
    )
    def train(model: str, params: Options = None, run_sync: bool = False, enqueue: bool = False) -> Any:
        app.model(model)
        settings, pretrained = read_options(params or {})
        check_trainable(app.store.stack)
        return app.background.start("train", {"model": model, **settings, "pretrained": pretrained})

    @router.delete("/train/", tags=["Train"], summary="Stop the training that runs", dependencies=roles("admin"))
    def train_stop() -> Any:
        return app.background.stop("train")

    @router.get("/scoring/", tags=["Scoring"], summary="The scoring that runs or ran last", responses=_ERRORS)
    def scoring_status(all: bool = False, check_if_running: bool = False) -> Any:
        return app.background.status("scoring", everything=all, running=check_if_running)

    @router.post(
        "/scoring/{method}",
        tags=["Scoring"],
        summary="Score slices",
        responses=_ERRORS,
        dependencies=roles("annotator"),
    )
    def scoring(method: str, params: Options = None, run_sync: bool = False) -> Any:
        if method not in app.info()["scoring"]:
            raise UnknownError(f"there is no scoring {method[:120]!r}; there are {', '.join(app.info()['scoring'])}")
        request = {"method": method, **_text(params, "model")}
        if "model" in request:
            app.model(request["model"])
        return app.scoring(request) if run_sync else app.background.start("scoring", request)

    @router.delete("/scoring/", tags=["Scoring"], summary="Stop the scoring that runs", dependencies=roles("annotator"))
    def scoring_stop() -> Any:
        return app.background.stop("scoring")

    return router


# ---- sessions --------------------------------------------------------------------------------------------------------


def _sessions(app: StackApp) -> APIRouter:
    router = APIRouter(prefix="/session", tags=["Session"], dependencies=roles("user"))

    @router.put("/", summary="Send a volume to label it until the server ends", responses=_ERRORS)
    def create(files: Annotated[list[UploadFile], File()]) -> dict[str, Any]:
        if len(files) != 1:
            raise ConfigError(f"{len(files)} files: a session has one volume; send all detectors as one 4-D NIfTI")
        session_id = uuid.uuid4().hex
        with _received(app, files[0]) as path:
            Uploads(app.workspace.sessions).add(session_id, path)
        return {"session_id": session_id, "session_info": {"name": session_id}}

    @router.get("/{session_id}", summary="Whether there is such a session", responses=_ERRORS)
    def get(session_id: str, update_ts: bool = False, image: bool = False) -> Any:
        path = _session(app, session_id)
        return _file(app, str(path), "the session is gone") if image else {"name": path.name.split(".")[0]}

    @router.delete("/{session_id}", summary="Forget a session's volume", responses=_ERRORS)
    def remove(session_id: str) -> dict[str, Any]:
        _session(app, session_id)
        Uploads(app.workspace.sessions).remove(session_id)
        return {"name": session_id}

    return router


def _session(app: StackApp, session_id: str) -> Path:
    path = Uploads(app.workspace.sessions).path(session_id)
    if path is None:
        raise UnknownError(f"there is no session {session_id[:120]!r}; send the volume again (PUT /session/)")
    return path


# ---- what requests carry ---------------------------------------------------------------------------------------------

_DEEPEST = 20
"""Levels of what clients tell of images and labels."""

_REFUSED: dict[int | str, dict[str, Any]] = {
    400: {"description": "The request cannot be read"},
    401: {"description": "Who asks must log in"},
    403: {"description": "Who asks may not"},
    413: {"description": "A request may not send as much"},
    421: {"description": "The server is not called so"},
}

_ERRORS: dict[int | str, dict[str, Any]] = {
    404: {"description": "There is no such thing"},
    409: {"description": "It cannot be done now"},
    422: {"description": "A value breaks its rule"},
    429: {"description": "One runs already"},
    500: {"description": "The inference failed"},
    503: {"description": "As many inferences wait as may"},
    507: {"description": "There is not enough memory, or no room on the disk"},
}


def _object(text: str) -> dict[str, Any]:
    """Read a JSON object that a form carries."""
    try:
        content = json.loads(text or "{}")
        json.dumps(content, allow_nan=False, ensure_ascii=False).encode()  # it is to be told as JSON again
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"params {text[:120]!r} is no JSON ({error}); send an object, such as {{}}") from None
    if not isinstance(content, dict):
        raise ConfigError(f"params {text[:120]!r} is no JSON object; send one, such as {{}}")
    if _depth(content) > _DEEPEST:
        raise ConfigError(f"params {text[:120]!r} is nested more than {_DEEPEST} levels deep; send less of it")
    return content


def _depth(content: Any) -> int:
    depth, level = 0, [content]
    while level:
        depth += 1
        inner = (part for part in level if isinstance(part, dict | list))
        level = [child for part in inner for child in (part.values() if isinstance(part, dict) else part)]
    return depth


def _text(options: dict[str, Any] | None, name: str) -> dict[str, str]:
    """An option that is a name, or nothing where it is left out."""
    value = (options or {}).get(name)
    if value is None:
        return {}
    if not isinstance(value, str) or len(value) > 200:
        raise ConfigError(f"{name} {str(value)[:120]!r}: give a name")
    return {name: value}


def _whole(options: dict[str, Any], name: str) -> int:
    value = options.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ConfigError(f"{name} {value!r}: give a whole number, 0 or more")
    return value


@contextmanager
def _received(app: StackApp, upload: UploadFile) -> Iterator[Path]:
    """Keep a file that was sent while the body runs; of its name only the format is used."""
    suffix = suffix_of(upload.filename or "")
    app.workspace.temporary.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(suffix=suffix, dir=app.workspace.temporary) as target:
        shutil.copyfileobj(upload.file, target)
        target.flush()
        yield Path(target.name)


def _file(app: StackApp, path: str, missing: str) -> FileResponse:
    """Send a file as it is now, whoever replaces or removes it meanwhile."""
    app.workspace.temporary.mkdir(parents=True, exist_ok=True)
    held = app.workspace.temporary / f"{uuid.uuid4().hex}.sent"
    try:
        if not path:
            raise FileNotFoundError
        try:
            os.link(path, held)
        except FileNotFoundError:
            raise
        except OSError:  # the file system knows no links
            shutil.copyfile(path, held)
    except FileNotFoundError:
        raise UnknownError(f"{missing}; GET /datastore/?output=all lists what there is") from None
    return FileResponse(
        held,
        media_type=get_mime_type(path),
        filename=Path(path).name,
        background=BackgroundTask(held.unlink, missing_ok=True),
    )
