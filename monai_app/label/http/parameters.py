"""What requests ask for, declared once: it is checked, and told in /openapi.json."""

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from fastapi import Form, UploadFile
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, RootModel, ValidationError, WithJsonSchema

from monai_app.label.datastore.volumes import ORIGINAL, prediction_tag, suffix_of

Name = Annotated[str, Field(max_length=200)]
Output = Literal["image", "json", "all"]
PredictionTag = Annotated[Name, AfterValidator(lambda tag: prediction_tag({"label_tag": tag}))]


class Choice(BaseModel):
    """Which model proposes the next image or is scored, and the tag of the labels that count."""

    model: Name | None = None
    label_tag: Name | None = None


class InferenceOptions(BaseModel):
    """How an image is labelled: on which of the server's devices, whether all slices of a case, and what is kept."""

    model_config = ConfigDict(strict=True)

    device: Name | list[Name] | None = None
    whole_slab: bool = False
    save_label: bool = False
    label_tag: PredictionTag = ORIGINAL


class BatchOptions(BaseModel):
    """How many images are labelled (0: all), and the tag of what is kept."""

    model_config = ConfigDict(strict=True)

    label_tag: PredictionTag = ORIGINAL
    max_batch_size: Annotated[int, Field(ge=0)] = 0


class TrainingOptions(BaseModel):
    """How a model is trained: epochs (0: its own), from the weights that count, going on with what is unfinished."""

    model_config = ConfigDict(strict=True)

    max_epochs: Annotated[int, Field(ge=0, le=100_000)] = 0
    pretrained: bool = True
    resume: bool = True


class ClientInfo(RootModel[dict[str, Any]]):
    """What a client records about an image or label."""


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
    name = file.filename or ""
    file.filename = PurePosixPath(name).name.split(".")[0] + suffix_of(name)
    return file


Volume = Annotated[UploadFile, AfterValidator(_volume)]
"""A volume file."""
