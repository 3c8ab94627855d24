"""Score the held-out slices at the end of an evaluation."""

from pathlib import Path
from typing import Any

from ignite.distributed import get_rank, get_world_size
from ignite.engine import Engine, Events
from ignite.metrics import ConfusionMatrix
from torch import distributed

from monai_app.domain.model_spec import ModelSpec
from monai_app.files import atomic_file, file_sha256
from monai_app.metrics import score, write_scores
from monai_app.pictures import as_png, draw_item
from monai_app.provenance import provenance
from monai_app.stack import Stack


class ScoreWriter:
    """Write ``scores.csv``, ``scores.json`` and a picture ``slice_<z>.png`` per evaluated slice.

    Attach to the evaluator. Of several processes that share the slices, rank 0 writes all of it.

    Args:
        folder: where the files go.
        confusion: the evaluator's accumulating confusion matrix.
        spec: of the model.
        stack: path of the stack, recorded with the scores.
        weights: file of the model's weights, ``<run folder>/models/model.pt``, recorded with the scores: with the
            SHA-256 that `LoadWeights` read.
    """

    def __init__(self, folder: str, confusion: ConfusionMatrix, spec: ModelSpec, stack: str, weights: str) -> None:
        self.folder, self.confusion, self.spec = Path(folder), confusion, spec
        self.stack, self.weights = stack, Path(weights)
        self._sha256 = ""
        self._pictures: dict[int, bytes] = {}  # by slice, as PNG

    def attach(self, engine: Engine) -> None:
        """Draw each slice as it comes; write when the run is complete."""
        engine.add_event_handler(Events.STARTED, self._begin)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._draw)
        engine.add_event_handler(Events.COMPLETED, self._write)

    def _begin(self, engine: Engine) -> None:
        loaded = getattr(engine.state, "weights_sha256", None)
        self._sha256 = loaded or file_sha256(self.weights)  # where another handler loads them

    def _draw(self, engine: Engine) -> None:
        state: Any = engine.state
        for given, item in zip(state.batch, state.output, strict=True):
            if "spare" in given:
                continue
            figure = draw_item(item, self.spec, "test")
            self._pictures[int(item["image"].meta["z"])] = as_png(figure)

    def _write(self, engine: Engine) -> None:
        confusion = self.confusion.compute().cpu().numpy()  # summed over the processes
        pictures = _gather(self._pictures)
        if get_rank() > 0:
            return
        for z, picture in pictures.items():
            with atomic_file(self.folder / f"slice_{z:04d}.png") as temporary:
                temporary.write_bytes(picture)
        scores = score(confusion, self.spec.phase_names)
        run = self.weights.absolute().parents[1].name
        record = {"slices": list(pictures), **provenance(Stack.open(self.stack), run, self._sha256)}
        write_scores(scores, self.folder / "scores.csv", self.folder / "scores.json", record)


def _gather(pictures: dict[int, bytes]) -> dict[int, bytes]:
    """Bring the pictures of all processes to rank 0, in the order of slices."""
    parts: list[dict[int, bytes] | None] = [pictures]
    if get_world_size() > 1:
        parts = [None] * get_world_size()
        distributed.gather_object(pictures, parts if get_rank() == 0 else None)
    return dict(sorted(entry for part in parts if part for entry in part.items()))
