"""Meshes of a label image, read back by trimesh and VTK."""

import logging
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from typer.testing import CliRunner
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkIOXML import vtkXMLPolyDataReader

from monai_app.cli import app
from monai_app.domain.region import Rect, Region
from monai_app.errors import AppError, ConfigError, StackError, TargetExistsError
from monai_app.meshes import is_mesh, save_mesh, volume
from monai_app.stack import Phase, Stack, ingest
from monai_app.stack.label_images.arrays import LABELS
from tests.stack.samples import SampleFolder, pixels

SHAPE = (10, 20, 520)
VOXEL_UM = np.array([0.005, 0.01, 0.02])
"""x, y, z, of `SampleFolder`."""

PHASES = (Phase(value=1, name="pore", rgb=(255, 0, 51)), Phase(value=2, name="C-S-H: dünn", rgb=(0, 102, 204)))
BOX = (slice(2, 8), slice(4, 16), slice(120, 200))


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """Labels ``net``: a box of phase 2 in phase 1; ``part``: the same, segmented in slices 2, 3 and 5 alone."""
    sample = SampleFolder(tmp_path_factory.mktemp("meshes"))
    sample.detector("ICE", pixels(*SHAPE))
    made = ingest(sample.write(), sample.target)
    labels = np.ones(SHAPE, np.uint8)
    labels[BOX] = 2
    made.write_labels("net", labels, phases=PHASES)
    with made.write_result("part", fingerprint={}, phases=PHASES) as result:
        for z in (2, 3, 5):
            result.arrays.write(z, Rect.whole(SHAPE), {LABELS: labels[z]})
        result.finish((2, 3, 5))
    return made


def box_um(*, low: tuple[int, int, int] = (120, 4, 2), high: tuple[int, int, int] = (200, 16, 8)) -> Any:
    """The corners of a box of voxels, x, y, z; the first voxel of the stack is centred at 0."""
    return np.array([np.subtract(low, 0.5) * VOXEL_UM, np.subtract(high, 0.5) * VOXEL_UM])


def read(path: Path) -> Any:
    return trimesh.load(path, process=False)


@pytest.mark.parametrize("suffix", ["ply", "stl", "obj"])
def test_another_program_sees_a_closed_surface_at_its_place(stack: Stack, tmp_path: Path, suffix: str) -> None:
    path = save_mesh(stack, tmp_path / f"box.{suffix}", "net", phase=PHASES[1].name, smooth=False)
    mesh = read(path)
    mesh.merge_vertices()
    assert mesh.is_watertight
    assert mesh.is_winding_consistent
    np.testing.assert_allclose(mesh.bounds, box_um(), atol=1e-5)
    assert mesh.volume == pytest.approx(6 * 12 * 80 * VOXEL_UM.prod(), rel=0.01)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_ply_has_colours_names_and_phases(stack: Stack, tmp_path: Path) -> None:
    mesh = read(save_mesh(stack, tmp_path / "phases.ply", "net"))
    for phase in PHASES:
        faces = mesh.faces[mesh.metadata["_ply_raw"]["face"]["data"]["phase"].ravel() == phase.value]
        assert np.unique(mesh.visual.vertex_colors[faces.ravel(), :3], axis=0).tolist() == [list(phase.rgb)]
        part = trimesh.Trimesh(mesh.vertices, faces, process=True)
        assert part.is_watertight
        voxels = 6 * 12 * 80 if phase.value == 2 else np.prod(SHAPE) - 6 * 12 * 80
        assert part.volume == pytest.approx(voxels * VOXEL_UM.prod(), rel=0.02)
    head = (tmp_path / "phases.ply").read_bytes().split(b"end_header")[0].decode()
    assert "comment phase 2 #0066cc C-S-H: dünn\n" in head


def test_obj_has_an_object_a_phase(stack: Stack, tmp_path: Path) -> None:
    scene = trimesh.load_scene(save_mesh(stack, tmp_path / "a.obj", "net"), process=False, split_objects=True)
    assert scene.geometry.keys() == {phase.name for phase in PHASES}
    for phase in PHASES:
        part: Any = scene.geometry[phase.name]
        assert part.is_watertight
        assert part.volume > 0
        assert np.unique(part.visual.vertex_colors[:, :3], axis=0).tolist() == [list(phase.rgb)]


def test_vtp_has_every_boundary_once(stack: Stack, tmp_path: Path) -> None:
    reader = vtkXMLPolyDataReader()
    reader.SetFileName(str(save_mesh(stack, tmp_path / "phases.vtp", "net", smooth=False)))
    reader.Update()
    mesh: Any = reader.GetOutput()
    sides = vtk_to_numpy(mesh.GetCellData().GetArray("phases"))
    assert np.unique(sides, axis=0).tolist() == [[1, 0], [1, 2]]
    points = vtk_to_numpy(mesh.GetPoints().GetData())
    triangles = vtk_to_numpy(mesh.GetPolys().GetConnectivityArray()).reshape(-1, 3)
    between = trimesh.Trimesh(points, triangles[sides[:, 1] == 2])
    np.testing.assert_allclose(between.bounds, box_um(), atol=1e-5)
    assert between.volume < 0  # out of pore, into the box
    names = mesh.GetFieldData().GetAbstractArray("phase_names")
    assert [names.GetValue(number) for number in range(2)] == [phase.name for phase in PHASES]


