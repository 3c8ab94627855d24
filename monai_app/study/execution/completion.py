"""Train and score one run with the commands that a user would run."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass

from monai_app.background.child import CHILD, COMMAND
from monai_app.bundle.length.continuation import CONTINUATIONS
from monai_app.bundle.run_folder import CHECKPOINT, RECORD, read_record
from monai_app.errors import AppError, ConfigError, FailedError
from monai_app.files import file_sha256, lock, lock_path, write_json
from monai_app.progress import counted
from monai_app.study.baselines.process import damaged, read_result
from monai_app.study.design import Design, validation_of
from monai_app.study.execution.commands import Commands
from monai_app.study.runs import StudyRun
from monai_app.training import is_finished
from monai_app.training.evaluation import read_stack_scores

_BASELINE = (*CHILD, "monai_app.study.baselines.process")


@dataclass(frozen=True)
class Completion:
    """What came of a run.

    Attributes:
        changed: whether anything was to be done.
        error: why it failed; empty if it did not.
    """

    changed: bool
    error: str = ""


def is_done(run: StudyRun) -> bool:
    """Whether a run has been trained to its end and scored, both on the stack as it is annotated now.

    One with a damaged file is not; `complete` says which.
    """
    try:
        return _is_done(run)
    except ConfigError:
        return False


def _is_done(run: StudyRun) -> bool:
    """Raise ConfigError if a file of the run is damaged."""
    if not run.variant.is_network:
        return read_result(run.folder, run.stack.identity) is not None
    _read_seconds(run)
    return _is_trained(run) and read_stack_scores(run.folder, run.stack.identity) is not None


def check_lengths(runs: Sequence[StudyRun], design: Design) -> None:
    """Check that the networks that were trained before were trained as long as a design says, in one go.

    Raises:
        ConfigError: one was continued, or trained with a time limit.
    """
    for run in runs:
        if not run.variant.is_network or not (run.folder / RECORD).is_file():
            continue
        record = read_record(run.folder)
        epochs = record["settings"].get("max_epochs")
        if epochs != design.epochs or CONTINUATIONS in record or "minutes" in record:
            length = f"{record['minutes']:g} minutes" if "minutes" in record else counted(epochs, "epoch")
            raise ConfigError(
                f"{run.folder} was trained for {length}{', in parts' * (CONTINUATIONS in record)}, and a study "
                f"compares uninterrupted trainings of {counted(design.epochs, 'epoch')}; move this folder elsewhere, "
                "and run the same command to train it again"
            )


def complete(run: StudyRun, design: Design, commands: Commands) -> Completion:
    """Train and score a run unless it is complete; a stopped training is resumed.

    Failures are returned and not raised, because other runs continue. This includes the refusal to train in the folder
    of a training on other annotations.

    Args:
        run: the run.
        design: how it is trained.
        commands: that run in processes.
    """
    try:
        return Completion(_complete(run, design, commands))
    except (AppError, OSError) as error:
        return Completion(False, str(error))


def seconds_of(run: StudyRun) -> float | None:
    """How long the training of a network's weights took, start of the program included; None if it was resumed."""
    found = _read_seconds(run)
    return found[0] if found and found[1] == file_sha256(run.learned) else None


def _read_seconds(run: StudyRun) -> tuple[float, str] | None:
    """Return the seconds of a training and the SHA-256 of what it learned."""
    try:
        record = json.loads(run.record.read_text(encoding="utf8"))
        return float(record["seconds"]), str(record["weights_sha256"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise damaged(run.record, error) from None


def _complete(run: StudyRun, design: Design, commands: Commands) -> bool:
    """Return whether anything was to be done."""
    checkpoint = run.folder / CHECKPOINT
    if checkpoint.parent.is_dir():
        with lock(lock_path(checkpoint)):  # a training of a lost worker or study ends a moment after it
            pass
    if _is_done(run):
        return False
    run.folder.parent.mkdir(parents=True, exist_ok=True)
    if not run.variant.is_network:
        words = (run.stack.path, run.variant.name, run.seed, run.folder, *validation_of(run.variant, design))
        commands.run(run.log, _BASELINE, *words)
    else:
        if not _is_trained(run):
            _train(run, design, commands)
        commands.run(run.log, COMMAND, "evaluate", run.stack.path, run.folder)
    if not _is_done(run):
        raise FailedError(f"{run.stack.path} was annotated meanwhile; run the same command again")
    return True


def _train(run: StudyRun, design: Design, commands: Commands) -> None:
    resumed, begin = run.folder.exists(), time.perf_counter()
    commands.run(run.log, COMMAND, "train", run.stack.path, run.folder, *_options(run, design))
    if not resumed:
        seconds = round(time.perf_counter() - begin, 1)
        write_json(run.record, {"seconds": seconds, "weights_sha256": file_sha256(run.learned)})


def _is_trained(run: StudyRun) -> bool:
    """Whether a network has been trained to its end, on the stack as it is annotated now."""
    if not is_finished(run.folder / CHECKPOINT):
        return False
    return bool(read_record(run.folder)["stack"] == run.stack.identity)


def _options(run: StudyRun, design: Design) -> list[str]:
    settings = [word for name, value in design.settings.items() for word in ("--set", f"{name}={json.dumps(value)}")]
    given = {
        "--variant": run.variant.settings.name,
        "--size": design.size,
        "--epochs": design.epochs,
        "--seed": run.seed,
    }
    return [*(str(word) for pair in given.items() for word in pair), *settings]
