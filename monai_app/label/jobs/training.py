"""Training from the labels that clients sent; the model that counts stays until a better informed one is complete.

A training is ``monai-app train SNAPSHOT RUN`` in a process of its own. One that was stopped, or whose server was
killed, leaves its run folder, and the same training asked for again goes on there: the command says whether it is.
"""

import asyncio
import os
import signal
import sys
from collections import deque
from contextlib import suppress
from pathlib import Path

from anyio import CancelScope, from_thread

from monai_app.bundle.prepare import CHECKPOINT, check_idle
from monai_app.errors import AnnotationError, ConfigError
from monai_app.label.errors import FailedError
from monai_app.label.models import ServedModel, snapshot_of
from monai_app.stack import Stack, snapshot


def check_trainable(stack: Stack) -> None:
    """Refuse to train on nothing, before a process is started for it.

    Raises:
        AnnotationError: the stack has no phases or no labels to train on.
    """
    if not stack.phases:
        raise AnnotationError(f"{stack.path} has no phases: describe them in its sample.yaml and ingest it again")
    if not stack.train_slices:
        raise AnnotationError(
            f"{stack.path.name} has no label to train on; label a slice and submit it (PUT /datastore/label?image=ID)"
        )


def train(model: ServedModel, stack: Stack, log: Path, *, epochs: int = 0, pretrained: bool, resume: bool) -> Path:
    """Train a model on the annotations that the stack has now, let it count, and return its run folder.

    Where the model's last training did not come to count and was the same, it is gone on with, and ends with the
    weights of one that was never stopped. Any other training takes its place, and its run and snapshot are gone.

    Args:
        model: the model.
        stack: the stack.
        log: file to which the training's output is added.
        epochs: epochs; 0 takes the model's own.
        pretrained: begin with the weights that count now.
        resume: go on with an unfinished training where it is the same; else begin anew.

    Raises:
        AppError: it cannot be trained, with the model that counted before left in place.
        BusyError: the process of the training before has not ended yet.
        FailedError: it failed for a reason that nobody foresaw, or its process died.
    """
    check_trainable(stack)
    run = model.begin()
    check_idle(run)
    # Labels may come in while this goes on; what is trained on stays as it was, and can be looked up.
    data = snapshot(stack, snapshot_of(run), overwrite=True)
    words = ["train", str(data.path), str(run), *model.recipe.words({"max_epochs": epochs} if epochs else {})]
    if pretrained and model.run is not None:
        words += ["--from", str(model.run)]
    unfinished = _time(run / CHECKPOINT)
    try:
        from_thread.run(run_command, words if resume else [*words, "--overwrite"], log)
    except ConfigError as error:
        if not (resume and run.exists()) or _time(run / CHECKPOINT) != unfinished:
            raise
        with log.open("a", encoding="utf8") as lines:
            lines.write(f"{error}\na new training takes the place of {run.name}\n")
        from_thread.run(run_command, [*words, "--overwrite"], log)
    model.publish(run)
    return run


def _time(file: Path) -> int | None:
    """When a file was written; None where there is none."""
    with suppress(FileNotFoundError):
        return file.stat().st_mtime_ns
    return None


async def run_command(words: list[str], log: Path) -> None:
    """Run our command line in a process of its own, which ends with this one.

    Args:
        words: after ``monai-app``.
        log: file to which all that it says is added.

    Raises:
        ConfigError: what it says where the user can mend it.
        FailedError: it ended otherwise, with the last line of what it said.
    """
    command = (sys.executable, "-m", "monai_app.label.jobs.family", *words)
    with log.open("ab") as said:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True
        )
    try:
        code = await process.wait()
    finally:
        with suppress(ProcessLookupError):  # those that it started end too
            os.killpg(process.pid, signal.SIGKILL)
        with CancelScope(shield=True):
            await process.wait()
    if code:
        with log.open(encoding="utf8", errors="replace") as lines:
            last = "".join(deque(lines, 1)).strip().removeprefix("monai-app: ")
        if code == 2:
            raise ConfigError(last)
        reason = f"its process ended with {code}, perhaps because the memory was used up" if code < 0 else last
        raise FailedError(f"the training failed: {reason}; its log, {log.name}, says more")
