"""Routes about the server, inferences, work in the background and sessions."""

import threading
from enum import Enum, StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Query, Request, UploadFile
from fastapi.responses import FileResponse, PlainTextResponse, Response

from monai_app.errors import ConfigError
from monai_app.label.answers import ERRORS, Output, send_file, send_result
from monai_app.label.app import StackApp
from monai_app.label.connection import threads_for, while_connected
from monai_app.label.datastore.temporary import held
from monai_app.label.datastore.volumes import prediction_tag
from monai_app.label.errors import UnknownError, unknown_session
from monai_app.label.forms import Image, Options, read_name, read_object, read_whole, received
from monai_app.label.login import roles
from monai_app.label.models import WEIGHTS
from monai_app.label.tasks import read_flag, read_options
from monai_app.label.training import check_trainable


class Images(StrEnum):
    """What a batch labels."""

    all = "all"
    labeled = "labeled"
    unlabeled = "unlabeled"


def about_routes(app: StackApp) -> APIRouter:
    """Return the routes of /info/, the weights, and the log."""
    router, admin = APIRouter(), roles("admin")

    @router.get("/", include_in_schema=False)
    def welcome() -> PlainTextResponse:  # which asks nobody who they are, and so tells nothing of the sample
        return PlainTextResponse("A MONAI Label server. 3D Slicer: enter this address in its MONAI Label module.\n")

    @router.get("/info/", tags=["App"], summary="What the app can do", responses=ERRORS, dependencies=roles("user"))
    def info() -> dict[str, Any]:
        return app.info()

    @router.get(
        "/model/info/{model}",
        tags=["Model"],
        summary="Checksum of the weights that count",
        responses=ERRORS,
        dependencies=admin,
    )
    def model_info(model: str) -> dict[str, Any]:
        app.model(model).trained_run()
        found: dict[str, Any] = app.model_info(model)
        return found

    @router.get(
        "/model/{model}",
        tags=["Model"],
        summary="The weights that count",
        responses=ERRORS,
        dependencies=admin,
        response_class=FileResponse,
    )
    def model_file(model: str) -> FileResponse:
        weights = app.model(model).trained_run() / WEIGHTS
        return FileResponse(weights, filename=f"{model}{weights.suffix}")

    @router.get(
        "/logs/",
        tags=["Others"],
        summary="The end of the server's log",
        response_class=PlainTextResponse,
        dependencies=admin,
    )
    def logs(lines: Annotated[int, Query(ge=1, le=100_000)] = 300) -> PlainTextResponse:
        path = app.workspace.log
        text = path.read_text(encoding="utf8", errors="replace") if path.is_file() else ""
        return PlainTextResponse("".join(text.splitlines(keepends=True)[-lines:]))

    return router


def inference_routes(app: StackApp) -> APIRouter:
    """Return the routes of inferences, one or a batch."""
    router = APIRouter(tags=["Infer"])
    threads = threads_for(app.settings.waiting + 1)  # one runs

    @router.post(
        "/infer/{model}",
        summary="Label an image, a session's or the one sent along",
        responses=ERRORS,
        dependencies=roles("user"),
    )
    async def infer(
        request: Request,
        model: str,
        image: Image = "",
        session_id: Annotated[str, Query(max_length=200)] = "",
        params: Annotated[str, Form()] = "{}",
        file: Annotated[UploadFile | None, File()] = None,
        label: Annotated[UploadFile | None, File()] = None,  # of scribbles, which these models don't take
        output: Output | None = None,
    ) -> Response:
        def work(gone: threading.Event) -> Response:
            wanted = _inference(params, model, image)
            return send_result(_infer(app, wanted, file, session_id, gone), output or Output.all)

        return await while_connected(request, work, threads)

    _add_task_routes(router, app, "/batch/infer", "batch_infer", role="admin")

    @router.post(
        "/batch/infer/{model}",
        summary="Label many images, and keep the labels",
        responses=ERRORS,
        dependencies=roles("admin"),
    )
    def batch_infer(model: str, images: Images = Images.all, params: Options = None, run_sync: bool = False) -> Any:
        app.model(model).trained_run()
        wanted = params or {}
        tag = prediction_tag(wanted)
        # Without a GPU, MONAI Label divides by their number unless it is told that it is not to use several.
        request = {"model": model, "images": images.value, "label_tag": tag, "multi_gpu": False, "max_workers": 1}
        return app.background.start("batch_infer", {**request, "max_batch_size": read_whole(wanted, "max_batch_size")})

    return router


def _inference(params: str, model: str, image: str) -> dict[str, Any]:
    """What an inference is asked for."""
    wanted = {**read_object(params), "model": model, "image": image}
    wanted.pop("volume", None)
    if read_flag(wanted, "save_label"):
        prediction_tag(wanted)
    return wanted


