"""The folder ``eval/`` of a run: scores per stack, and pooled over all stacks.

::

    eval/test/scores.json, scores.csv            pooled over all stacks that these weights were scored on
    eval/test/<stack>/scores.json, scores.csv    of one stack, with a picture of every slice
    eval/test_stand_ins/...                      likewise, with replaced detectors
    eval/leave_one_out/<stack>/...               of models that were each trained without the slice they are scored on

The first two belong to one file of weights and one temperature; scores of others replace them.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from monai_app.files import atomic_directory, file_sha256, lock, lock_path, remove_tree
from monai_app.metrics import Document, Part, read_scores, score, write_scores
from monai_app.names import is_file_name
from monai_app.networks.calibration import temperature_of
from monai_app.pictures import as_png
from monai_app.training.evaluation.scored import Section, SliceScores, whole_of

POOLED = "eval/test/scores.json"
"""File of a run folder with the scores of all stacks that its weights were scored on."""

ROLES = ("test", "test_stand_ins")
"""Folders of scores, without and with replaced detectors."""

LEAVE_ONE_OUT = "leave_one_out"

FILES = ("scores.json", "scores.csv")

_OF_A_STACK = ("stack", "store", "stack_identity", "stack_ingested", "slices", "stand_ins")
_OF_A_MODEL = ("run", "weights_sha256", "temperature", "monai_app")
_OF_A_RECORD = (*_OF_A_STACK[:4], *_OF_A_MODEL)


@dataclass(frozen=True)
class StackScores:
    """The scores on one stack.

    Attributes:
        record: ``stack``, ``store``, ``stack_identity``, ``stack_ingested``, ``run``, ``weights_sha256``,
            ``temperature`` (1 without a calibration), ``monai_app`` and, if there are any, ``stand_ins``.
        slices: the scores of each slice.
        pictures: PNG by file name.
    """

    record: Document
    slices: Sequence[SliceScores]
    pictures: Mapping[str, bytes]


def pooled_path(run: Path, *, stand_ins: bool) -> Path:
    """The document with a run's scores on all stacks, with or without replaced detectors."""
    return run / "eval" / ROLES[stand_ins] / FILES[0]


def write_evaluation(
    output: Path, stacks: Sequence[StackScores], phases: Sequence[str], sections: Sequence[Section] = ()
) -> None:
    """Write the scores of each stack to its own folder, and pool them with those of earlier stacks.

    A stack that was scored before is replaced, whatever it is called now; one of the same name and other pixels gets a
    folder with the first digits of its identity. The pooled document goes first and comes last, so that what it lists
    is there, after a kill too.

    Args:
        output: the run's folder ``eval``.
        stacks: of one file of weights and one temperature; all or none with replaced detectors.
        phases: names of the phases.
        sections: what was found beside the confusion matrix.
    """
    output.mkdir(parents=True, exist_ok=True)
    folder = output / ROLES["stand_ins" in stacks[0].record]
    model = _model_of(stacks[0].record)
    with lock(lock_path(output / FILES[0])):  # of two evaluations at once each is written as one
        _put_away_earlier(output)
        for role in ROLES:
            _begin(output / role, model, pooled_goes=output / role == folder)
        folder.mkdir(exist_ok=True)
        for each in stacks:
            _write_stack(folder, each, phases, sections)
        _pool(folder, phases, sections)


def write_leave_one_out(
    output: Path, scores: StackScores, phases: Sequence[str], sections: Sequence[Section] = ()
) -> Path:
    """Write the scores of models that were each trained without one slice of a stack, and scored on this slice.

    Args:
        output: the run's folder ``eval``.
        scores: of all slices, each by its model; ``models`` in the record says by which.
        phases: names of the phases.
        sections: what was found beside the confusion matrix.

    Returns:
        The document; earlier scores of the stack are replaced.
    """
    folder = output / LEAVE_ONE_OUT
    folder.mkdir(parents=True, exist_ok=True)
    with lock(lock_path(output / FILES[0])):
        return _write_stack(folder, scores, phases, sections) / FILES[0]


def read_stack_scores(run: Path, identity: str, sections: Sequence[Section] = ()) -> StackScores | None:
    """Read what a run's weights score on a stack, with the temperature that they have now; None if they were not.

    Args:
        run: the run folder.
        identity: of the stack, with its annotations.
        sections: to be read beside the confusion matrices.
    """
    weights, role = run / "models" / "model.pt", run / "eval" / ROLES[0]
    if not weights.is_file():
        return None
    sha256 = file_sha256(weights)
    model = (sha256, temperature_of(weights, sha256))
    for folder, document in _scored(role).items():
        if (_model_of(document), document.get("stack_identity")) == (model, identity):
            record = {name: value for name, value in document.items() if name in _OF_A_RECORD}
            pictures = {path.name: path.read_bytes() for path in sorted(folder.glob("slice_*.png"))}
            return StackScores(record, _slices_of(document, sections), pictures)
    return None


def _put_away_earlier(output: Path) -> None:
    """Move scores of earlier versions, which did not keep stacks apart, where nobody takes them for these."""
    earlier = [path for path in (*(output / name for name in FILES), *output.glob("slice_*.png")) if path.is_file()]
    for path in earlier:
        (output / "earlier").mkdir(exist_ok=True)
        path.rename(output / "earlier" / path.name)


