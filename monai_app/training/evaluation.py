"""Score the held-out slices at the end of an evaluation."""

from pathlib import Path
from typing import Any, NamedTuple

from ignite.distributed import get_rank, get_world_size
from ignite.engine import Engine, Events
from ignite.metrics import ConfusionMatrix
from torch import distributed

from monai_app.domain.model_spec import ModelSpec
from monai_app.errors import ConfigError
from monai_app.files import atomic_file, lock, lock_path
from monai_app.metrics import Scores, score, write_scores
from monai_app.origin import Origin, read_once
from monai_app.pictures import as_png, draw_item
from monai_app.provenance import provenance
from monai_app.stack import Stack


class _Share(NamedTuple):
    """What one process evaluated: pictures as PNG by slice, identities of the stack, SHA-256 of the weights."""

    pictures: dict[int, bytes]
    identities: set[str]
    sha256: str


class ScoreWriter:
    """Write ``scores.csv``, ``scores.json`` and a picture ``slice_<z>.png`` per evaluated slice.

    They are of one stack and of one file of weights, which ``scores.json`` names; those of an earlier evaluation are
    removed. Attach to the evaluator. Of several processes that share the slices, rank 0 writes all of it.

    Args:
        folder: where the files go.
        confusion: the evaluator's accumulating confusion matrix.
        spec: of the model.
        stack: path of the stack, recorded with the scores.
        weights: file of the model's weights, ``<run folder>/models/model.pt``, recorded with the scores: with the
            SHA-256 of what `LoadWeights` read.

    Raises:
        StackError: when the engine runs, if the stack was replaced since its slices were read.
        ConfigError: when the engine ends, if the weights were, or if the processes read different ones.
    """

    def __init__(self, folder: str, confusion: ConfusionMatrix, spec: ModelSpec, stack: str, weights: str) -> None:
        self.folder, self.confusion, self.spec = Path(folder), confusion, spec
        self.stack, self.weights = stack, Path(weights)
        self._pictures: dict[int, bytes] = {}
        self._opened: Stack | None = None

    def attach(self, engine: Engine) -> None:
        """Draw each slice as it comes; write when the run is complete."""
        engine.add_event_handler(Events.STARTED, self._begin)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._draw)
        engine.add_event_handler(Events.COMPLETED, self._write)

    def _begin(self, engine: Engine) -> None:
        loaded: Origin | None = getattr(engine.state, "weights", None)
        self._origin = loaded or read_once(self.weights)[1]  # where another handler loads them

    def _draw(self, engine: Engine) -> None:
        state: Any = engine.state
        for given, item in zip(state.batch, state.output, strict=True):
            if "spare" in given:
                continue
            if self._opened is None:  # all items are of one identity
                self._opened = Stack.open(self.stack, identity=given.get("identity"))
            figure = draw_item(item, self.spec, "test")
            self._pictures[int(item["image"].meta["z"])] = as_png(figure)

    def _write(self, engine: Engine) -> None:
        confusion = self.confusion.compute().cpu().numpy()  # summed over the processes
        shares = _gather(
            _Share(self._pictures, {self._opened.identity} if self._opened else set(), self._origin.sha256)
        )
        if get_rank() > 0:
            return
        if len({share.sha256 for share in shares}) > 1 or len(set().union(*(share.identities for share in shares))) > 1:
            raise ConfigError(
                f"weights or stack were replaced while the processes read them ({self.weights}, {self.stack}), so no "
                "scores are written; give the same command again"
            )
        assert self._opened is not None  # rank 0 has the first item
        self._opened.reopened()
        self._origin.check()
        run = self.weights.absolute().parents[1].name
        pictures = dict(sorted(entry for share in shares for entry in share.pictures.items()))
        record = {"slices": list(pictures), **provenance(self._opened, run, self._origin.sha256)}
        write_evaluation(self.folder, score(confusion, self.spec.phase_names), pictures, record)


def write_evaluation(folder: Path, scores: Scores, pictures: dict[int, bytes], record: dict[str, Any]) -> None:
    """Write scores and pictures of one evaluation in the place of those of another one.

    ``scores.json`` goes first and comes last, so that what lies beside it is of the same evaluation, after a kill too.

    Args:
        folder: where the files go.
        scores: the scores.
        pictures: PNG of every slice, by z.
        record: what was scored.
    """
    folder.mkdir(parents=True, exist_ok=True)
    document = folder / "scores.json"
    with lock(lock_path(document)):  # of two evaluations at once each is written as one
        document.unlink(missing_ok=True)
        for earlier in folder.glob("slice_*.png"):
            earlier.unlink()
        for z, picture in pictures.items():
            with atomic_file(folder / f"slice_{z:04d}.png") as temporary:
                temporary.write_bytes(picture)
        write_scores(scores, folder / "scores.csv", document, record)


def _gather(share: _Share) -> list[_Share]:
    """Bring what all processes evaluated to rank 0."""
    if get_world_size() == 1:
        return [share]
    shares: list[_Share | None] = [None] * get_world_size()
    distributed.gather_object(share, shares if get_rank() == 0 else None)
    return [each for each in shares if each is not None]