def test_the_finest_level_within_the_budget_is_used_and_printed(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pixels of a level are every second pixel: the box begins and ends with them."""
    told: list[str] = []
    monkeypatch.setattr(volume, "BUDGET", 30_000)
    mesh = read(save_mesh(stack, tmp_path / "a.ply", "net", phase=PHASES[1].name, smooth=False, report=told.append))
    assert told == ["level 1: 10 x 10 x 260 voxels of 20 x 20 x 10 nm"]
    np.testing.assert_allclose(mesh.bounds, box_um() - [[*VOXEL_UM[:2] / 2, 0]], atol=1e-5)
    whole = read(save_mesh(stack, tmp_path / "b.ply", "net", phase="pore", smooth=False))
    np.testing.assert_allclose(whole.bounds, box_um(low=(0, 0, 0), high=(520, 20, 10)), atol=1e-5)
    save_mesh(stack, tmp_path / "c.ply", "net", level=0, report=told.append)
    assert told[-1].startswith("level 0: 10 x 20 x 520 voxels")
    monkeypatch.setattr(volume, "BUDGET", 20_000)
    with pytest.raises(ConfigError, match=r"level 1, the coarsest, has .*--z, --y, --x"):
        save_mesh(stack, tmp_path / "d.ply", "net")


def test_a_region_keeps_its_place_and_is_closed(stack: Stack, tmp_path: Path) -> None:
    region = Region.parse("4:", ":10", "150:301", SHAPE)
    for level in (0, 1):
        path = save_mesh(
            stack, tmp_path / f"{level}.stl", "net", phase=PHASES[1].name, region=region, level=level, smooth=False
        )
        mesh = read(path)
        mesh.merge_vertices()
        assert mesh.is_watertight
        expected = box_um(low=(150, 4, 4), high=(200, 10, 8))
        np.testing.assert_allclose(mesh.bounds, expected, atol=level * 0.006 + 1e-5)


def test_slices_that_were_not_segmented_are_empty_and_listed(
    stack: Stack, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        mesh = read(save_mesh(stack, tmp_path / "part.stl", "part", phase=PHASES[1].name, smooth=False))
    assert caplog.messages == ["labels 'part': not segmented, and empty in the mesh: slice_4"]
    mesh.merge_vertices()
    assert sorted(round(float(part.extents[2]), 3) for part in mesh.split()) == [0.02, 0.04]


def test_volumes_that_smoothing_changes_are_reported(stack: Stack, tmp_path: Path) -> None:
    labels = np.full(SHAPE, 1, np.uint8)
    labels[3:6, 5:8, 5:500:10] = labels[3:6, 5:8, 6:500:10] = labels[3:6, 5:8, 7:500:10] = 2
    stack.write_labels("cubes", labels, phases=PHASES)
    told: list[str] = []
    for options in ({}, {"smooth": False}, {"phase": "pore"}):
        save_mesh(stack, tmp_path / "a.ply", "cubes", overwrite=True, report=told.append, **options)
    lines = [line for line in told if not line.startswith("level")]
    assert lines == ["C-S-H: dünn: its surface encloses 4.6% less than its labels; --no-smooth keeps volumes"]


REFUSED: list[tuple[str, dict[str, Any], type[AppError], str]] = [
    ("a.foo", {}, ConfigError, r"no mesh has the suffix '.foo'; choose .ply, .stl, .obj, .vtp"),
    ("noext", {}, ConfigError, "no mesh has the suffix ''"),
    ("a.stl", {}, ConfigError, r"holds the surface of one phase; name it \(--phase pore"),
    ("a.ply", {"phase": "air"}, ConfigError, "'air' is unknown; the phases are pore"),
    ("a.ply", {"level": 2}, ConfigError, "the levels are 0 to 1"),
    ("a.ply", {"level": -1}, ConfigError, "the levels are 0 to 1"),
    ("a.ply", {"labels": "other"}, StackError, "no finished label image 'other'"),
    ("a.ply", {"labels": "annotation"}, ConfigError, "name a label image"),
    ("a.ply", {"labels": "part", "region": Region.parse("6:", None, None, SHAPE)}, StackError, "was segmented, only"),
    (
        "a.ply",
        {"phase": PHASES[1].name, "region": Region.parse("0", None, None, SHAPE)},
        StackError,
        "hold no voxel of C-S-H",
    ),
]


@pytest.mark.parametrize(("name", "options", "error", "says"), REFUSED)
def test_what_cannot_be_meshed_is_refused(
    stack: Stack, tmp_path: Path, name: str, options: dict[str, Any], error: type[AppError], says: str
) -> None:
    with pytest.raises(error, match=says):
        save_mesh(stack, tmp_path / name, **{"labels": "net", **options})
    assert not list(tmp_path.iterdir())


def test_targets_are_those_of_all_exports(stack: Stack, tmp_path: Path) -> None:
    assert is_mesh(Path("A.PLY"))
    assert not is_mesh(Path("a.vtk"))
    (tmp_path / "a.ply").touch()
    with pytest.raises(TargetExistsError, match="--overwrite"):
        save_mesh(stack, tmp_path / "a.ply", "net")
    with pytest.raises(ConfigError, match="lies in the store"):
        save_mesh(stack, stack.path / "a.ply", "net")


def test_without_vtk_the_extra_is_named(stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vtkmodules.vtkFiltersCore", None)
    with pytest.raises(ConfigError, match=r"pip install 'monai-app\[meshes\]'"):
        save_mesh(stack, tmp_path / "a.ply", "net")


def test_the_command_line_exports_meshes(stack: Stack, tmp_path: Path) -> None:
    target = str(tmp_path / "a.stl")
    words = ["labels", str(stack.path), "export", "net", "-o", target, "--phase", "pore", "--no-smooth"]
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    assert "level 0: 10 x 20 x 520 voxels of 20 x 10 x 5 nm\n" in done.stdout
    assert f"saved: {target}\n" in done.stdout
    np.testing.assert_allclose(read(tmp_path / "a.stl").bounds, box_um(low=(0, 0, 0), high=(520, 20, 10)), atol=1e-5)
