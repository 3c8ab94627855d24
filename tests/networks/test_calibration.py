"""A calibration belongs to the weights that it was fitted for."""

import json
from pathlib import Path

import pytest

from monai_app.domain.calibration import BeforeAfter, Calibration
from monai_app.errors import ConfigError
from monai_app.networks.calibration import read_calibration, record_calibration, temperature_of

FOUND = Calibration(
    weights_sha256="abc",
    temperature=1.5,
    pixels=10,
    nll=BeforeAfter(before=0.5, after=0.4),
    ece=BeforeAfter(before=0.1, after=0.01),
)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "metadata.json").write_text('{"version": "1"}')
    (tmp_path / "models").mkdir()
    return tmp_path / "models" / "model.pt"


def test_it_is_kept_beside_what_else_the_metadata_say(weights: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert read_calibration(weights, "abc") is None
    record_calibration(weights, FOUND)
    assert read_calibration(weights, "abc") == FOUND
    assert json.loads((weights.parents[1] / "configs" / "metadata.json").read_text())["version"] == "1"
    assert caplog.text == ""
    assert read_calibration(weights, "of others") is None
    assert "calibration of other weights" in caplog.text
    assert "monai-app train" not in caplog.text  # which would begin with the first epoch
    weights.with_name("last.ckpt").touch()
    assert temperature_of(weights, "of others") == 1
    assert "`monai-app train` of this run folder calibrates a finished training" in caplog.text
    assert temperature_of(weights, "abc") == 1.5


def test_one_that_breaks_a_rule_is_refused(weights: Path) -> None:
    record_calibration(weights, FOUND)
    path = weights.parents[1] / "configs" / "metadata.json"
    path.write_text(path.read_text().replace("1.5", "-1.5"))
    with pytest.raises(ConfigError, match=r"calibration: temperature.* -1.5.*take 'calibration' out"):
        read_calibration(weights, "abc")
