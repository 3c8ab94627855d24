"""Surfaces between the labels of a volume."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

_ITERATIONS, _PASS_BAND = 20, 0.05
"""Of the smoothing: bumps of a few voxels go, and volumes of what is thick stay."""

_CORE, _REACH = 3, 5
"""Voxels across: a phase is thick within the cubes of ``_REACH`` around the middles of its cubes of ``_CORE``."""

_AT_ONCE = 1_000_000
"""Triangles whose volumes are computed at a time."""


@dataclass(frozen=True, eq=False)
class Surface:
    """Triangles between phases, each boundary once.

    Attributes:
        points: (N, 3) x, y, z.
        triangles: (M, 3) indices of points; normals point out of the first side.
        sides: (M, 2) the phases on both sides; 0 is not a phase, and never the first.
    """

    points: npt.NDArray[np.float32]
    triangles: npt.NDArray[np.int64]
    sides: npt.NDArray[np.uint8]

    def phases(self) -> list[int]:
        """The values of the phases that it bounds, ascending."""
        return [int(value) for value in np.unique(self.sides) if value]

    def volumes(self) -> npt.NDArray[np.float64]:
        """(256,) the volume that the surface of each phase encloses, by value."""
        found = np.zeros(256)
        for first in range(0, len(self.triangles), _AT_ONCE):
            part = slice(first, first + _AT_ONCE)
            a, b, c = np.moveaxis(self.points[self.triangles[part]].astype(np.float64), 1, 0)
            cones = np.einsum("ij,ij->i", a, np.cross(b, c)) / 6
            front, back = self.sides[part].T
            found += np.bincount(front, cones, 256) - np.bincount(back, cones, 256)
        return found

    def around(self, phase: int) -> "Surface":
        """The closed surface of one phase, whose normals point outwards, and the points that it needs."""
        front, back = (self.sides == phase).T
        triangles = np.concatenate([self.triangles[front], self.triangles[back][:, ::-1]])
        sides = np.concatenate([self.sides[front], self.sides[back][:, ::-1]])
        used, indices = np.unique(triangles, return_inverse=True)
        return Surface(self.points[used], indices.reshape(-1, 3), sides)


def surface_of(volume: npt.NDArray[np.uint8], *, smooth: bool) -> Surface:
    """Find the surfaces of all labels by surface nets, in indices of the volume.

    Each face of voxels between two labels gives two triangles whose corners lie in the middle of eight voxels. Surface
    nets: Frisken, *SurfaceNets for Multi-Label Segmentations with Preservation of Sharp Boundaries*, Journal of
    Computer Graphics Techniques 11(1), 2022, https://jcgt.org/published/0011/01/03/. Smoothing: Taubin, Zhang and
    Golub, *Optimal Surface Smoothing as Filter Design*, 1996, doi:10.1007/BFb0015544. It makes thin things vanish, so
    what is thinner than three voxels keeps its steps; and what bounds the volume stays flat.

    Args:
        volume: (slices, rows, columns), 0 around all labels.
        smooth: whether to smooth; without, surfaces are those of voxels, about 1.5 times as large.
    """
    from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
    from vtkmodules.vtkCommonDataModel import vtkImageData
    from vtkmodules.vtkFiltersCore import vtkSurfaceNets3D

    image = vtkImageData()
    image.SetDimensions(*volume.shape[::-1])
    image.GetPointData().SetScalars(numpy_to_vtk(volume.ravel()))
    nets = vtkSurfaceNets3D()
    nets.SetInputData(image)
    phases = [int(value) for value in np.flatnonzero(np.bincount(volume.ravel())) if value]
    for number, value in enumerate(phases):
        nets.SetValue(number, value)
    nets.SetSmoothing(False)
    nets.SetOutputMeshTypeToTriangles()
    nets.Update()
    mesh: Any = nets.GetOutput()
    if not mesh.GetNumberOfPolys():
        return Surface(np.empty((0, 3), np.float32), np.empty((0, 3), np.int64), np.empty((0, 2), np.uint8))
    points = vtk_to_numpy(mesh.GetPoints().GetData())
    triangles = vtk_to_numpy(mesh.GetPolys().GetConnectivityArray()).reshape(-1, 3)
    sides = vtk_to_numpy(mesh.GetCellData().GetArray("BoundaryLabels")).astype(np.uint8)
    if smooth:
        fixed = (points < 1) | (points > np.subtract(volume.shape[::-1], 2)) | _beside(points, _thin(volume, phases))
        points = np.where(fixed, points, _smoothed(mesh))
    return Surface(points, triangles, sides)


def _smoothed(mesh: Any) -> npt.NDArray[np.float32]:
    """The points of a mesh, smoothed."""
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkFiltersCore import vtkWindowedSincPolyDataFilter

    sinc = vtkWindowedSincPolyDataFilter()
    sinc.SetInputData(mesh)
    sinc.SetNumberOfIterations(_ITERATIONS)
    sinc.SetPassBand(_PASS_BAND)
    sinc.SetNormalizeCoordinates(True)
    sinc.SetFeatureEdgeSmoothing(False)
    sinc.SetNonManifoldSmoothing(True)
    sinc.Update()
    found: npt.NDArray[np.float32] = vtk_to_numpy(sinc.GetOutput().GetPoints().GetData())
    return found


def _beside(points: npt.NDArray[np.float32], voxels: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """(N, 1) whether one of the eight voxels around each point is among these."""
    x, y, z = np.floor(points).astype(np.int32).T
    found = np.zeros(len(points), bool)
    for dz, dy, dx in product((0, 1), repeat=3):
        found |= voxels[z + dz, y + dy, x + dx]
    return found[:, None]


def _thin(volume: npt.NDArray[np.uint8], phases: Sequence[int]) -> npt.NDArray[np.bool_]:
    """Voxels of phases that lie in no `_REACH` around a `_CORE` of their phase, which goes on behind the last voxel."""
    inside = volume[1:-1, 1:-1, 1:-1]
    even = ndimage.minimum_filter(inside, _CORE, mode="nearest") == ndimage.maximum_filter(
        inside, _CORE, mode="nearest"
    )
    thin: npt.NDArray[np.bool_] = inside > 0
    for phase in phases:
        own = inside == phase
        thin &= ~own | ~ndimage.maximum_filter(own & even, _REACH, mode="nearest")
    return np.pad(thin, 1)