def _model_of(document: Document) -> tuple[Any, Any]:
    """What scores are of: weights and their temperature; versions before this were of 1."""
    return document.get("weights_sha256"), document.get("temperature", 1.0)


def _begin(folder: Path, model: tuple[Any, Any], *, pooled_goes: bool) -> None:
    """Remove scores of other weights or another temperature, and the pooled ones if they are to be written."""
    stacks = _scored(folder)
    others = [path for path, document in stacks.items() if _model_of(document) != model]
    if others or pooled_goes:
        for path in (*(folder / name for name in FILES), *folder.glob("*.png")):
            if not path.is_dir():  # a stack may have such a name
                path.unlink(missing_ok=True)
    for path in others:
        remove_tree(path)


def _scored(folder: Path) -> dict[Path, dict[str, Any]]:
    """The scores of single stacks in a folder, by theirs; of a document that is damaged nothing. Links are not ours."""
    paths = (path for path in sorted(folder.glob(f"[!.]*/{FILES[0]}")) if not path.parent.is_symlink())
    return {path.parent: _read(path) for path in paths}


def _read(path: Path) -> dict[str, Any]:
    try:
        document = read_scores(path)
        return document if all(part["confusion"] for part in document["parts"]) else {}
    except (ValueError, KeyError, TypeError):
        return {}


def _write_stack(folder: Path, scores: StackScores, phases: Sequence[str], sections: Sequence[Section]) -> Path:
    ingested = scores.record["stack_ingested"]
    same = [path for path, document in _scored(folder).items() if document.get("stack_ingested") == ingested]
    drawn = [f"{each.name}.png" for each in sections]
    target = _place(folder, scores.record, same, {*FILES, *drawn})
    parts = [Part(score(each.confusion, phases), each.sections, slice=each.z) for each in scores.slices]
    whole = whole_of(scores.slices, phases, sections)
    with atomic_directory(target, FILES[0], overwrite=True) as partial:
        for name, picture in {**scores.pictures, **_figures(whole, sections)}.items():
            (partial / name).write_bytes(picture)
        record = {"role": folder.name, **scores.record, "slices": [each.z for each in scores.slices]}
        write_scores(partial, whole, parts, record)
    for path in same:
        if path != target:
            remove_tree(path)
    return target


def _place(folder: Path, record: Document, same: Sequence[Path], files: Set[str]) -> Path:
    """The folder of a stack: named as its store, with the first digits of its identity where that is taken or odd."""
    name, digits = str(record["store"]), record["stack_ingested"][:8]
    taken = {path.name.casefold() for path in folder.iterdir() if path not in same} | files
    if not is_file_name(name) or name.startswith("."):
        return folder / f"stack-{digits}"
    return folder / (f"{name}-{digits}" if name.casefold() in taken else name)


def _pool(folder: Path, phases: Sequence[str], sections: Sequence[Section]) -> None:
    """Write the scores of all stacks of a folder together; they are of the same weights."""
    found = _one_a_stack(_scored(folder))
    slices = {path: _slices_of(document, sections) for path, document in found.items()}
    listed = [
        {"folder": path.name, **{name: document[name] for name in _OF_A_STACK if name in document}}
        for path, document in found.items()
    ]
    parts = []
    for path, own in slices.items():
        parts.append(whole_of(own, phases, (), path.name))
        parts += [Part(score(each.confusion, phases), stack=path.name, slice=each.z) for each in own]
    whole = whole_of([each for own in slices.values() for each in own], phases, sections)
    drawn = _figures(whole, sections) if len(found) > 1 else _figures_in(next(iter(found)), sections)
    for name, picture in drawn.items():
        (folder / name).write_bytes(picture)
    first = next(iter(found.values()))
    common = {name: first[name] for name in ("role", *_OF_A_MODEL) if name in first}
    write_scores(folder, whole, parts, {**common, "stacks": listed})


def _one_a_stack(found: dict[Path, dict[str, Any]]) -> dict[Path, dict[str, Any]]:
    """Of two folders of one stack the later one: a kill leaves both where the stack was renamed."""
    later = sorted(found, key=lambda path: (path / FILES[0]).stat().st_mtime_ns)
    kept = {found[path]["stack_ingested"]: path for path in later}
    return {path: found[path] for path in found if path in kept.values()}


def _slices_of(document: Document, sections: Sequence[Section]) -> list[SliceScores]:
    """Read what `_write_stack` wrote of the slices of a stack."""
    found = []
    for part in document["parts"]:
        own = {each.name: part[each.name] for each in sections if each.name in part}
        found.append(SliceScores(part["slice"], np.array(part["confusion"]), own))
    return found


def _figures_in(folder: Path, sections: Sequence[Section]) -> dict[str, bytes]:
    """What was drawn of one stack, which is what would be drawn of all if there is no other."""
    paths = (folder / f"{each.name}.png" for each in sections)
    return {path.name: path.read_bytes() for path in paths if path.is_file()}


def _figures(whole: Part, sections: Sequence[Section]) -> dict[str, bytes]:
    """What the sections draw, as PNG by file name."""
    drawn = {each.name: each.figure(whole.sections[each.name]) for each in sections if each.name in whole.sections}
    return {f"{name}.png": as_png(figure) for name, figure in drawn.items() if figure is not None}
