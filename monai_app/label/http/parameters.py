"""Request parameters, declared once for validation and /openapi.json."""

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
    """The model that proposes the next image or is scored, and the tag of the labels to compare with."""

    model: Name | None = None
    label_tag: Name | None = None


class InferenceOptions(BaseModel):
    """Options of inference: the device, whether to label all slices of a case, and the tag to save labels under."""

    model_config = ConfigDict(strict=True)

    device: Name | list[Name] | None = None
    whole_slab: bool = False
    save_label: bool = False
    label_tag: PredictionTag = ORIGINAL


class BatchOptions(BaseModel):
    """Options of batch inference: the maximum number of images (0: all), and the tag to save labels under."""

    model_config = ConfigDict(strict=True)

    label_tag: PredictionTag = ORIGINAL
    max_batch_size: Annotated[int, Field(ge=0)] = 0


class TrainingOptions(BaseModel):
    """Options of training: epochs (0: the model's own), start from active weights, resume unfinished training."""

    model_config = ConfigDict(strict=True)

    max_epochs: Annotated[int, Field(ge=0, le=100_000)] = 0
    pretrained: bool = True
    resume: bool = True


class ClientInfo(RootModel[dict[str, Any]]):
    """Metadata that a client records about an image or label."""


def json_of(model: type[BaseModel]) -> Any:
    """Return the type of a form field that contains a model as JSON."""

    def checked(text: str) -> str:
        try:
            return model.model_validate_json(text or "{}").model_dump_json(exclude_none=True)
        except ValidationError as error:
            raise ValueError(described(error.errors())) from None

    schema = {"type": "string", "contentMediaType": "application/json", "contentSchema": model.model_json_schema()}
    return Annotated[str, Form(), AfterValidator(checked), WithJsonSchema(schema)]


def described(errors: Sequence[Any]) -> str:
    """Describe which parameter is invalid and why, without its value, which JSON may be unable to represent."""
    return "; ".join(f"{'.'.join(map(str, each['loc']))[:120]}: {each['msg']}" for each in errors)


def _volume(file: UploadFile) -> UploadFile:
    """Reduce a file name to a valid name and format."""
    name = file.filename or ""
    file.filename = PurePosixPath(name).name.split(".")[0] + suffix_of(name)
    return file


Volume = Annotated[UploadFile, AfterValidator(_volume)]
"""A volume file."""
