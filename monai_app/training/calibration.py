"""Calibrate a model's probabilities after training."""

import logging
from pathlib import Path

import torch
from ignite.distributed import all_reduce, barrier, get_rank
from ignite.engine import Engine, Events
from torch import Tensor, nn

from monai_app.domain.calibration import BeforeAfter, Calibration
from monai_app.metrics.calibration import (
    TEMPERATURES,
    Reliability,
    fit_temperature,
    negative_log_likelihood,
    reliability,
)
from monai_app.metrics.confusion import labelled_pairs
from monai_app.networks.calibration import read_calibration, record_calibration
from monai_app.networks.metadata import metadata_of
from monai_app.networks.weights import load_weights
from monai_app.origin import Origin

MOST_PIXELS = 10_000_000
"""Labelled pixels that a temperature is fitted on, 4 K + 1 bytes each."""

MOST_RISE = 0.01
"""Calibration error that a likelier temperature may add: it is less steady than the likelihood that is minimised."""

_NEAR = 1.01
"""A temperature within this factor of an end of the range was limited by it."""

_log = logging.getLogger(__name__)


class FitTemperature:
    """Fit the temperature of the best weights on the validation pixels, and write it to the bundle's metadata.json.

    Temperature scaling, Guo et al. 2017, arXiv 1706.04599: logits are divided by one number, which minimises the
    negative log likelihood. Attach to an evaluator of the validation's items. Where these weights are calibrated, or
    there are none, or no metadata.json to keep it, the evaluator ends at once; so a training that was killed before is
    calibrated when it is resumed. Of more than `MOST_PIXELS` labelled pixels a random sample is used, equally many of
    each item and always the same. Processes that share the items fit together. A temperature near an end of
    `TEMPERATURES` is not written: the pixels did not determine it, as where all of them are right. One that
    raises the calibration error of these pixels by more than `MOST_RISE`, as of a network that has hardly learned, is
    replaced by 1.

    Args:
        weights: file of the weights, ``<bundle>/models/model.pt``.
        network: takes the weights, and is the evaluator's.

    Raises:
        ConfigError: when the engine runs, if the weights do not fit or were replaced meanwhile.
    """

    def __init__(self, weights: str, network: nn.Module) -> None:
        self.weights, self.network = Path(weights), network
        self._origin: Origin | None = None
        self._logits: list[Tensor] = []
        self._classes: list[Tensor] = []

    def attach(self, engine: Engine) -> None:
        """Load the weights when the engine starts, gather logits, and fit when it ends."""
        engine.add_event_handler(Events.STARTED, self._begin)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._add)
        engine.add_event_handler(Events.COMPLETED, self._fit)

    def _begin(self, engine: Engine) -> None:
        barrier()  # rank 0 has written the weights
        if self.weights.is_file() and metadata_of(self.weights).is_file():
            origin = load_weights(self.network, self.weights)
            self._share = max(1, MOST_PIXELS // int(_total(engine.state.epoch_length or 1)))
            known = read_calibration(self.weights, origin.sha256)
            if known is None:
                self._origin = origin
                return
            _log.info("confidence is calibrated: %s", known.text)
        engine.terminate()

    def _add(self, engine: Engine) -> None:
        logits, classes = labelled_pairs(engine.state.output)  # type: ignore[arg-type]
        if len(classes) > self._share:
            chosen = torch.randperm(len(classes), generator=torch.Generator().manual_seed(0))[: self._share]
            logits, classes = (each[chosen.to(each.device)] for each in (logits, classes))
        self._logits.append(logits.float().cpu())
        self._classes.append(classes.to(torch.uint8).cpu())

    def _fit(self, engine: Engine) -> None:
        if self._origin is None:
            return
        logits, classes = torch.cat(self._logits), torch.cat(self._classes)
        pixels = int(_total(len(classes)))

        def loss(temperature: float) -> float:
            return _total(negative_log_likelihood(logits, classes, temperature)) / pixels

        temperature = fit_temperature(loss)
        low, high = TEMPERATURES
        if not low * _NEAR < temperature < high / _NEAR:
            _log.warning(
                "confidence is not calibrated: on %d validation pixels the best temperature is %.3g, at an end of "
                "the range from %g to %g, so they do not determine it; annotate more, including difficult areas",
                *(pixels, temperature, low, high),
            )
            return
        ece = [_shared(reliability(logits, classes, each)).ece for each in (1.0, temperature)]
        if ece[1] > ece[0] + MOST_RISE:
            temperature, ece[1] = 1.0, ece[0]
        calibration = Calibration(
            weights_sha256=self._origin.sha256,
            temperature=temperature,
            pixels=pixels,
            nll=BeforeAfter(before=loss(1.0), after=loss(temperature)),
            ece=BeforeAfter(before=ece[0], after=ece[1]),
        )
        self._origin.check()
        if get_rank() == 0:
            record_calibration(self.weights, calibration)
            _log.info("confidence is calibrated: %s", calibration.text)


def _total(value: float) -> float:
    """Sum over all processes."""
    return float(torch.as_tensor(all_reduce(torch.tensor(value, dtype=torch.float64))))


def _shared(own: Reliability) -> Reliability:
    """That of the pixels of all processes."""
    pixels, right, confidence = (
        torch.as_tensor(all_reduce(torch.from_numpy(each))).numpy() for each in (own.pixels, own.right, own.confidence)
    )
    return Reliability(pixels, right, confidence)
