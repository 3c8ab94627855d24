"""Score a model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monai_app.api.given import PathLike, Show, StackLike, ignore, opened_all
from monai_app.stack import Stack
from monai_app.stack.html import html_table


@dataclass(frozen=True)
class Scores:
    """Scores of a model on test slices, pooled over all of them.

    Attributes:
        path: the file ``scores.json`` of the run folder; ``scores.csv`` lies beside it.
        document: its content; what is undefined is None.
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


def check_scorable(stacks: Sequence[Stack], run: Path, *, stand_ins: bool) -> None:
    """Refuse early what could not be scored.

    Args:
        stacks: the stacks.
        run: the run folder.
        stand_ins: whether other detectors take the part of the model's.

    Raises:
        ConfigError: two stacks are the same one.
        StorageError: scores cannot be written into the run folder.
    """
    from monai_app.bundle.stacks import check_different
    from monai_app.storage import check_writable
    from monai_app.training.evaluation import pooled_path

    place = pooled_path(run, stand_ins=stand_ins).parent
    check_writable(place, "scores go into the run folder: copy it to a place that you can write to")
    check_different(stacks)


def evaluate(
    stacks: StackLike | Sequence[StackLike],
    run: PathLike,
    *,
    detectors: Mapping[str, str] | None = None,
    processes: int = 1,
    amp: bool | None = None,
    device: str | None = None,
    show: Show = ignore,
) -> Scores:
    """Score a trained model on the test slices of one stack or several, as ``monai-app evaluate`` does.

    Args:
        stacks: a stack or several, opened or as paths.
        run: the run folder.
        detectors: detector of the model -> detector of the stacks that takes its part.
        processes: on this machine, one per GPU; they share the test slices.
        amp: mixed precision; None means on a GPU.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``; None lets the bundle choose.
        show: called with the ``python -m monai.bundle run`` command that does the same.

    Returns:
        The scores, which are also written into the run folder with a picture of every test slice.

    Raises:
        ConfigError: the folder holds no trained weights, or does not fit the stacks.
        AnnotationError: no slice is annotated to test on.
        StackError: there is no stack at a path.
        StorageError: scores cannot be written into the run folder.
    """
    from monai_app.api.running import checked_device, run_command, run_trusted, trained_run
    from monai_app.bundle.launch import check_processes
    from monai_app.bundle.model import read_spec
    from monai_app.bundle.stacks import tell_what_is_unfamiliar
    from monai_app.training.evaluation import pooled_path, read_document

    check_processes(processes)
    device = checked_device(device, processes)
    given, parts = Path(run).absolute(), dict(detectors or {})
    usable, opened = trained_run(given), opened_all(stacks)
    check_scorable(opened, given, stand_ins=bool(parts))
    spec = read_spec(usable / "configs" / "metadata.json").reading(parts)
    for each in opened:
        tell_what_is_unfamiliar(spec, each)
    options: dict[str, object] = {"amp": amp, "device": device, "stand_ins": parts or None}
    if usable != given:  # of an earlier version and left as it is: a temporary copy is evaluated
        options["output_dir"] = str(given / "eval")
    paths = [each.path for each in opened]
    run_trusted(usable, run_command(usable, paths, ("train", "evaluate"), processes, **options), show)
    document = pooled_path(given, stand_ins=bool(parts))
    return Scores(document, read_document(document))
