"""The model of a run folder, as its inference.yaml says, and its specification, as its metadata.json says."""

from pathlib import Path

from monai.bundle import ConfigParser

from monai_app.bundle.configs.settings import read_json
from monai_app.domain.model_spec import KEY, ModelSpec
from monai_app.errors import ConfigError, user_error
from monai_app.inference import Model


def load_model(run: Path) -> Model:
    """Return the model of a run folder, its weights loaded, on the CPU.

    Raises:
        ConfigError: the configs make no model, or the weights don't fit.
    """
    config = run / "configs" / "inference.yaml"
    parser = ConfigParser()
    parser.read_config(str(config))
    parser["bundle_root"] = str(run)
    try:
        model = parser.get_parsed_content("model")
    except Exception as error:
        raise user_error(error) or ConfigError(
            f"{config} gives no `model` ({error}); train with this version, or restore the file"
        ) from error
    if not isinstance(model, Model):
        raise ConfigError(f"{config}: its `model` is a {type(model).__name__}; restore the file")
    model.load()
    return model


def read_spec(metadata: Path) -> ModelSpec:
    """Read the specification of a bundle's model in its ``metadata.json``; nothing of the bundle is run.

    Raises:
        ConfigError: the file cannot be read or does not hold it.
    """
    return ModelSpec.from_json(read_json(metadata, (KEY,))[KEY], str(metadata))
