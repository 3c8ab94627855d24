"""Routes of images and labels."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Query, UploadFile
from fastapi.responses import FileResponse

from monai_app.label.answers import ERRORS, send_file
from monai_app.label.app import StackApp
from monai_app.label.datastore.volumes import FINAL
from monai_app.label.errors import UnknownError, unknown_image, unknown_label
from monai_app.label.forms import Image, Tag, read_object, received
from monai_app.label.login import roles


class Listing(StrEnum):
    """What is told of the datastore."""

    train = "train"
    stats = "stats"
    all = "all"


def image_routes(app: StackApp) -> APIRouter:
    """Return the routes of images, and of all of the datastore."""
    router, store = APIRouter(prefix="/datastore", tags=["Datastore"]), app.store
    user, annotator = roles("user"), roles("annotator")

    @router.get("/", summary="What images and labels there are", dependencies=user)
    def listing(output: Listing | None = None) -> Any:
        if output is Listing.all:
            return store.json()
        return store.datalist() if output is Listing.train else store.status()

    @router.put("/", include_in_schema=False, dependencies=annotator)  # where MONAI Label's client sends it
    @router.put("/image", summary="Send a volume to stay", responses=ERRORS, dependencies=annotator)
    def add_image(
        file: Annotated[UploadFile, File()],
        image: Image = "",
        params: Annotated[str, Form()] = "{}",
    ) -> dict[str, str]:
        name = file.filename or ""
        info = read_object(params)
        with received(app.workspace, file) as path:
            return {"image": store.add_image(image or Path(name).name.split(".")[0], str(path), info)}

    @router.get("/image", summary="An image's file", responses=ERRORS, response_class=FileResponse, dependencies=user)
    def download_image(image: Image) -> FileResponse:
        return send_file(app.workspace, store.get_image_uri(image), unknown_image(image))

    @router.head("/image", summary="Whether there is such an image", responses=ERRORS, dependencies=user)
    def check_image(image: Image, check_sum: Annotated[str, Query(max_length=200)] = "") -> dict[str, Any]:
        if not store.get_image_uri(image) or (check_sum and check_sum != store.checksum(image)):
            raise UnknownError(f"there is no image {image!r} of this checksum")
        return {}

    @router.delete("/", include_in_schema=False, dependencies=roles("admin"))
    @router.delete("/image", summary="Remove a volume that was sent", responses=ERRORS, dependencies=roles("admin"))
    def remove_image(id: Image) -> dict[str, Any]:
        store.remove_image(id)
        return {}

    @router.get("/image/info", summary="What is known of an image", responses=ERRORS, dependencies=user)
    def image_info(image: Image) -> dict[str, Any]:
        return store.get_image_info(image)

    @router.put("/image/info", summary="Add to what is known of an image", responses=ERRORS, dependencies=annotator)
    def update_image_info(image: Image, info: Annotated[str, Form()] = "{}") -> None:
        store.update_image_info(image, read_object(info))

    return router


def label_routes(app: StackApp) -> APIRouter:
    """Return the routes of labels."""
    router, store = APIRouter(prefix="/datastore", tags=["Datastore"]), app.store
    user, annotator = roles("user"), roles("annotator")

    @router.put("/label", summary="Submit a label", responses=ERRORS, dependencies=annotator)
    def save_label(
        image: Image,
        label: Annotated[UploadFile, File()],
        params: Annotated[str, Form()] = "{}",
        tag: Tag = FINAL,
    ) -> dict[str, Any]:
        info = read_object(params)
        with received(app.workspace, label) as path:
            return {"image": image, "label": store.save_label(image, str(path), tag or FINAL, info)}

    @router.get("/label", summary="A label's file", responses=ERRORS, response_class=FileResponse, dependencies=user)
    def download_label(label: Image, tag: Tag) -> FileResponse:
        return send_file(app.workspace, store.get_label_uri(label, tag), unknown_label(label, tag))

    @router.head("/label", summary="Whether there is such a label", responses=ERRORS, dependencies=user)
    def check_label(image: Image, tag: Tag) -> dict[str, Any]:
        if not store.get_label_uri(image, tag):
            raise unknown_label(image, tag)
        return {}

    @router.delete("/label", summary="Remove a label", responses=ERRORS, dependencies=roles("admin"))
    def remove_label(id: Image, tag: Tag) -> dict[str, Any]:
        store.remove_label(id, tag)
        return {}

    @router.get("/label/info", summary="What is known of a label", responses=ERRORS, dependencies=user)
    def label_info(label: Image, tag: Tag) -> dict[str, Any]:
        return store.get_label_info(label, tag)

    return router
