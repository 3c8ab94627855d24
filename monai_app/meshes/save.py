"""Surfaces of a label image as a mesh file."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from monai_app.domain.phase import Phase
from monai_app.domain.region import Region
from monai_app.errors import ConfigError, StackError
from monai_app.files import atomic_file, check_file_target
from monai_app.meshes.formats import format_of
from monai_app.meshes.surface import Surface, surface_of
from monai_app.meshes.volume import LevelRegion
from monai_app.progress import Progress, silent
from monai_app.stack import Stack
from monai_app.stack.ngff import layout
from monai_app.stack.places import check_outside_stores
from monai_app.stack.saving.source import Source

_TOLERANCE = 0.01
"""Relative change of a phase's volume by smoothing above which a warning is given."""


def save_mesh(
    stack: Stack,
    target: Path,
    labels: str,
    *,
    phase: str | None = None,
    region: Region | None = None,
    level: int | None = None,
    smooth: bool = True,
    overwrite: bool = False,
    report: Callable[[str], None] = lambda line: None,
    progress: Progress = silent,
) -> Path:
    """Write the surfaces of the phases of a finished label image as a mesh, by the writer in `formats.FORMATS`.

    Lengths are micrometres, axes x, y, z as columns, rows and slices; the first voxel of the stack is centred at 0, and
    a region keeps its place. Surfaces are closed where a phase ends with the region, or with what was segmented.

    Args:
        stack: the stack.
        target: the file; its suffix says the format.
        labels: the label image's name.
        phase: the phase whose surface is written, by name; None for all.
        region: the part to take; None for all.
        level: the level of the label image to take; None for the finest of at most `volume.BUDGET` voxels.
        smooth: whether to smooth the steps of voxels.
        overwrite: replace an existing file.
        report: called with what will be done, before it is done, and with a line for every phase whose volume smoothing
            changes by more than 1 %.
        progress: called for every slice that is read.

    Returns:
        The file.

    Raises:
        ConfigError: the target is not a mesh or is in a store, there is no such phase or level, a format that holds one
            phase gets several, the region is too large for the coarsest level, or VTK is not installed.
        StackError: there is no such label image, nothing of the phases in the region, or it was replaced meanwhile.
        TargetExistsError: the file exists.
    """
    target = target.absolute()
    form = format_of(target)
    check_outside_stores(target)
    check_file_target(target, overwrite=overwrite)
    _check_vtk()
    if labels == layout.ANNOTATION:
        raise ConfigError("annotations are slices, and a surface goes through all slices; name a label image")
    source = Source.open(stack, labels)
    phases = _phases(source.phases or (), phase, target)
    part = region or Region.whole(stack.shape)
    part = replace(part, z=source.filled_span(part.z, "empty in the mesh"))
    chosen = LevelRegion.choose(part, stack.shape, level)
    report(_told(chosen, stack))
    volume = chosen.read(source, progress)
    surface = surface_of(volume, smooth=smooth)
    there = {value: phases[value] for value in surface.phases() if value in phases}
    if not there:
        names = ", ".join(each.name for each in phases.values())
        raise StackError(f"labels {labels!r} hold no voxel of {names} in what was asked for; choose another part")
    for line in _changed_volumes(volume, surface, there):
        report(line)
    surface = replace(surface, points=chosen.to_micrometres(surface.points, stack.voxel_nm))
    with atomic_file(target) as partial:
        form.write(partial, surface, there)
        source.check_unreplaced()
    return target


def _check_vtk() -> None:
    try:
        import vtkmodules.vtkFiltersCore  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f"meshes need a package that is not installed ({error}); pip install 'monai-app[meshes]'"
        ) from error


def _phases(phases: tuple[Phase, ...], name: str | None, target: Path) -> dict[int, Phase]:
    """The phases that are meant, by value."""
    names = [phase.name for phase in phases]
    if name is not None and name not in names:
        raise ConfigError(f"--phase {name!r} is unknown; the phases are {', '.join(names)}: choose one of them")
    if name is None and len(phases) > 1 and not format_of(target).several:
        raise ConfigError(
            f"{target.name}: {target.suffix} holds the surface of one phase; name it (--phase {'|'.join(names)}), or "
            "choose .ply, .obj or .vtp for all"
        )
    return {phase.value: phase for phase in phases if name in (None, phase.name)}


def _changed_volumes(volume: npt.NDArray[np.uint8], surface: Surface, phases: Mapping[int, Phase]) -> Iterator[str]:
    """Describe for which phases smoothing changed the volume."""
    voxels, enclosed = np.bincount(volume.ravel(), minlength=256), surface.volumes()
    for value, phase in phases.items():
        if abs(part := enclosed[value] / voxels[value] - 1) > _TOLERANCE:
            change = f"{abs(part):.1%} {'less' if part < 0 else 'more'}"
            yield f"{phase.name}: its surface encloses {change} than its labels; --no-smooth keeps volumes"


def _told(chosen: LevelRegion, stack: Stack) -> str:
    z, y, x = stack.voxel_nm
    rows, columns = chosen.rect.shape
    size = f"{z:g} x {y * chosen.step:g} x {x * chosen.step:g} nm"
    return f"level {chosen.level}: {len(chosen.region.z)} x {rows} x {columns} voxels of {size}"
