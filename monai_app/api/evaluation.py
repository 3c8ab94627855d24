"""Score a model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monai_app.api.given import LogConfig, PathLike, Show, StackLike, ignore, opened_all, path_of
from monai_app.errors import ConfigError
from monai_app.stack.html import html_table


@dataclass(frozen=True)
class Scores:
    """Scores of a model on test slices, pooled over all of them.

    Attributes:
        path: the file ``scores.json`` in the run folder; ``scores.csv`` is next to it.
        document: its content; undefined scores are None.
    """

    path: Path
    document: Mapping[str, Any]

    @property
    def mean_iou(self) -> float | None:
        """The mean IoU over the phases."""
        value: float | None = self.document["mean_iou"]
        return value

    @property
    def iou(self) -> dict[str, float | None]:
        """Name of the phase -> its IoU."""
        return {row["phase"]: row["iou"] for row in self.document["phases"]}

    def _repr_html_(self) -> str:
        names = {"phase": "phase", "iou": "IoU", "dice": "Dice", "precision": "precision", "recall": "recall"}
        rows = [[_shown(row[name]) for name in names] for row in self.document["phases"]]
        mean = _shown(self.mean_iou), _shown(self.document["pixel_accuracy"])
        return html_table(rows, [*names.values()], "mean IoU {}, pixel accuracy {}".format(*mean))


def _shown(value: str | float | None) -> str:
    return value if isinstance(value, str) else "-" if value is None else f"{value:.4f}"


def evaluate(
    stacks: StackLike | Sequence[StackLike],
    run: PathLike,
    *,
    detectors: Mapping[str, str] | None = None,
    leave_one_out: bool = False,
    processes: int = 1,
    amp: bool | None = None,
    device: str | None = None,
    show: Show = ignore,
    log_config: LogConfig | None = None,
) -> Scores:
    """Score a trained model on the test slices of one stack or several, as ``monai-app evaluate`` does.

    Args:
        stacks: a stack or several, opened or as paths.
        run: the run folder.
        detectors: detector of the model -> detector of the stacks that replaces it.
        leave_one_out: for each annotated slice, train a model without it, with the run's settings, and score it on that
        slice. The same call resumes a stopped evaluation.
        processes: on this machine, one per GPU; they share the test slices.
        amp: mixed precision; None means on a GPU.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``; None lets the bundle choose.
        show: called with the equivalent ``python -m monai.bundle run`` command.
        log_config: returns a config of Python's ``logging`` for a stream, which MONAI applies; None leaves logging
            unchanged.

    Returns:
        The scores, which are also written into the run folder with a picture of every test slice.

    Raises:
        ConfigError: the folder has no trained weights, or does not fit the stacks.
        AnnotationError: no annotated slice has the role ``test``.
        StackError: there is no stack at a path.
        StorageError: the scores cannot be written to the run folder.
    """
    from monai_app.api.running import checked_device, run_command, run_trusted, trained_run
    from monai_app.bundle.launch import check_processes
    from monai_app.bundle.model import read_spec
    from monai_app.bundle.stacks import check_different, warn_if_unfamiliar
    from monai_app.storage import check_writable
    from monai_app.training.evaluation import pooled_path, read_document

    check_processes(processes)
    options: dict[str, object] = {"amp": amp, "device": checked_device(device, processes)}
    given, parts = path_of(run, "run").absolute(), dict(detectors or {})
    usable, opened = trained_run(given), opened_all(stacks)
    document = pooled_path(given, stand_ins=bool(parts))
    check_writable(document.parent, "scores are written to the run folder: copy it to a place where you can write")
    check_different(opened)
    if leave_one_out:
        from monai_app.api.leave_one_out import score_each_left_out

        if len(opened) > 1 or parts:
            what = "detectors (--detector)" if parts else ", ".join(str(stack.path) for stack in opened)
            raise ConfigError(
                f"{what}: leave_one_out (--leave-one-out) trains on one stack with its own detectors; give one stack "
                "and no other detectors"
            )
        document = score_each_left_out(opened[0], given, processes, options, show, log_config)
        return Scores(document, read_document(document))
    spec = read_spec(usable / "configs" / "metadata.json").reading(parts)
    for each in opened:
        warn_if_unfamiliar(spec, each)
    options["stand_ins"] = parts or None
    if usable != given:  # a run of an earlier version stays unchanged: a temporary copy is evaluated
        options["output_dir"] = str(given / "eval")
    command = run_command(usable, [each.path for each in opened], ("train", "evaluate"), processes, **options)
    run_trusted(usable, command, show, log_config)
    return Scores(document, read_document(document))
