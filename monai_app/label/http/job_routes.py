"""Routes that replace MONAI Label's: jobs, sessions, and login with a token."""

import hmac
import shutil
from functools import partial
from typing import Annotated, Any

from anyio import from_thread
from fastapi import APIRouter, File, Form, HTTPException
from monailabel.interfaces.tasks.batch_infer import BatchInferImageType as Images
from pydantic import Field

from monai_app.background.jobs import Jobs
from monai_app.label.app import StackApp
from monai_app.label.datastore.temporary import new_path
from monai_app.label.datastore.volumes import suffix_of
from monai_app.label.errors import unknown
from monai_app.label.http.parameters import BatchOptions, Choice, TrainingOptions, Volume
from monai_app.label.jobs.training import check_trainable


def job_routes(app: StackApp, jobs: Jobs) -> APIRouter:
    """Return the routes of trainings, batches and scorings."""
    router = APIRouter()

    @router.post("/train/{model}", tags=["Train"], summary="Train a model on the labels")
    def train(model: str, params: TrainingOptions | None = None) -> Any:
        app.model(model)
        check_trainable(app.store.stack)
        request = {"model": model, **(params or TrainingOptions()).model_dump()}
        return from_thread.run(jobs.start, "train", request, app.train).to_dict()

    @router.post("/batch/infer/{model}", tags=["Infer"], summary="Label many images and save the labels")
    def batch_infer(model: str, images: Images = Images.IMAGES_ALL, params: BatchOptions | None = None) -> Any:
        app.model(model).trained_run()
        request = {"model": model, "images": images, **(params or BatchOptions()).model_dump()}
        return from_thread.run(jobs.start, "batch_infer", request, app.batch_infer).to_dict()

    @router.post("/scoring/{method}", tags=["Scoring"], summary="Score slices")
    def scoring(method: str, params: Choice | None = None, run_sync: bool = False) -> Any:
        if method not in app.scoring_methods:
            raise unknown("scoring", method, app.scoring_methods)
        model = None if params is None else params.model
        request = {"method": method, **({} if model is None else {"model": app.model(model).name})}
        if run_sync:
            return from_thread.run(jobs.run, "scoring", request, app.scoring)
        return from_thread.run(jobs.start, "scoring", request, app.scoring).to_dict()

    for kind, path, tag in (
        ("train", "/train/", "Train"),
        ("batch_infer", "/batch/infer", "Infer"),
        ("scoring", "/scoring/", "Scoring"),
    ):
        status, stop = partial(_status, jobs, kind), partial(_stop, jobs, kind)
        router.add_api_route(path, status, tags=[tag], summary=f"Status of the current or last {kind}")
        router.add_api_route(path, stop, methods=["DELETE"], tags=[tag], summary=f"Stop the running {kind}")
    return router


def _status(jobs: Jobs, kind: str, all: bool = False, check_if_running: bool = False) -> Any:
    found = [job.to_dict() for job in jobs.known(kind, running=check_if_running)]
    return found if all else found[-1]


def _stop(jobs: Jobs, kind: str) -> Any:
    job = from_thread.run(jobs.stop, kind)
    return job and job.to_dict()


def session_routes(app: StackApp) -> APIRouter:
    """Return the route for sending a volume for repeated inference."""
    router, store = APIRouter(prefix="/session", tags=["Session"]), app.store

    @router.put("/", summary="Send a volume for repeated inference")
    def create(
        files: Annotated[list[Volume], File(), Field(min_length=1, max_length=1)], expiry: int = 0
    ) -> dict[str, Any]:
        path = new_path(app.workspace, suffix_of(files[0].filename or ""))
        try:
            with path.open("xb") as target:
                shutil.copyfileobj(files[0].file, target)
            session_id = store.add_session(path, expiry)
        finally:
            path.unlink(missing_ok=True)
        return {"session_id": session_id, "session_info": store.sessions.get_session(session_id, False).to_json()}

    return router


def login_routes(token: str) -> APIRouter:
    """Return the login routes: 3D Slicer asks for a user name and a password, which is the token."""
    router = APIRouter(prefix="/auth", tags=["Auth"])

    @router.get("/", summary="Whether clients must log in")
    def enabled() -> dict[str, Any]:
        return {"enabled": True, "client_id": "monai-app", "realm": ""}

    @router.post("/token", summary="Log in with the token as the password")
    def log_in(password: Annotated[str, Form()]) -> dict[str, str]:
        # A form in another character set may not be encodable as UTF-8.
        if not hmac.compare_digest(password.encode(errors="surrogatepass"), token.encode()):
            raise HTTPException(401, "the password is not the server's token")
        return {"access_token": token, "token_type": "Bearer"}

    @router.get("/token/valid", summary="Whether the request's token is valid")
    def valid() -> dict[str, str]:
        return {"username": "token"}

    return router
