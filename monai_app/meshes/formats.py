"""The formats of meshes, by suffix; a new one is a line in `FORMATS`.

PLY, STL and OBJ by hand: VTK's writers know neither names of phases nor properties of faces, and do not say that the
disk is full.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from monai_app.domain.phase import Phase
from monai_app.errors import ConfigError
from monai_app.meshes.surface import Surface

Phases = Mapping[int, Phase]
"""Phases by value whose surfaces are written."""


@dataclass(frozen=True)
class Format:
    """A format of meshes.

    Args:
        write: writes surfaces of phases.
        several: whether it distinguishes several phases.
    """

    write: Callable[[Path, Surface, Phases], None]
    several: bool = True


def is_mesh(path: Path) -> bool:
    """Whether a file is a mesh by its name."""
    return path.suffix.casefold() in FORMATS


def write_ply(path: Path, surface: Surface, phases: Phases) -> None:
    """Write PLY, binary: the closed surface of each phase, vertices in its colour, faces with a property ``phase``."""
    parts = {value: surface.around(value) for value in phases}
    header = [
        *("ply", "format binary_little_endian 1.0", "comment SPACE=LPS", "comment unit micrometre"),
        *(f"comment phase {phase.value} {phase.colour} {phase.name}" for phase in phases.values()),
        f"element vertex {sum(len(part.points) for part in parts.values())}",
        *(f"property float {axis}" for axis in "xyz"),
        *(f"property uchar {colour}" for colour in ("red", "green", "blue")),
        f"element face {sum(len(part.triangles) for part in parts.values())}",
        *("property list uchar int vertex_indices", "property uchar phase", "end_header", ""),
    ]
    with path.open("wb") as handle:
        handle.write("\n".join(header).encode())
        for value, part in parts.items():
            vertices = np.empty(len(part.points), [("xyz", "<f4", 3), ("rgb", "u1", 3)])
            vertices["xyz"], vertices["rgb"] = part.points, phases[value].rgb
            handle.write(vertices.tobytes())
        first = 0
        for value, part in parts.items():
            faces = np.empty(len(part.triangles), [("count", "u1"), ("indices", "<i4", 3), ("phase", "u1")])
            faces["count"], faces["indices"], faces["phase"] = 3, part.triangles + first, value
            handle.write(faces.tobytes())
            first += len(part.points)


def write_stl(path: Path, surface: Surface, phases: Phases) -> None:
    """Write STL, binary: the closed surface of one phase."""
    (value,) = phases
    part = surface.around(value)
    corners = part.points[part.triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    facets = np.zeros(len(corners), [("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
    facets["normal"] = np.divide(normals, lengths, out=np.zeros_like(normals), where=lengths > 0)
    facets["corners"] = corners
    with path.open("wb") as handle:
        handle.write("SPACE=LPS unit micrometre".ljust(80).encode())
        handle.write(np.array(len(facets), "<u4").tobytes())
        handle.write(facets.tobytes())


def write_obj(path: Path, surface: Surface, phases: Phases) -> None:
    """Write OBJ: an object for every phase, its closed surface, vertices in its colour."""
    first = 1
    with path.open("w", encoding="utf8", newline="\n") as handle:
        handle.write("# SPACE=LPS\n# unit micrometre\n")
        for value, phase in phases.items():
            part = surface.around(value)
            handle.write(f"o {phase.name}\n")
            colour = " ".join(f"{channel / 255:.4g}" for channel in phase.rgb)
            np.savetxt(handle, part.points, f"v %.7g %.7g %.7g {colour}")
            np.savetxt(handle, part.triangles + first, "f %d %d %d")
            first += len(part.points)


def write_vtp(path: Path, surface: Surface, phases: Phases) -> None:
    """Write VTK XML PolyData: of all phases each boundary once, with the phases of both sides; or one closed surface.

    Cell data ``phases`` are the phases on both sides, 0 for none; normals point out of the first. Field data
    ``phase_values``, ``phase_names`` and ``phase_rgb`` say what the values mean.
    """
    from vtkmodules.util.numpy_support import numpy_to_vtk
    from vtkmodules.vtkCommonCore import vtkPoints, vtkStringArray
    from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData
    from vtkmodules.vtkIOXML import vtkXMLPolyDataWriter

    part = surface.around(*phases) if len(phases) == 1 else surface
    points, triangles, mesh = vtkPoints(), vtkCellArray(), vtkPolyData()
    points.SetData(numpy_to_vtk(part.points))
    triangles.SetData(3, numpy_to_vtk(part.triangles.ravel()))
    mesh.SetPoints(points)
    mesh.SetPolys(triangles)
    names = vtkStringArray()
    names.SetName("phase_names")
    for phase in phases.values():
        names.InsertNextValue(phase.name)
    values, rgb = np.array(list(phases), np.uint8), np.array([phase.rgb for phase in phases.values()], np.uint8)
    for data, name, numbers in (
        (mesh.GetCellData(), "phases", part.sides),
        (mesh.GetFieldData(), "phase_values", values),
        (mesh.GetFieldData(), "phase_rgb", rgb),
    ):
        array = numpy_to_vtk(np.ascontiguousarray(numbers), deep=True)
        array.SetName(name)
        data.AddArray(array)
    mesh.GetFieldData().AddArray(names)
    writer = vtkXMLPolyDataWriter()
    writer.SetInputData(mesh)
    writer.SetWriteToOutputString(True)
    writer.Write()
    path.write_text(writer.GetOutputString(), encoding="utf8")


FORMATS = {
    ".ply": Format(write_ply),
    ".stl": Format(write_stl, several=False),
    ".obj": Format(write_obj),
    ".vtp": Format(write_vtp),
}
"""All formats, by suffix."""


def format_of(path: Path) -> Format:
    """The format of a mesh file.

    Raises:
        ConfigError: the suffix is none of a mesh.
    """
    if not is_mesh(path):
        raise ConfigError(f"{path}: no mesh has the suffix {path.suffix!r}; choose {', '.join(FORMATS)}")
    return FORMATS[path.suffix.casefold()]
