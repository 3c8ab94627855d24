"""Create and annotate a stack."""

from collections.abc import Mapping, Sequence

from monai_app.api.given import PathLike, Report, StackLike, ignore, opened, path_of, several
from monai_app.api.segmentation import Labels, labels_name
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
        align: what is aligned, and how; None means no alignment.
        progress: called for every slice.
        report: called with messages about what was found and done, line by line.

    Returns:
        The stack.

    Raises:
        StackError: images are missing, damaged or do not fit each other.
        ConfigError: the description is invalid or has open questions.
        AnnotationError: annotations do not fit the images.
        TargetExistsError: the target exists, and ``overwrite`` is false.
    """
    return ingest_sample(
        path_of(description, "description"),
        path_of(target, "target"),
        overwrite=overwrite,
        align=align,
        progress=progress,
        report=report,
    )


def annotate(
    stack: StackLike,
    source: PathLike | None = None,
    *,
    labels: str | Labels | None = None,
    slices: int | str | Sequence[int | str] = (),
    role: Role | None = None,
    mapping: str | Mapping[int, str] | None = None,
    colours: str | Sequence[str] | Mapping[str, str] = (),
    dataset: str | None = None,
    merge: bool = False,
    overwrite: bool = False,
) -> Imported:
    """Import label images of other programs, or a prediction, as annotations, as ``monai-app annotate`` does.

    Args:
        stack: the stack, opened or as a path.
        source: label image, or folder with one label image per slice, named by slice.
        labels: label image of the stack, or its name, instead of a source.
        slices: the slice of each plane, in order, or one slice: z counted from 0, or its name.
        role: ``"train"`` or ``"test"``; None keeps the role of annotated slices and means ``"train"`` for others.
        mapping: meaning of the values: ``{1: "pore", 255: "unlabelled"}`` or ``"1=pore,255=unlabelled"``.
        colours: colour in which a phase is painted: ``{"pore": "#20304f"}`` or ``["pore=#20304f"]``.
        dataset: dataset to read if the file (HDF5, OME-Zarr) has several.
        merge: keep existing labels where the source has none.
        overwrite: replace annotations and roles; with ``merge``, replace labels that differ.

    Returns:
        The reopened stack, the slices whose annotations were set, and those whose annotations were unchanged.

    Raises:
        ConfigError: both or neither of source and labels are given, mapping or colours are invalid, or the labels are
            of another stack.
        StackError: the files cannot be read.
        AnnotationError: labels fit no slice, a value has no meaning, or annotations exist and may not be replaced.
    """
    found = opened(stack)
    if (source is None) == (labels is None):
        raise ConfigError(
            "labels come from files or from the stack; give either source (--from PATH) or labels (--from-labels NAME)"
        )
    if isinstance(mapping, Mapping):
        mapping = ",".join(f"{value}={phase}" for value, phase in mapping.items())
    if isinstance(colours, Mapping):
        colours = [f"{phase}={colour}" for phase, colour in colours.items()]
    slices = several(slices)
    if source is not None:
        return import_annotations(
            found,
            path_of(source, "source"),
            slices=slices,
            role=role,
            meaning=Meaning.parse(found.phases, mapping, several(colours)),
            dataset=dataset,
            merge=merge,
            overwrite=overwrite,
        )
    assert labels is not None  # checked above
    if mapping is not None or colours or dataset is not None:
        raise ConfigError(
            "mapping, colours and dataset (--mapping, --colour, --dataset) apply only to files; leave them out for a "
            "label image of the stack"
        )
    return import_labels(found, labels_name(labels, found), slices, role=role, merge=merge, overwrite=overwrite)