def _infer(
    app: StackApp, wanted: dict[str, Any], file: UploadFile | None, session_id: str, gone: threading.Event
) -> dict[str, Any]:
    """Label the volume that was sent along, a session's, or an image of the datastore."""
    app.model(wanted["model"])
    if file is not None:
        with received(app.workspace, file) as path:
            return app.infer({**wanted, "volume": str(path), "save_label": False}, cancelled=gone)
    if session_id:
        sessions = app.store.sessions
        with held(app.workspace, sessions.get_session(session_id).image, unknown_session(session_id)) as path:
            return app.infer({**wanted, "volume": str(path), "save_label": False}, cancelled=gone)
    return app.infer(wanted, cancelled=gone)


def work_routes(app: StackApp) -> APIRouter:
    """Return the routes of choosing, training and scoring."""
    router = APIRouter()

    @router.post(
        "/activelearning/{strategy}",
        tags=["ActiveLearning"],
        summary="The image to label next",
        responses=ERRORS,
        dependencies=roles("user"),
    )
    def next_sample(strategy: str, params: Options = None) -> dict[str, Any]:
        if strategy not in app.strategies:
            raise UnknownError(f"there is no strategy {strategy[:120]!r}; there are {', '.join(app.strategies)}")
        chosen: dict[str, Any] = app.next_sample(
            {**read_name(params, "model"), **read_name(params, "label_tag"), "strategy": strategy}
        )
        if not chosen:
            return {}
        store = app.store
        del chosen["path"]  # clients on this machine would open the server's own file
        return {**store.get_image_info(chosen["id"]), **chosen, "checksum": store.checksum(chosen["id"])}

    _add_task_routes(router, app, "/train/", "train", role="admin", tag="Train")

    @router.post(
        "/train/{model}", tags=["Train"], summary="Train on the labels", responses=ERRORS, dependencies=roles("admin")
    )
    def train(model: str, params: Options = None, run_sync: bool = False, enqueue: bool = False) -> Any:
        app.model(model)
        options = read_options(params or {})
        check_trainable(app.store.stack)
        request = {"model": model, **options["settings"]}
        request |= {"pretrained": options["pretrained"], "resume": options["resume"]}
        return app.background.start("train", request)

    _add_task_routes(router, app, "/scoring/", "scoring", role="annotator", tag="Scoring")

    @router.post(
        "/scoring/{method}",
        tags=["Scoring"],
        summary="Score slices",
        responses=ERRORS,
        dependencies=roles("annotator"),
    )
    def scoring(method: str, params: Options = None, run_sync: bool = False) -> Any:
        if method not in app.scoring_methods:
            raise UnknownError(f"there is no scoring {method[:120]!r}; there are {', '.join(app.scoring_methods)}")
        request = {"method": method, **read_name(params, "model")}
        if "model" in request:
            app.model(request["model"])
        work = app.background
        return work.run("scoring", request) if run_sync else work.start("scoring", request)

    return router


def _add_task_routes(router: APIRouter, app: StackApp, path: str, kind: str, role: str, tag: str | None = None) -> None:
    """Add the routes that tell users of work in the background, and let a role stop it."""
    tags: list[str | Enum] | None = None if tag is None else [tag]

    @router.get(
        path, tags=tags, summary=f"The {kind} that runs or ran last", responses=ERRORS, dependencies=roles("user")
    )
    def status(all: bool = False, check_if_running: bool = False) -> Any:
        return app.background.status(kind, everything=all, running=check_if_running)

    @router.delete(path, tags=tags, summary=f"Stop the {kind} that runs", dependencies=roles(role))
    def stop() -> Any:
        return app.background.stop(kind)


def session_routes(app: StackApp) -> APIRouter:
    """Return the routes of volumes that clients send for one inference after the other."""
    router = APIRouter(prefix="/session", tags=["Session"], dependencies=roles("user"))
    store, sessions = app.store, app.store.sessions

    @router.put("/", summary="Send a volume to label it again and again", responses=ERRORS)
    def create(files: Annotated[list[UploadFile], File()], expiry: int = 0) -> dict[str, Any]:
        if len(files) != 1:
            raise ConfigError(f"{len(files)} files: a session has one volume; send all detectors as one 4-D NIfTI")
        with received(app.workspace, files[0]) as path:
            session_id = store.add_session(path, expiry)
        return {"session_id": session_id, "session_info": sessions.get_session(session_id, False).to_json()}

    @router.get("/{session_id}", summary="Whether there is such a session", responses=ERRORS)
    def get(session_id: str, update_ts: bool = False, image: bool = False) -> Any:
        session = sessions.get_session(session_id, update_ts)
        return send_file(app.workspace, session.image, unknown_session(session_id)) if image else session.to_json()

    @router.delete("/{session_id}", summary="Forget a session's volume", responses=ERRORS)
    def remove(session_id: str) -> dict[str, Any]:
        session = sessions.get_session(session_id)
        sessions.remove_session(session_id)
        return session.to_json()

    return router
