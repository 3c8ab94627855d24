"""Score the held-out slices at the end of an evaluation."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ignite.distributed import get_rank, get_world_size
from ignite.engine import Engine, Events
from ignite.metrics import ConfusionMatrix
from torch import distributed

from monai_app.domain.model_spec import ModelSpec
from monai_app.errors import ConfigError
from monai_app.files import atomic_file, lock, lock_path
from monai_app.metrics import Part, Scores, item_confusion, score, write_scores
from monai_app.origin import Origin, read_once
from monai_app.pictures import as_png, draw_item
from monai_app.provenance import provenance
from monai_app.stack import Stack


class _Slice(NamedTuple):
    """An evaluated slice: path and identity of its stack, z, picture as PNG, pixel counts [true][predicted]."""

    path: str
    identity: str
    z: int
    picture: bytes
    confusion: np.ndarray


class _Share(NamedTuple):
    """What one process evaluated: slices, and the SHA-256 of the weights."""

    slices: list[_Slice]
    sha256: str


class ScoreWriter:
    """Write ``scores.csv``, ``scores.json`` and a picture per evaluated slice.

    Pictures are ``slice_<z>.png``; of several stacks ``slice_<name of the store>_<z>.png``. All is of these stacks
    and of one file of weights, which ``scores.json`` names; what is there of an earlier evaluation is removed. Attach
    to the evaluator. Of several processes that share the slices, rank 0 writes all of it.

    Args:
        folder: where the files go.
        confusion: the evaluator's accumulating confusion matrix.
        spec: of the model.
        stacks: paths of the stacks, recorded with the scores.
        weights: file of the model's weights, ``<run folder>/models/model.pt``, recorded with the scores: with the
            SHA-256 of what `LoadWeights` read.

    Raises:
        StackError: when the engine runs, if a stack was replaced since its slices were read.
        ConfigError: when the engine ends, if the weights were, or if the processes read different ones.
    """

    def __init__(
        self, folder: str, confusion: ConfusionMatrix, spec: ModelSpec, stacks: Sequence[str], weights: str
    ) -> None:
        self.folder, self.confusion, self.spec = Path(folder), confusion, spec
        self.stacks, self.weights = list(stacks), Path(weights)
        self._slices: list[_Slice] = []
        self._opened: dict[str, Stack] = {}

    def attach(self, engine: Engine) -> None:
        """Draw and score each slice as it comes; write when the run is complete."""
        engine.add_event_handler(Events.STARTED, self._begin)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._add)
        engine.add_event_handler(Events.COMPLETED, self._write)

    def _begin(self, engine: Engine) -> None:
        loaded: Origin | None = getattr(engine.state, "weights", None)
        self._origin = loaded or read_once(self.weights)[1]  # where another handler loads them

    def _add(self, engine: Engine) -> None:
        state: Any = engine.state
        for given, item in zip(state.batch, state.output, strict=True):
            if "spare" in given:
                continue
            meta = item["image"].meta
            path = str(meta["filename_or_obj"])
            if path not in self._opened:  # all items of a stack are of one identity
                self._opened[path] = Stack.open(path, identity=given.get("identity"))
            picture = as_png(draw_item(item, self.spec, "test"))
            counts = item_confusion(item, len(self.spec.phases))
            self._slices.append(_Slice(path, self._opened[path].identity, int(meta["z"]), picture, counts))

    def _write(self, engine: Engine) -> None:
        confusion = self.confusion.compute().cpu().numpy()  # summed over the processes
        for stack in self._opened.values():
            stack.reopened()
        shares = _gather(_Share(self._slices, self._origin.sha256))
        if get_rank() > 0:
            return
        slices = sorted((each for share in shares for each in share.slices), key=self._order)
        identities = {each.path: each.identity for each in slices}
        if len({share.sha256 for share in shares}) > 1 or {each[:2] for each in slices} != set(identities.items()):
            raise ConfigError(
                f"weights or stack were replaced while the processes read them ({self.weights}, "
                f"{', '.join(self.stacks)}), so no scores are written; give the same command again"
            )
        self._origin.check()
        stacks = {path: self._opened.get(path) or Stack.open(path) for path in identities}
        record = self._record(stacks, slices)
        scores, several = score(confusion, self.spec.phase_names), len(stacks) > 1
        pictures = {_picture_name(stacks[each.path] if several else None, each.z): each.picture for each in slices}
        write_evaluation(self.folder, scores, pictures, record, list(self._parts(stacks, slices)))

    def _order(self, each: _Slice) -> tuple[int, int]:
        return self.stacks.index(each.path), each.z

    def _record(self, stacks: Mapping[str, Stack], slices: Sequence[_Slice]) -> dict[str, Any]:
        """What was scored: of one stack its name, identity and slices, of several a list of each."""
        run = self.weights.absolute().parents[1].name
        of = {path: [each.z for each in slices if each.path == path] for path in stacks}
        more = (run, self._origin.sha256, self.spec.stand_ins)
        told = [{"slices": of[path], **provenance(stack, *more)} for path, stack in stacks.items()]
        for each, path in zip(told, stacks, strict=True):  # others may have annotated it since
            each["stack_identity"] = next(every.identity for every in slices if every.path == path)
        record = told[0]
        if len(told) > 1:
            record |= {name: [each[name] for each in told] for name in ("slices", "stack_identity")}
            record["stack"] = [stack.store_name for stack in stacks.values()]
        return record

    def _parts(self, stacks: Mapping[str, Stack], slices: Sequence[_Slice]) -> Iterable[Part]:
        """Scores of every stack, where there are several, and of every slice."""
        for path, stack in stacks.items():
            own = [each for each in slices if each.path == path]
            if len(stacks) > 1:
                whole = np.sum([each.confusion for each in own], axis=0)
                yield Part(stack.store_name, None, score(whole, self.spec.phase_names))
            yield from (Part(stack.store_name, each.z, score(each.confusion, self.spec.phase_names)) for each in own)


def write_evaluation(
    folder: Path,
    scores: Scores,
    pictures: Mapping[str, bytes],
    record: Mapping[str, Any],
    parts: Sequence[Part] = (),
) -> None:
    """Write scores and pictures of one evaluation in the place of those of another one.

    ``scores.json`` goes first and comes last, so that what lies beside it is of the same evaluation, after a kill too.

    Args:
        folder: where the files go.
        scores: the scores.
        pictures: PNG by file name, ``slice_...png``.
        record: what was scored.
        parts: scores of single stacks and slices.
    """
    folder.mkdir(parents=True, exist_ok=True)
    document = folder / "scores.json"
    with lock(lock_path(document)):  # of two evaluations at once each is written as one
        document.unlink(missing_ok=True)
        for earlier in folder.glob("slice_*.png"):
            earlier.unlink()
        for name, picture in pictures.items():
            with atomic_file(folder / name) as temporary:
                temporary.write_bytes(picture)
        write_scores(scores, folder / "scores.csv", document, record, parts)


def _picture_name(stack: Stack | None, z: int) -> str:
    return f"slice_{z:04d}.png" if stack is None else f"slice_{stack.store_name}_{z:04d}.png"


def _gather(share: _Share) -> list[_Share]:
    """Bring what all processes evaluated to rank 0."""
    if get_world_size() == 1:
        return [share]
    shares: list[_Share | None] = [None] * get_world_size()
    distributed.gather_object(share, shares if get_rank() == 0 else None)
    return [each for each in shares if each is not None]
