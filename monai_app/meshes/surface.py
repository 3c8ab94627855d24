"""Surfaces between the labels of a volume."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

_ITERATIONS, _PASS_BAND = 20, 0.05
"""Of the smoothing: bumps of a few voxels go, and volumes stay."""


@dataclass(frozen=True, eq=False)
class Surface:
    """Triangles between phases, each boundary once.

    Attributes:
        points: (N, 3) x, y, z.
        triangles: (M, 3) indices of points; normals point out of the first side.
        sides: (M, 2) the phases on both sides; 0 is no phase, and never the first.
    """

    points: npt.NDArray[np.float32]
    triangles: npt.NDArray[np.int64]
    sides: npt.NDArray[np.uint8]

    def phases(self) -> list[int]:
        """The values of the phases that it bounds, ascending."""
        return [int(value) for value in np.unique(self.sides) if value]

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
    Computer Graphics Techniques 11(1), 2022, https://jcgt.org/published/0011/01/03/. Smoothing, which keeps volumes:
    Taubin, Zhang and Golub, *Optimal Surface Smoothing as Filter Design*, 1996, doi:10.1007/BFb0015544. What bounds the
    volume stays flat.

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
    for number, value in enumerate(np.flatnonzero(np.bincount(volume.ravel(), minlength=256))[1:]):
        nets.SetValue(number, int(value))
    nets.SetSmoothing(False)
    nets.SetOutputMeshTypeToTriangles()
    nets.Update()
    mesh: Any = nets.GetOutput()
    if not mesh.GetNumberOfPolys():
        return Surface(np.empty((0, 3), np.float32), np.empty((0, 3), np.int64), np.empty((0, 2), np.uint8))
    points = vtk_to_numpy(mesh.GetPoints().GetData())
    triangles = vtk_to_numpy(mesh.GetPolys().GetConnectivityArray()).reshape(-1, 3)
    sides = vtk_to_numpy(mesh.GetCellData().GetArray("BoundaryLabels")).astype(np.uint8)
    return Surface(_smoothed(mesh, points, volume.shape) if smooth else points, triangles, sides)


def _smoothed(mesh: Any, points: npt.NDArray[np.float32], shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """The points of a mesh, smoothed, but for where they bound the volume: there they stay in its faces."""
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
    smoothed = vtk_to_numpy(sinc.GetOutput().GetPoints().GetData())
    outer = (points < 1) | (points > np.subtract(shape[::-1], 2))
    found: npt.NDArray[np.float32] = np.where(outer, points, smoothed)
    return found
