"""The calibration of a file of weights, kept in its bundle's metadata.json."""

import json
import logging
from pathlib import Path

from monai_app.domain.calibration import CALIBRATION, Calibration, calibration_in
from monai_app.files import file_sha256
from monai_app.networks.metadata import change_metadata, metadata_of

_ADVICE = "; `monai-app train` of this run folder calibrates a finished training"


def record_calibration(weights: Path, calibration: Calibration) -> None:
    """Write a calibration into the metadata.json of the bundle that a file of weights belongs to.

    Raises:
        ConfigError: the metadata are damaged.
    """
    change_metadata(weights, lambda _: {CALIBRATION: calibration.model_dump(mode="json")})


def read_calibration(weights: Path, sha256: str) -> Calibration | None:
    """Return the calibration of a weights file; None if there is none or, with a warning, one of other weights.

    Args:
        weights: the file, ``<bundle>/models/model.pt``.
        sha256: of its content, as it was read.

    Raises:
        ConfigError: the calibration is damaged.
    """
    path = metadata_of(weights)
    try:
        document = json.loads(path.read_text(encoding="utf8"))
    except (OSError, ValueError):  # errors are reported where it is needed
        return None
    calibration = calibration_in(document, str(path))
    if calibration is None or calibration.weights_sha256 == sha256:
        return calibration
    logging.getLogger(__name__).warning(
        "%s has the calibration of other weights than %s holds, so it is left out: probabilities are not calibrated%s",
        *(path, weights.name, _ADVICE if weights.with_name("last.ckpt").is_file() else ""),
    )
    return None


def temperature_of(weights: Path, sha256: str) -> float:
    """Return the divisor of the logits before they become probabilities; 1 if they are not calibrated.

    Arguments and errors are those of `read_calibration`.
    """
    calibration = read_calibration(weights, sha256)
    return 1.0 if calibration is None else calibration.temperature


def weights_and_temperature(weights: Path) -> str:
    """Return the key of a model's probabilities: the SHA-256 of its weights file, and its temperature.

    Raises:
        ConfigError: the calibration is damaged.
    """
    sha256 = file_sha256(weights)
    calibration = read_calibration(weights, sha256)
    return sha256 if calibration is None else f"{sha256}, temperature {calibration.temperature}"
