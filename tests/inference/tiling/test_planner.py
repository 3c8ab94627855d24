"""The plans that are chosen for the memory there is, and what they are said to cost."""

import time
from collections.abc import Iterator
from functools import cache
from math import prod
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_app.domain.region import Region
from monai_app.errors import ConfigError
from monai_app.inference.compute import TileNetwork
from monai_app.inference.outputs import Outputs
from monai_app.inference.tiling import planner as planning
from monai_app.inference.tiling.plan import Plan, Tile
from monai_app.inference.tiling.planner import Estimate, Planner
from monai_app.inference.tiling.request import Request
from tests.inference.examples import STRIDE, model_of

SHAPE, HELD, HALO = (9, 1500, 2500), 300 * 2**20, 32
LABELS, UNASKED = Outputs(), Request()
TWO = "0:2"
"""Two slices, so that few plans are possible and tried."""


@cache
def tile_network(kind: str) -> TileNetwork:
    return TileNetwork(model_of(kind), torch.device("cpu"))


@pytest.fixture(autouse=True, scope="module")
def process() -> Iterator[None]:
    """A process of 300 MiB on a machine that has 2 GiB to give, half of which are used unasked."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(planning, "held_bytes", lambda: HELD)
        monkeypatch.setattr(planning, "free_bytes", lambda device: 2 * 2**30)
        yield


def planner_of(kind: str, shape: tuple[int, int, int] = SHAPE, outputs: Outputs = LABELS) -> Planner:
    return Planner(tile_network(kind), shape, 1, outputs)


def choose(planner: Planner, request: Request = UNASKED, z: str | None = None, **options: Any) -> Plan:
    return planner.choose(Region.parse(z, None, None, planner.shape), HALO, request, **options)


def area(plan: Plan) -> int:
    return max(prod(tile.read.shape) for tile in plan.tiles)


@pytest.mark.parametrize("kind", STRIDE)
def test_a_plan_fits_into_the_memory_and_takes_smaller_tiles_for_less(kind: str) -> None:
    planner = planner_of(kind)
    unasked = choose(planner, z=TWO)
    assert planner.bytes(unasked) <= 2**30
    areas = [area(unasked)]
    for megabytes in (1000, 400, 200, 100, 50, 30):
        memory = HELD + megabytes * 10**6
        try:
            plan = choose(planner, Request(memory=memory), z=TWO)
        except ConfigError:
            break
        assert HELD + planner.bytes(plan) <= memory
        assert (plan.shape, plan.halo, plan.stride) == (SHAPE, HALO, STRIDE[kind])
        areas.append(area(plan))
    assert areas == sorted(areas, reverse=True)
    assert len(set(areas)) > 2


@pytest.mark.parametrize("kind", STRIDE)
def test_too_little_memory_is_refused_with_what_would_do(kind: str) -> None:
    planner = planner_of(kind)
    with pytest.raises(
        ConfigError, match=r"memory 301 MiB: the smallest tile needs (\d+) MiB; .* \(--memory\)"
    ) as info:
        choose(planner, Request(memory=HELD + 2**20), z=TWO)
    needed = int(str(info.value).split("needs ")[1].split()[0])
    choose(planner, Request(memory=(needed + 1) * 2**20), z=TWO)
    with pytest.raises(ConfigError, match=r"give a smaller tile \(--tile ROWS,COLUMNS\)"):
        choose(planner, Request(memory=(needed - 1) * 2**20), z=TWO)


def test_maps_fit_into_the_memory_of_a_gpu_and_the_rest_into_the_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    free = {"cpu": 2**31, "cuda": 2**31}
    monkeypatch.setattr(planning, "free_bytes", lambda device: free[device.type])
    network = TileNetwork(model_of("sensor3d"), torch.device("cpu"))
    network.device = torch.device("cuda")
    planner = Planner(network, SHAPE, 1, LABELS)
    large = choose(planner)
    assert large.stripe == 256
    # Too little for the maps, were they on the host.
    assert choose(planner, Request(memory=HELD + planner.bytes(large) - 1)) == large
    needed = [planner.bytes(large)]
    for free["cuda"] in (2**28, 2**26):
        needed.append(planner.bytes(choose(planner)))
    assert needed == sorted(set(needed), reverse=True)
    free["cuda"] = 2**20
    with pytest.raises(
        ConfigError, match=r"memory of cuda 0 MiB: .* needs .* free some or give a smaller tile \(--tile"
    ):
        choose(planner)
    free["cuda"] = 2**31
    with pytest.raises(ConfigError, match=r"memory 300 MiB: .* allow more \(--memory\)"):
        choose(planner, Request(memory=HELD))


@pytest.mark.parametrize("kind", STRIDE)
def test_a_tile_that_is_named_is_kept(kind: str) -> None:
    planner = planner_of(kind)
    for tile in ((64, 64), (1024, 512), (4096, 8192)):
        assert choose(planner, Request(tile)).tile == tile  # whatever it needs
    smallest = HELD + planner.bytes(choose(planner, Request((64, 64)), single=True))
    assert choose(planner, Request((64, 64), smallest)).tile == (64, 64)
    with pytest.raises(ConfigError, match=r"memory .* MiB: the smallest tile needs .* give a smaller tile"):
        choose(planner, Request((1024, 1024), smallest))
    with pytest.raises(ConfigError, match="tile 64,30: 30 must be a multiple of the network's stride"):
        choose(planner, Request((64, 30)))


@pytest.mark.parametrize("kind", STRIDE)
def test_separate_writers_get_tiles_that_share_no_chunk(kind: str) -> None:
    planner = planner_of(kind)
    generous = choose(planner, Request(memory=2**33), processes=2)
    assert generous.chunk_aligned
    scarce = HELD + planner.bytes(choose(planner, Request((512, 512)), single=True))
    assert not choose(planner, Request(memory=scarce), z=TWO).chunk_aligned
    with pytest.raises(ConfigError, match=r"memory .*: the smallest tile needs"):
        choose(planner, Request(memory=scarce), z=TWO, processes=2)
    with pytest.raises(ConfigError, match="tile 512,512: several processes would write to the same chunk"):
        choose(planner, Request((512, 512)), processes=2)
    assert choose(planner, Request((1024, 1024)), processes=2).tile == (1024, 1024)


def test_blocks_are_for_networks_whose_targets_share_work() -> None:
    assert choose(planner_of("sensor3d")).block == 8
    assert choose(planner_of("sensor3d"), z="3:6").block == 4
    assert choose(planner_of("sensor3d"), z="3").block == 1
    assert choose(planner_of("sensor3d"), single=True).block == 1
    assert choose(planner_of("unet")).block == choose(planner_of("BasicUNet bilinear")).block == 1


def test_streamed_tiles_are_as_high_as_the_slice() -> None:
    assert choose(planner_of("unet", (9, 900, 700))).tile == (1024, 1024)
    assert choose(planner_of("sensor3d")).tile[0] == 2048
    assert choose(planner_of("unet", (2, 20000, 100)), Request(memory=2**33)).tile == (4096, 1024)


@settings(max_examples=20, deadline=None)
@given(
    rows=st.integers(1, 1500),
    columns=st.integers(1, 1500),
    z=st.integers(1, 5),
    megabytes=st.integers(60, 600),
    processes=st.sampled_from([0, 2]),
)
def test_any_slice_gets_a_plan_or_a_reason(rows: int, columns: int, z: int, megabytes: int, processes: int) -> None:
    memory = HELD + megabytes * 10**6
    planner, request = planner_of("unet", (z, rows, columns)), Request(memory=memory)
    if processes and HELD + planner.bytes(choose(planner, Request((1024, 1024)))) > memory:
        with pytest.raises(ConfigError, match="MiB: the smallest tile needs"):
            choose(planner, request, processes=2)
        return
    plan = choose(planner, request, processes=processes)
    assert HELD + planner.bytes(plan) <= memory
    assert plan.chunk_aligned or not processes


def test_maps_itemsize_and_blocks_cost_memory() -> None:
    request = Request((1024, 1024))
    small = planner_of("sensor3d")
    one, eight = choose(small, request, single=True), choose(small, request)
    assert small.bytes(one) < small.bytes(eight) < 8 * small.bytes(one)
    assert max(prod(tile.read.shape) for tile in one.tiles) == (1024 + HALO) * (1024 + 2 * HALO)
    written = planner_of("sensor3d", outputs=Outputs("max", True)).bytes(one) - small.bytes(one)
    assert written == 3 * 1024 * (1024 + 2 * HALO) * 4  # of a confidence and three phases, three rows of chunks
    read = Planner(small.network, SHAPE, 2, LABELS).bytes(one) - small.bytes(one)
    assert read == 4 * (1024 + HALO) * (1024 + 2 * HALO) * 2  # four slices of two detectors, a byte more each


@pytest.mark.parametrize("kind", STRIDE)
def test_an_estimate_has_time_and_the_bytes_of_the_result(kind: str) -> None:
    shape = (5, 100, 90)
    for outputs, bytes_per_pixel in ((Outputs(), 1), (Outputs("max"), 2), (Outputs("entropy", True), 5)):
        planner = planner_of(kind, shape, outputs)
        plan = choose(planner, Request((64, 64)), z="1:4")
        estimate = planner.estimate(plan, plan.tiles)
        assert estimate.seconds > 0
        assert estimate.memory == HELD + planner.bytes(plan)
        assert estimate.disk == 3 * 100 * 90 * 4 // 3 * bytes_per_pixel
    assert planner.estimate(plan, []).seconds == 0


def test_the_time_is_measured_when_the_device_has_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    """CUDA only takes orders: without waiting, an estimate would be the time of giving them."""
    planner = planner_of("unet", (3, 100, 90))
    monkeypatch.setattr(planning, "finish", lambda device: time.sleep(0.05))
    estimate = planner.estimate(plan := choose(planner), plan.tiles)
    assert estimate.seconds > 0.05


def test_the_time_is_that_of_the_tiles_to_come(monkeypatch: pytest.MonkeyPatch) -> None:
    planner = planner_of("unet", (5, 100, 90))
    plan = choose(planner, Request((64, 64)))
    monkeypatch.setattr(planner, "_time", lambda *_: 1e-6)
    read = [tile.computed for tile in plan.tiles]
    assert planner.estimate(plan, plan.tiles).seconds == pytest.approx(1e-6 * sum(read))
    assert planner.estimate(plan, plan.tiles[3:]).seconds == pytest.approx(1e-6 * sum(read[3:]))


@pytest.mark.parametrize(
    ("seconds", "timed"),
    [
        (1e-7, [(32, 256)]),  # 4 s in all
        (1e-6, [(32, 256), (128, 2512)]),
        (1e-4, [(32, 256), (128, 256)]),  # 32 s for stripes of the full width
    ],
)
def test_a_calibration_takes_little_of_the_time_that_it_estimates(
    seconds: float, timed: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    planner = planner_of("unet")
    plan, calls = choose(planner, Request((1024, 4096))), list[tuple[int, int]]()

    def record(plan: Plan, tile: Tile, rows: int, columns: int) -> float:
        calls.append((rows, columns))
        return seconds * (2 if len(calls) == 1 else 1)

    monkeypatch.setattr(planner, "_time", record)
    read = sum(tile.computed for tile in plan.tiles)
    assert planner.estimate(plan, plan.tiles).seconds == pytest.approx(seconds * read * (2 if len(timed) == 1 else 1))
    assert calls == timed


def test_an_estimate_is_one_line() -> None:
    line = Estimate(7200.0, 3 * 2**29, 2**28).describe()
    assert "1.5 GiB of memory" in line
    assert "at most 256 MiB on disk before compression" in line
    assert "on one process" in line
