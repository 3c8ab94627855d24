"""Make a stack, and annotate it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from monai_app.api.given import PathLike, Report, StackLike, ignore, opened
from monai_app.errors import ConfigError
from monai_app.progress import Progress, silent
from monai_app.stack import Align, Role, Stack
from monai_app.stack import ingest as ingest_sample
from monai_app.stack.annotations.importing import Imported, import_annotations, import_labels
from monai_app.stack.annotations.meaning import Meaning


def ingest(
    description: PathLike,
    target: PathLike,
    *,
    overwrite: bool = False,
    align: Align | None = None,
    progress: Progress = silent,
    report: Report = ignore,
) -> Stack:
    """Read images and annotations into an OME-Zarr store, as ``monai-app ingest`` does.

    Args:
        description: ``sample.yaml``, or the folder of a sample.
        target: the store to write, ``NAME.ome.zarr``.
        overwrite: replace an existing target.
        align: what is aligned, and how; None leaves pixels where they are.
        progress: called for every slice.
        report: called with what was found and done, line by line.

    Returns:
        The stack.

    Raises:
        StackError: images are missing, damaged or do not fit each other.
        ConfigError: the description breaks a rule, or has open questions.
        AnnotationError: annotations do not fit the images.
        TargetExistsError: the target exists, and ``overwrite`` is false.
    """
    return ingest_sample(
        Path(description), Path(target), overwrite=overwrite, align=align, progress=progress, report=report
    )


def annotate(
    stack: StackLike,
    source: PathLike | None = None,
    *,
    labels: str | None = None,
    slices: Sequence[int | str] = (),
    role: Role | None = None,
    mapping: str | Mapping[int, str] | None = None,
    colours: Sequence[str] | Mapping[str, str] = (),
    dataset: str | None = None,
    merge: bool = False,
    overwrite: bool = False,
) -> Imported:
    """Make annotations of label images of other programs, or of a prediction, as ``monai-app annotate`` does.

    Args:
        stack: the stack, opened or as a path.
        source: label image, or folder of them, one a slice and named by slice.
        labels: name of a label image of the stack, in place of a source.
        slices: the slice of each plane in turn: z from 0, or its name.
        role: what the slices are for, ``"train"`` or ``"test"``; None keeps what they are for, or trains on them.
        mapping: what values mean: ``{1: "pore", 255: "unlabelled"}`` or ``"1=pore,255=unlabelled"``.
        colours: colour that a phase is painted in: ``{"pore": "#20304f"}`` or ``["pore=#20304f"]``.
        dataset: data set to read, where the file (HDF5, OME-Zarr) has several.
        merge: add to annotations: what is unlabelled in the source stays.
        overwrite: replace annotations and roles, or with ``merge`` labels that differ.

    Returns:
        The stack, opened again, with the slices whose annotations were set and those that had them already.

    Raises:
        ConfigError: source and labels are given, or none; or mapping and colours are not understood.
        StackError: the files cannot be read.
        AnnotationError: labels fit no slice, values have no meaning, or annotations may not be replaced.
    """
    found = opened(stack)
    if (source is None) == (labels is None):
        raise ConfigError(
            "labels come from files or from the stack; give --from PATH or --from-labels NAME, and not both"
        )
    if isinstance(mapping, Mapping):
        mapping = ",".join(f"{value}={phase}" for value, phase in mapping.items())
    if isinstance(colours, Mapping):
        colours = [f"{phase}={colour}" for phase, colour in colours.items()]
    if source is not None:
        return import_annotations(
            found,
            Path(source),
            slices=slices,
            role=role,
            meaning=Meaning.parse(found.phases, mapping, colours),
            dataset=dataset,
            merge=merge,
            overwrite=overwrite,
        )
    if mapping is not None or colours or dataset is not None:
        raise ConfigError(
            "--mapping, --colour and --dataset are of files, and labels of the stack name their phases; leave them out"
        )
    return import_labels(found, str(labels), slices, role=role, merge=merge, overwrite=overwrite)
