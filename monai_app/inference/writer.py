"""Take an evaluator's labels into the store, slice by slice."""

import json
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import tifffile
from ignite.engine import Engine, Events

from monai_app.files import check_folder_target, whole_folder
from monai_app.progress import LoggedProgress
from monai_app.provenance import provenance
from monai_app.stack import LabelWriter, Phase, Stack

TIFF_RECORD = "labels.json"
"""File of an exported TIFF folder that says which labels these are."""


class LabelWriterHandler:
    """Write the predicted labels of every slice into the stack, as an NGFF label image.

    Attach to the evaluator that runs over all slices. The label image appears when the last slice is written; after a
    failure or a kill there is none.

    Args:
        stack: path of the stack.
        name: the label image's name in the store.
        phases: the model's phases.
        weights: file of the model's weights, recorded with the label image.
        overwrite: replace a finished label image of that name.
    """

    def __init__(
        self,
        stack: str,
        name: str,
        phases: Sequence[Phase],
        weights: str,
        overwrite: bool = False,
    ) -> None:
        self.stack, self.name, self.phases = stack, name, tuple(phases)
        self.weights, self.overwrite = weights, overwrite
        self._open = ExitStack()
        self._writer: LabelWriter | None = None
        self._progress = LoggedProgress("segment")

    def attach(self, engine: Engine) -> None:
        """Open the label image at the start, write each slice, close it at the end."""
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._write)
        engine.add_event_handler(Events.COMPLETED, self._finish)
        engine.add_event_handler(Events.EXCEPTION_RAISED, self._abandon)

    def _start(self, engine: Engine) -> None:
        source = Stack.open(self.stack)
        self._writer = self._open.enter_context(
            source.write_labels(
                self.name, overwrite=self.overwrite, attributes=provenance(self.stack, self.weights), phases=self.phases
            )
        )
        self._progress(0, source.shape[0])

    def _write(self, engine: Engine) -> None:
        if self._writer is None:
            raise RuntimeError("the evaluator runs without having started")
        for item in engine.state.output:  # type: ignore[union-attr]
            self._writer.write(int(item["image"].meta["z"]), item["pred"][0].cpu().numpy())
        self._progress(engine.state.iteration, engine.state.epoch_length or 0)

    def _finish(self, engine: Engine) -> None:
        self._open.close()

    def _abandon(self, engine: Engine, error: BaseException) -> None:
        # ignite swallows an exception that has a handler, so it is raised again, through the label image's exit.
        with self._open:
            raise error


def check_export(folder: str, *, overwrite: bool) -> None:
    """Refuse a target of :func:`export_tiff` before the long work that comes first.

    Raises:
        TargetExistsError: the folder exists and may not be replaced.
    """
    check_folder_target(Path(folder), TIFF_RECORD, overwrite=overwrite)


def export_tiff(stack: str, name: str, folder: str, *, overwrite: bool = False) -> Path:
    """Write a finished label image as one TIFF per slice, named like the slices of the stack.

    Args:
        stack: path of the stack.
        name: the label image's name in the store.
        folder: target folder; it appears whole or not at all.
        overwrite: replace an existing folder.

    Returns:
        The folder, with files (rows, columns) uint8, values 1..K, and a record of where they come from.

    Raises:
        StackError: there is no such label image.
        TargetExistsError: the folder exists.
    """
    source, target = Stack.open(stack), Path(folder)
    with whole_folder(target, TIFF_RECORD, overwrite=overwrite) as partial:
        record = {"stack": str(source.path), "identity": source.identity, "labels": name}
        (partial / TIFF_RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf8")
        for z, slice_name in enumerate(source.slice_names):
            tifffile.imwrite(partial / f"{slice_name}.tif", source.read_labels(name, z), compression="zlib")
    return target
