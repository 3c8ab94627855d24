"""Score the held-out slices at the end of an evaluation."""

from collections.abc import Sequence
from pathlib import Path

from ignite.engine import Engine, Events
from ignite.metrics import ConfusionMatrix

from monai_app.metrics import score, write_scores
from monai_app.pictures import draw_item, save_picture
from monai_app.provenance import provenance
from monai_app.stack import Phase


class ScoreWriter:
    """Write ``scores.csv``, ``scores.json`` and a picture ``slice_<z>.png`` per evaluated slice.

    Attach to the evaluator.

    Args:
        folder: where the files go.
        confusion: the evaluator's accumulating confusion matrix.
        detectors: names of the detectors to show.
        phases: the model's phases.
        stack: path of the stack, recorded with the scores.
        weights: file of the model's weights, recorded with the scores.
    """

    def __init__(
        self,
        folder: str,
        confusion: ConfusionMatrix,
        detectors: Sequence[str],
        phases: Sequence[Phase],
        stack: str,
        weights: str,
    ) -> None:
        self.folder, self.confusion = Path(folder), confusion
        self.detectors, self.phases = detectors, phases
        self.stack, self.weights = stack, weights
        self._slices: list[int] = []

    def attach(self, engine: Engine) -> None:
        """Draw each slice as it comes; score when the run is complete."""
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._draw)
        engine.add_event_handler(Events.COMPLETED, self._score)

    def _draw(self, engine: Engine) -> None:
        for item in engine.state.output:  # type: ignore[union-attr]
            z = int(item["image"].meta["z"])
            self._slices.append(z)
            figure = draw_item(item, self.detectors, self.phases, "test")
            save_picture(figure, self.folder / f"slice_{z:04d}.png")

    def _score(self, engine: Engine) -> None:
        scores = score(self.confusion.compute().cpu().numpy(), [phase.name for phase in self.phases])
        record = {"slices": self._slices, **provenance(self.stack, self.weights)}
        write_scores(scores, self.folder / "scores.csv", self.folder / "scores.json", record)
