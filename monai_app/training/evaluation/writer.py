"""Score the held-out slices at the end of an evaluation."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from ignite.distributed import get_rank, get_world_size
from ignite.engine import Engine, Events
from torch import distributed

from monai_app.domain.model_spec import ModelSpec
from monai_app.errors import ConfigError
from monai_app.metrics import count_pixels
from monai_app.networks.calibration import temperature_of
from monai_app.origin import Origin, read_once
from monai_app.pictures import as_png, draw_item
from monai_app.provenance import provenance
from monai_app.stack import Stack
from monai_app.training.evaluation.folders import StackScores, write_evaluation
from monai_app.training.evaluation.scored import EvaluatedSlice, SliceScores
from monai_app.training.evaluation.sections import SECTIONS
from monai_app.transforms import phase_labels


class _Scored(NamedTuple):
    """An evaluated slice: path and identity of its stack, what was found, picture as PNG."""

    path: str
    identity: str
    found: SliceScores
    picture: bytes


class _Share(NamedTuple):
    """What one process evaluated: slices, and the SHA-256 and the temperature of the weights."""

    slices: list[_Scored]
    sha256: str
    temperature: float


class ScoreWriter:
    """Score every evaluated slice and write scores and pictures, those of each stack apart; see `write_evaluation`.

    Attach to the evaluator. Of several processes that share the slices, rank 0 writes all of it.

    Args:
        folder: where the files go, ``<run folder>/eval``.
        spec: of the model.
        stacks: paths of the stacks.
        weights: file of the model's weights, ``<run folder>/models/model.pt``, recorded with the scores: with the
            SHA-256 of what `LoadWeights` read, and the temperature that they had then.
        confusion: not used; configs of earlier versions give it.

    Raises:
        StackError: when the engine runs, if a stack was replaced since its slices were read.
        ConfigError: when the engine ends, if the weights were, or if the processes read different ones.
    """

    def __init__(
        self, folder: str, spec: ModelSpec, stacks: Sequence[str], weights: str, confusion: object = None
    ) -> None:
        self.folder, self.spec, self.stacks, self.weights = Path(folder), spec, list(stacks), Path(weights)
        self._slices: list[_Scored] = []
        self._opened: dict[str, Stack] = {}

    def attach(self, engine: Engine) -> None:
        """Draw and score each slice as it comes; write when the run is complete."""
        engine.add_event_handler(Events.STARTED, self._begin)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._add)
        engine.add_event_handler(Events.COMPLETED, self._write)

    def _begin(self, engine: Engine) -> None:
        loaded: Origin | None = getattr(engine.state, "weights", None)
        self._origin = loaded or read_once(self.weights)[1]  # where another handler loads them
        self._temperature = temperature_of(self.weights, self._origin.sha256)

    def _add(self, engine: Engine) -> None:
        state: Any = engine.state
        for given, item in zip(state.batch, state.output, strict=True):
            if "spare" in given:
                continue
            meta = item["image"].meta
            path = str(meta["filename_or_obj"])
            if path not in self._opened:  # all items of a stack are of one identity
                self._opened[path] = Stack.open(path, identity=given.get("identity"))
            stack, picture = self._opened[path], as_png(draw_item(item, self.spec, "test"))
            self._slices.append(_Scored(path, stack.identity, self._score(stack, item), picture))

    def _score(self, stack: Stack, item: Mapping[str, Any]) -> SliceScores:
        """What is found in an item of the evaluator's output."""
        logits, z = torch.as_tensor(item["pred"]), int(item["image"].meta["z"])
        true = torch.as_tensor(item["label"])[0].cpu().numpy()
        predicted = phase_labels(logits)[0].cpu().numpy()
        evaluated = EvaluatedSlice(stack, z, self.spec, self._temperature, true, predicted, logits)
        confusion = count_pixels(true, predicted, len(self.spec.phases))
        return SliceScores(z, confusion, {each.name: each.of_slice(evaluated) for each in SECTIONS})

    def _write(self, engine: Engine) -> None:
        for stack in self._opened.values():
            stack.reopened()
        shares = _gather(_Share(self._slices, self._origin.sha256, self._temperature))
        if get_rank() > 0:
            return
        slices = [each for share in shares for each in share.slices]
        identities = {each.path: each.identity for each in slices}
        if len({share[1:] for share in shares}) > 1 or {each[:2] for each in slices} != set(identities.items()):
            raise ConfigError(
                f"weights, their calibration or stack were replaced while the processes read them ({self.weights}, "
                f"{', '.join(self.stacks)}), so no scores are written; run the same command again"
            )
        self._origin.check()
        found = [self._of_stack(path, identities[path], slices) for path in self.stacks]
        write_evaluation(self.folder, found, self.spec.phase_names, SECTIONS)

    def _of_stack(self, path: str, identity: str, slices: Sequence[_Scored]) -> StackScores:
        stack = self._opened.get(path) or Stack.open(path)
        run = self.weights.absolute().parents[1].name
        record = {
            **provenance(stack, run, self._origin.sha256, self.spec.stand_ins),
            "temperature": self._temperature,
            "stack_identity": identity,  # others may have annotated it since
            "stack_ingested": stack.ingested,
            "store": stack.store_name,
        }
        own = sorted((each for each in slices if each.path == path), key=lambda each: each.found.z)
        pictures = {f"slice_{each.found.z:04d}.png": each.picture for each in own}
        return StackScores(record, [each.found for each in own], pictures)


def _gather(share: _Share) -> list[_Share]:
    """Gather the results of all processes on rank 0."""
    if get_world_size() == 1:
        return [share]
    shares: list[_Share | None] = [None] * get_world_size()
    distributed.gather_object(share, shares if get_rank() == 0 else None)
    return [each for each in shares if each is not None]
