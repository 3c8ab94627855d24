"""What requests ask for, declared once: it is checked, and told in /openapi.json."""

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from fastapi import Form, UploadFile
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, RootModel, ValidationError, WithJsonSchema

from monai_app.label.datastore.tags import ORIGINAL, prediction_tag
from monai_app.label.datastore.volumes import suffix_of

Name = Annotated[str, Field(max_length=200)]


def _tag(name: str) -> str:
    return prediction_tag({"label_tag": name})


PredictionTag = Annotated[Name, AfterValidator(_tag)]


class Options(BaseModel):
    """Options of a request."""

    model_config = ConfigDict(strict=True)


class InferenceOptions(Options):
    """How an image is labelled."""

    device: Name | list[Name] | None = None
    """where the model is applied, of the devices that /info/ names; without it the GPU where there is one"""
    whole_slab: bool = False
    """label all slices of a case, not its own alone"""
    save_label: bool = False
    """keep the labels"""
    label_tag: PredictionTag = ORIGINAL
    """tag under which they are kept"""


class SampleOptions(Options):
    """How the next image is chosen."""

    model: Name | None = None
    """that is unsure; the first one where none is named"""
    label_tag: Name | None = None
    """of the labels that count for the strategies first and random"""
    client_id: Name | None = None
    """who asks"""


class TrainingOptions(Options):
    """How a model is trained."""

    max_epochs: Annotated[int, Field(ge=0, le=100_000)] = 0
    """epochs; 0 takes the model's own"""
    pretrained: bool = True
    """begin with the weights that count now"""
    resume: bool = True
    """go on with an unfinished training where it is the same; else begin anew"""


class BatchOptions(Options):
    """How many images are labelled."""

    label_tag: PredictionTag = ORIGINAL
    """tag under which the labels are kept"""
    max_batch_size: Annotated[int, Field(ge=0)] = 0
    """images; 0 takes all"""


class ScoringOptions(Options):
    """What is scored."""

    model: Name | None = None
    """the model; the first one where none is named"""


class Told(RootModel[dict[str, Any]]):
    """What a client tells of an image or label."""


def json_of(model: type[BaseModel]) -> Any:
    """Return the type of a form's text that is a model as JSON."""

    def checked(text: str) -> str:
        try:
            return model.model_validate_json(text or "{}").model_dump_json(exclude_none=True)
        except ValidationError as error:
            raise ValueError(described(error.errors())) from None

    schema = {"type": "string", "contentMediaType": "application/json", "contentSchema": model.model_json_schema()}
    return Annotated[str, Form(), AfterValidator(checked), WithJsonSchema(schema)]


def described(errors: Sequence[Any]) -> str:
    """Say which value breaks which rule, without the value: it may be anything, also what JSON cannot hold."""
    return "; ".join(f"{'.'.join(map(str, each['loc']))[:120]}: {each['msg']}" for each in errors)


def _volume(file: UploadFile) -> UploadFile:
    """Leave of a file's name what is a name and a format."""
    name = PurePosixPath(file.filename or "").name
    file.filename = name.split(".")[0] + suffix_of(name)
    return file


Volume = Annotated[UploadFile, AfterValidator(_volume)]
"""A volume file."""

Output = Literal["image", "json", "all"]
