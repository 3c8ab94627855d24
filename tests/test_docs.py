"""Every command in README and docs runs: as it stands, or made small. Scores that bundles' pages name were measured."""

import importlib.util
import itertools
import json
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import dask
import distributed
import numpy as np
import pytest
import tifffile
import yaml
from dask_jobqueue.slurm import SLURMJob
from distributed.cli import dask_scheduler, dask_worker
from typer.testing import CliRunner

from monai_app.bundle.configs.templates import DEFAULT_BUNDLE, template_path
from monai_app.bundle.configs.training_settings import list_settings
from monai_app.bundle.packages.package import package
from monai_app.cli import app
from monai_app.domain.region import Rect
from monai_app.domain.schemas import Setting, settings_table
from monai_app.phantom import PhantomConfig
from monai_app.stack import SampleDescription, Stack, ingest
from monai_app.stack.label_images.arrays import LABELS, Map
from monai_app.yamlfile import parse_yaml, read_yaml
from tests import warm
from tests.conftest import CHECKOUT, SHARED_DATA, TINY, as_options, run_command, write_tiny_sample
from tests.label.servers import free_port, running
from tests.settings_tables import markdown_rows
from tests.stack.alignment.drifting import texture
from tests.stack.samples import SampleFolder
from tests.viewer.viewing import viewing

PAGES = [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").rglob("*.md"))]
SMALL = {
    "train": as_options(TINY),
    "simulate": ["--slices", "5", "--rows", "64", "--columns", "64"],
}
START = ("--help", "ingest")
"""Commands of the README for which Python is really started."""


def commands(page: Path, start: str) -> list[list[str]]:
    """The lines of a page's code blocks that begin with a word, joined over backslashes, as argument lists."""
    blocks = re.findall(r"^ *```\w*\n(.*?)^ *```", page.read_text(), re.DOTALL | re.MULTILINE)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True)[1:] for line in lines if line.strip().startswith(f"{start} ")]


def test_the_tasks_of_the_readme_run_in_their_order(tmp_path: Path) -> None:
    content = read_yaml(write_tiny_sample(tmp_path / "images"))
    (tmp_path / "images" / "sample.yaml").unlink()
    tasks = commands(CHECKOUT / "README.md", "monai-app")
    assert [task[0] for task in tasks] == [
        "--help",
        "init",
        "ingest",
        "train",
        "evaluate",
        "segment",
        "quantify",
        "report",
        "export",
        "package",
        "check",
        "verify",
        "serve",
    ]
    for task in tasks[:-1]:  # the last one serves until it is stopped: the page on MONAI Label starts it
        run_command("-m", "monai_app", *task, *SMALL.get(task[0], []), cwd=tmp_path, fresh=task[0] in START)
        if task[0] == "init":
            _answer(tmp_path / "sample.yaml", content)
    assert (tmp_path / "runs" / "unet" / "models" / "model.ts").is_file()
    assert Stack.open(tmp_path / "sample.ome.zarr").label_names() == ("unet",)
    assert len(list((tmp_path / "labels").glob("*.tif"))) == 8
    _run_the_python_of_the_readme(tmp_path)


def _run_the_python_of_the_readme(folder: Path) -> None:
    """On what its commands made."""
    (code,) = re.findall(r"^```python\n(.*?)^```", (CHECKOUT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    training = 'monai_app.train(stack, "runs/unet")'
    assert training in code
    code = code.replace(training, f'monai_app.train(stack, "runs/unet", settings={TINY!r})')
    before = (folder / "report.html").stat().st_mtime_ns
    assert re.fullmatch(r"0\.\d+\n", run_command("-c", code, cwd=folder).stdout)
    assert (folder / "report.html").stat().st_mtime_ns > before


def _answer(description: Path, answers: dict[str, Any]) -> None:
    """Answer the questions of a description as another one has the answers."""
    text = description.read_text()
    assert len(re.findall(r"^ *# \?", text, re.MULTILINE)) == 4
    lines = "\n".join(line for line in text.splitlines() if "# ?" not in line)
    content = parse_yaml(lines, "answers")
    found, given = content["annotations"], answers["annotations"]
    assert [*found["train"], *found["test"]] == [*given["train"], *given["test"]]
    annotations = {**given, "source": found["source"]}
    content |= {"voxel_nm": answers["voxel_nm"], "phases": answers["phases"], "annotations": annotations}
    description.write_text(yaml.safe_dump(content))


def test_the_tutorial_runs_from_the_first_command_to_the_last(tmp_path: Path) -> None:
    small = {"simulate": ["--slices", "24", "--rows", "64", "--columns", "64"], "train": as_options(TINY)}
    page = (CHECKOUT / "docs" / "tutorial.md").read_text()
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    for line in "".join(f"{language}\n" if language else text for language, text in blocks).splitlines():
        match shlex.split(line):
            case ["yaml"]:
                (description,) = (text for language, text in blocks if language == "yaml")
                assert "# ?" in (tmp_path / "sample.yaml").read_text()
                (tmp_path / "sample.yaml").write_text(description)
            case ["mkdir" | "mv" as program, *words]:
                subprocess.run([program, *words], cwd=tmp_path, check=True)
            case ["monai-app", "view", *words]:
                with viewing(*words, "--port", free_port(), cwd=tmp_path) as (address, _):
                    assert address.startswith("http://127.0.0.1:")
            case ["monai-app", command, *words]:
                more = small.get(command, [])
                result = run_command(
                    "-m", "monai_app", command, *words, *more, cwd=tmp_path, check=command != "inspect"
                )
                assert (result.returncode in (0, 1), result.stderr.count("Traceback")) == (True, 0), result.stderr
    stack = Stack.open(tmp_path / "cement.ome.zarr")
    assert (stack.train_slices, stack.test_slices) == ((4, 11, 18), (21,))
    assert (tmp_path / "runs" / "unet" / "eval" / "test" / "cement" / "slice_0021.png").is_file()
    assert (tmp_path / "report.html").is_file()


def test_pictures_of_the_pages_are_small_files() -> None:
    sizes = {path.name: path.stat().st_size for path in (CHECKOUT / "docs" / "images" / "tutorial").iterdir()}
    assert max(sizes.values()) <= 200_000
    assert sum(sizes.values()) <= 1_000_000


def test_the_commands_of_the_page_on_init_run_in_their_order(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (4, 2, 20, 30), np.uint8)
    said = {"Channel": {"Name": ["ICE", "TLD"]}} | {f"PhysicalSize{axis}": 0.01 for axis in "XYZ"}
    (tmp_path / "images").mkdir()
    tifffile.imwrite(tmp_path / "images" / "a.ome.tif", pixels, metadata={"axes": "ZCYX", **said})
    tasks = commands(CHECKOUT / "docs" / "how-to" / "stacks" / "init.md", "monai-app")
    assert [task[0] for task in tasks] == ["init", "ingest", "verify"]
    for task in tasks:
        output = run_command("-m", "monai_app", *task, cwd=tmp_path).stdout
        if task[0] == "init":
            description = tmp_path / "sample.yaml"
            lines = description.read_text().splitlines(keepends=True)
            description.write_text("".join(line for line in lines if not line.startswith("# ?")))
    assert output.endswith("the files are those that were ingested (SHA-256 of 1)\nok\n")


def test_the_commands_of_the_segmentation_page_run_in_their_order(
    tiny_stack: Stack, trained: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained, tmp_path / "runs" / "unet")
    shutil.copytree(tiny_stack.path, tmp_path / "sample.ome.zarr")
    write_tiny_sample(tmp_path / "images").unlink()
    package(trained, tiny_stack, tmp_path / "cement_unet.zip", unscored=True)
    page = CHECKOUT / "docs" / "how-to" / "models" / "segmentation.md"
    for words in commands(page, "monai-app"):
        run_command("-m", "monai_app", *words, cwd=tmp_path)
    code = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
    run_command("-c", next(block for block in code if "ConfigParser" in block), cwd=tmp_path)
    names = {"unet", "part", "masked", "unet_preview", "sure", "together", "from_python"}
    stack = Stack.open(tmp_path / "sample.ome.zarr")
    assert set(stack.label_names()) == names
    for z in range(stack.shape[0]):
        for name in ("sure", "together", "from_python"):
            np.testing.assert_array_equal(stack.read_labels(name, z), stack.read_labels("unet", z))
        np.testing.assert_array_equal(stack.read_labels("masked", z), stack.read_labels("part", z))
        labels = tifffile.imread(tmp_path / "labels" / f"slice_{z}.tif")
        np.testing.assert_array_equal(labels, stack.read_labels("unet", z))


SBATCH = """#!/bin/sh
script=$(cat "$1")
setsid sh -c "$script" > job.log 2>&1 &
echo "Submitted batch job $!"
"""
"""What stands for Slurm's command: the script of a job runs on this machine, its process group is the job's number."""


def test_the_page_on_clusters_segments_on_the_jobs_that_it_submits(
    tiny_stack: Stack, trained: Path, tmp_path: Path
) -> None:
    (tmp_path / "runs").mkdir()
    shutil.copytree(trained, tmp_path / "runs" / "unet")
    stack = Stack.open(shutil.copytree(tiny_stack.path, tmp_path / "sample.ome.zarr"))
    for name, text in (("sbatch", SBATCH), ("scancel", '#!/bin/sh\nkill -- "-$1"\n')):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    page = CHECKOUT / "docs" / "how-to" / "models" / "cluster.md"
    code, script = re.findall(r"^```(?:python|bash)\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
    words = [warm.python(), "-c", code.replace("jobs=20", "jobs=1")]
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    piped: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(words, cwd=tmp_path, env=environment, **piped) as site:
        assert site.stdout is not None
        printed = "".join(itertools.takewhile(lambda line: not line.startswith("tcp://"), site.stdout))
        address = re.findall(r"tcp://[0-9.]+:[0-9]+", printed)[0]
        assert _shown(printed, warm.python()) == _shown(script, "/venv/bin/python")
        (segment,) = commands(page, "monai-app")
        assert segment[-2] == "--cluster"
        for more in ([*segment[3:-1], address, "--labels", "cluster"], ["--labels", "here"]):
            run_command("-m", "monai_app", *segment[:3], *more, cwd=tmp_path)
        site.communicate("\n", timeout=60)
    assert all((stack.read_labels("cluster", z) == stack.read_labels("here", z)).all() for z in range(stack.shape[0]))
    for words, command in zip(commands(page, "dask"), (dask_scheduler.main, dask_worker.main), strict=True):
        command.make_context(words[0], words[1:])  # refuses options that it does not know


def test_jobs_have_the_certificates_of_dasks_configuration_as_the_page_on_clusters_says() -> None:
    assert '`protocol="tls://", security=Security()`' in (CHECKOUT / "docs/how-to/models/cluster.md").read_text()
    files = {"ca-file": "ca.pem", "worker.cert": "cert.pem", "worker.key": "key.pem"}
    with dask.config.set({f"distributed.comm.tls.{name}": file for name, file in files.items()}):
        sizes = {"cores": 1, "processes": 1, "memory": "8GB"}
        job = SLURMJob("tls://10.0.0.1:1", "name", **sizes, protocol="tls://", security=distributed.Security())
    expected = "--protocol tls:// --tls-ca-file ca.pem --tls-cert cert.pem --tls-key key.pem"
    assert job.job_script().strip().endswith(expected)


def _shown(script: str, python: str) -> list[str]:
    """The lines of a job's script without what differs between machines."""
    return re.sub(r"tcp://[0-9.]+:[0-9]+", "ADDRESS", script.replace(python, "PYTHON")).strip().splitlines()


def test_the_commands_of_the_page_on_quantities_run(tiny_stack: Stack, tmp_path: Path) -> None:
    shutil.copytree(tiny_stack.path, tmp_path / "sample.ome.zarr")
    stack = Stack.open(tmp_path / "sample.ome.zarr")
    labels = 1 + (np.arange(8 * 96 * 80).reshape(stack.shape) // 20 % 3).astype(np.uint8)
    stack.write_labels("unet", iter(labels))
    page = CHECKOUT / "docs" / "how-to" / "models" / "quantify.md"
    for words in commands(page, "monai-app"):
        run_command("-m", "monai_app", *words, cwd=tmp_path)
    (code,) = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
    assert "pore 0.33" in run_command("-c", code, cwd=tmp_path).stdout
    named = set(re.findall(r"`(\w+\.(?:csv|png|json))`", page.read_text()))
    assert named <= {path.name for path in (tmp_path / "quantities").iterdir()}


def test_the_numbers_of_the_page_on_quantities_were_measured() -> None:
    page = (CHECKOUT / "docs" / "how-to" / "models" / "quantify.md").read_text()
    shapes = json.loads((CHECKOUT / "docs" / "results" / "quantify.json").read_text())["shapes"]
    rows = [
        f"| {shape} | {name} | {each['seconds']:.0f} s | {each['peak_gib']:.1f} GiB |"
        for shape, measured in shapes.items()
        for name, each in measured["measures"].items()
    ]
    assert re.findall(r"^\| .* GiB \|$", page, re.MULTILINE) == rows


def test_the_page_on_error_bars_runs_and_its_tables_are_what_was_measured(tiny_stack: Stack, tmp_path: Path) -> None:
    shutil.copytree(tiny_stack.path, tmp_path / "sample.ome.zarr")
    stack = Stack.open(tmp_path / "sample.ome.zarr")
    stack.write_labels("unet", iter(1 + (np.arange(8 * 96 * 80).reshape(stack.shape) // 20 % 3).astype(np.uint8)))
    page = CHECKOUT / "docs" / "explanation" / "uncertainty.md"
    (words,) = commands(page, "monai-app")
    shown = run_command("-m", "monai_app", *words, cwd=tmp_path).stdout
    assert {"corrected_fraction", "material_fraction", "correlation_range_z"} <= set(shown.split())
    assert {"confusion.csv", "two_point.csv"} <= {path.name for path in (tmp_path / "fractions").iterdir()}
    measured = json.loads((CHECKOUT / "docs" / "results" / "interval_coverage.json").read_text())
    found = measured["segmentation"] + [{**row, "phase": "all"} for row in measured["pooled"]]
    shares = ("held", "held_unmarked", "marked")
    rows = [
        [
            str(row["slices"]),
            row["phase"],
            *(f"{100 * row[name]:.0f} %" for name in shares),
            f"{row['median_width']:.3f}",
        ]
        for row in found
        if row["blocks"] == 9
    ]
    assert sorted(rows) == sorted([*row.values()][:6] for row in table_rows(page, "slices"))
    held = {f"{row['slices']}/{row['blocks']}": f"{100 * row['held']:.0f} %" for row in measured["pooled"]}
    for row in table_rows(page, "blocks"):
        assert [row["held, 24 slices"], row["held, 72 slices"]] == [held[f"{n}/{row['blocks']}"] for n in (24, 72)]
    volumes = [*measured["representativity"], {**measured["all_volumes"][0], "volume": "all", "radius": "-"}]
    for row in volumes:
        cells = (*(f"{100 * row[name]:.0f} %" for name in shares), f"{row['median_width']:.3f}")
        assert f"| {row['volume']} | {row['radius']} | {' | '.join(cells)} |" in page.read_text()


def test_the_commands_of_the_page_on_confidence_run_in_their_order(
    tiny_stack: Stack, trained: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained, tmp_path / "runs" / "unet")
    shutil.copytree(tiny_stack.path, tmp_path / "sample.ome.zarr")
    for words in commands(CHECKOUT / "docs" / "explanation" / "confidence.md", "monai-app"):
        run_command("-m", "monai_app", *words, *SMALL.get(words[0], []), cwd=tmp_path)
    assert (tmp_path / "runs" / "unet" / "eval" / "test" / "sample" / "confidence.png").is_file()
    assert Stack.open(tmp_path / "sample.ome.zarr").label_attributes("sure")["calibrated"] > 0


def test_the_commands_and_the_code_of_the_page_on_viewers_run(tiny_stack: Stack, tmp_path: Path) -> None:
    stack = Stack.open(shutil.copytree(tiny_stack.path, tmp_path / "sample.ome.zarr"))
    stack.write_labels("unet", (np.full(stack.shape[1:], 1 + z % 3, np.uint8) for z in range(stack.shape[0])))
    page = CHECKOUT / "docs" / "how-to" / "stacks" / "viewers.md"
    in_browser, other, in_napari, *saved = commands(page, "monai-app")
    for words in saved:
        run_command("-m", "monai_app", *words, cwd=tmp_path)
    assert {path.name for path in tmp_path.glob("labels.*")} == {words[-1] for words in saved}
    assert (in_browser, in_napari) == (["view", "sample.ome.zarr"], ["view", "sample.ome.zarr", "--napari"])
    port = str(free_port())
    with viewing(*(port if word == "8000" else word for word in other[1:]), cwd=tmp_path) as (address, _):
        assert re.fullmatch(rf"http://127.0.0.1:{port}/v/\w+/", address)
    (code,) = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
    shown = run_command("-c", code, cwd=tmp_path).stdout
    assert [line.split()[:2] for line in shown.splitlines()] == [["image", "ICE"], ["image", "TLD"], ["labels", "unet"]]


def run_here(page: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run the commands of a page in this process, in a folder; what they print."""
    monkeypatch.chdir(folder)
    runner = CliRunner()
    lines = commands(CHECKOUT / "docs" / page, "monai-app")
    return "".join(runner.invoke(app, words, catch_exceptions=False).stdout for words in lines)


def test_the_commands_of_the_page_on_annotations_run_in_their_order(
    tiny_stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = Stack.open(shutil.copytree(tiny_stack.path, tmp_path / "sample.ome.zarr"))
    stack.write_labels("unet", (np.full(stack.shape[1:], 1 + z % 3, np.uint8) for z in range(stack.shape[0])))
    output = run_here("how-to/stacks/annotations.md", tmp_path, monkeypatch)
    stack = stack.reopened()
    assert (stack.train_slices, stack.test_slices) == ((0, 1, 2, 3, 7), (4, 5))
    for z, other in ((4, 3), (2, 1)):
        np.testing.assert_array_equal(stack.read_annotation(z), tiny_stack.read_annotation(other))
    assert output.count("unchanged: 1, 3, 5\n") == 2
    assert output.count("unchanged: 1\n") == 1


def test_the_commands_of_the_page_on_labels_run_in_their_order(
    tiny_stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = Stack.open(shutil.copytree(tiny_stack.path, tmp_path / "sample.ome.zarr"))
    with stack.write_result(
        "unet", fingerprint={}, maps=(Map("confidence", per_phase=False), Map("probability", per_phase=True))
    ) as result:
        for z in range(stack.shape[0]):
            labels = np.full(stack.shape[1:], 1 + z % 3, np.uint8)
            planes = {LABELS: labels, "confidence": 60 * labels, "probability": np.stack([50 * labels] * 3)}
            result.arrays.write(z, Rect.whole(stack.shape), planes)
        result.finish(range(stack.shape[0]))
    output = run_here("how-to/stacks/labels.md", tmp_path, monkeypatch)
    assert output.count("saved: ") == 9
    assert output.endswith("removed: unet\n")
    assert {path.name for path in tmp_path.iterdir()} == {"sample.ome.zarr", *re.findall(r"saved: (.*)", output)}


def test_the_page_on_proposals_runs(tiny_stack: Stack, tmp_path: Path) -> None:
    stack = Stack.open(shutil.copytree(tiny_stack.path, tmp_path / "sample.ome.zarr"))
    with stack.write_result("unet", fingerprint={}, maps=(Map("confidence", per_phase=False),)) as result:
        for z in range(stack.shape[0]):
            plane = np.full(stack.shape[1:], 1 + z, np.uint8)
            result.arrays.write(z, Rect.whole(stack.shape), {"labels": plane % 3 + 1, "confidence": 20 * plane})
        result.finish(range(stack.shape[0]))
    page = CHECKOUT / "docs" / "how-to" / "stacks" / "proposals.md"
    for words in commands(page, "monai-app"):
        run_command("-m", "monai_app", *words, cwd=tmp_path)
    proposed = np.asarray(tifffile.imread(tmp_path / "proposal.tif"))
    np.testing.assert_array_equal(stack.reopened().read_annotation(2), proposed)
    assert (tmp_path / "proposals.seg.nrrd").is_file()
    code = "\n".join(re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE))
    shown = run_command("-c", code, cwd=tmp_path).stdout
    assert re.fullmatch(r"\(96, 80\) 0\.\d+ \[\]\n\[0, 4, 7\]\n", shown)


def test_the_numbers_of_the_page_on_proposals_were_measured() -> None:
    page = CHECKOUT / "docs" / "how-to" / "stacks" / "proposals.md"
    measured = json.loads((CHECKOUT / "docs" / "results" / "proposals.json").read_text())
    rows = [
        [row["sample"], f"{row['share']:.0%}", row["way"], f"{row['same_slice']:.3f}", f"{row['beside']:.3f}"]
        for row in measured["quality"]
    ]
    assert [list(row.values()) for row in table_rows(page, "sample")] == rows
    sizes = [
        [
            f"{row['rows']} x {row['columns']}",
            *(f"{row[name]:.1f}" for name in ("train_seconds", "propose_seconds", "processor_seconds")),
            f"{row['peak_gib']:.1f}",
        ]
        for row in measured["seconds"]
    ]
    assert [list(row.values()) for row in table_rows(page, "slice")] == sizes


def test_the_commands_of_the_page_on_inspection_run(tiny_stack: Stack, tmp_path: Path) -> None:
    write_tiny_sample(tmp_path / "sample")
    (tmp_path / "sample.yaml").write_text((tmp_path / "sample" / "sample.yaml").read_text())
    for name in ("ICE", "TLD", "annotations"):
        (tmp_path / name).symlink_to(tmp_path / "sample" / name)
    (tmp_path / "sample.ome.zarr").symlink_to(tiny_stack.path)
    *others, (*words, redirected, file) = commands(CHECKOUT / "docs" / "how-to" / "stacks" / "inspect.md", "monai-app")
    for each in others:
        run_command("-m", "monai_app", *each, cwd=tmp_path)
    assert (redirected, file) == (">", "found.json")
    assert json.loads(run_command("-m", "monai_app", *words, cwd=tmp_path).stdout)["findings"] == []
    assert all((tmp_path / name).is_file() for name in ("found.png", "found.html"))


def test_what_the_results_say_of_readers_was_measured() -> None:
    measured = json.loads((CHECKOUT / "docs" / "results" / "readers.json").read_text())
    page, damaged, speed = CHECKOUT / "docs" / "explanation" / "results.md", measured["damaged"], measured["ingest"]
    assert damaged["faults"] == []
    counts = [[row["input"], row["accepted"], row["refused"]] for row in table_rows(page, "input")]
    assert counts == [
        ["files", str(damaged["files_read"]), str(damaged["files_refused"])],
        ["descriptions", str(damaged["descriptions_taken"]), str(damaged["descriptions_refused"])],
    ]
    column = "relative speed of ingest"
    assert [row[column] for row in table_rows(page, "writer")] == [
        *(f"{speed[f'part_of_the_speed_of_{loop}']:.2f}" for loop in ("loop", "loop_without_means")),
        "1",
    ]


def test_the_numbers_of_the_page_on_inspection_were_measured() -> None:
    page = (CHECKOUT / "docs" / "how-to" / "stacks" / "inspect.md").read_text()
    measured = json.loads((CHECKOUT / "docs" / "results" / "inspection.json").read_text())
    real, *simulated = measured["stacks"].values()
    for fault in real["faults"]:
        counts = [
            [each["faults"][fault][what] for each in stacks]
            for stacks in ([real], simulated)
            for what in ("found", "of")
        ]
        found, tried, simulated_found, simulated_tried = map(sum, counts)
        assert f"| {fault} | {found} of {tried} | {simulated_found} of {simulated_tried} |" in page
    for row in measured["measured"]:
        assert row["what"] != "noise" or row["simulated"] == 0 or abs(row["measured"] / row["simulated"] - 1) < 0.05


def test_the_commands_of_the_packages_page_run_in_their_order(tiny_stack: Stack, trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path / "runs" / "unet")
    for name in ("sample", "other"):
        shutil.copytree(tiny_stack.path, tmp_path / f"{name}.ome.zarr")
    tasks = commands(CHECKOUT / "docs" / "how-to" / "models" / "packages.md", "monai-app")
    assert len(tasks) == 11
    for task in tasks:
        run_command("-m", "monai_app", *task, *SMALL.get(task[0], []), cwd=tmp_path)
    assert Stack.open(tmp_path / "other.ome.zarr").label_names() == ("cement_unet",)
    record = json.loads((tmp_path / "runs" / "tuned" / "run.json").read_text())
    assert "tensors were copied completely" in record["pretrained"]["transfer"][0]


def test_the_commands_of_the_page_on_bundles_run_from_another_folder(
    tiny_stack: Stack, trained: Path, tmp_path: Path
) -> None:
    run = tmp_path / "runs" / "unet_segmentation"
    shutil.copytree(trained, run)
    shutil.copytree(tiny_stack.path, tmp_path / "sample.ome.zarr")
    schema = SHARED_DATA / "schema" / "meta_schema_20240725.json"
    absent = set() if importlib.util.find_spec("onnxscript") else {"onnx_export"}
    if schema.is_file():
        shutil.copy(schema, tmp_path)
    else:
        absent.add("verify_metadata")
    page = CHECKOUT / "docs" / "reference" / "bundles.md"
    lines = commands(page, "python")
    verbs = {"run", "run_workflow", "verify_metadata", "verify_net_in_out", "ckpt_export", "onnx_export"}
    assert {line[2] for line in lines} == verbs
    for line in lines:
        if line[2] not in absent:
            run_command(*line, cwd=tmp_path)
    assert (run / "models" / "model.onnx").is_file() or "onnx_export" in absent
    assert (tmp_path / "trial" / "models" / "model.pt").is_file()
    assert (run / "models" / "model.pt").read_bytes() == (trained / "models" / "model.pt").read_bytes()
    (code,) = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
    assert "{'0': 'pore', '1': 'hydrate', '2': 'clinker'}" in run_command("-c", code, cwd=tmp_path).stdout
    stack = Stack.open(tmp_path / "sample.ome.zarr")
    for name in ("again", "from_python"):
        for z in range(stack.shape[0]):
            np.testing.assert_array_equal(stack.read_labels(name, z), stack.read_labels("segmentation", z))
    if schema.is_file():
        (words,) = (line for line in commands(page, "tools/verify-bundles") if line)
        run_command(CHECKOUT / "tools" / "verify_bundles.py", *words, "--mode", "min", cwd=tmp_path)


def test_the_page_on_monai_label_runs_against_the_server_that_it_starts(
    tiny_stack: Stack, trained: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained, tmp_path / "runs" / "unet")
    stack = Path(shutil.copytree(tiny_stack.path, tmp_path / "sample.ome.zarr"))
    page = CHECKOUT / "docs" / "how-to" / "stacks" / "monai-label.md"
    assert (CHECKOUT / "tools" / "install-label").is_file()  # which set up the environment of this test
    words, prepare, elsewhere = commands(page, "monai-app")
    assert elsewhere[-2:] == ["--token-file", "token"]  # tests/label/test_serve.py starts such a server
    token, _ = commands(page, "python")
    assert len(run_command("-c", token[1].rstrip(), cwd=tmp_path).stdout) > 40
    run_command("-m", "monai_app", *prepare, cwd=tmp_path)
    cases = tmp_path / "sample.label" / "cases"
    assert (cases / "TLD" / "tiny_z0003.nii.gz").is_file()
    assert not (cases / "tiny_z0004.nii.gz").exists()
    port = free_port()
    command = [warm.python(), "-m", "monai_app", *words, "--port", port]
    code = "\n".join(re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE))
    with running(command, port, tmp_path / "home", cwd=tmp_path) as server:
        run = run_command("-c", code.replace("http://127.0.0.1:8000", server.url), cwd=tmp_path)
    assert "'pore': [32, 48, 79]" in run.stdout
    assert " 0001\n" in run.stdout
    assert "{'original': 2, 'final': 5}" in run.stdout
    labelled = Stack.open(stack)
    (new,) = set(labelled.train_slices) - {1, 3, 5}
    assert np.unique(labelled.read_annotation(new)).tolist() == [0, 1, 2, 3]
    assert labelled.read_annotation(new)[19, 39] == 1
    assert labelled.read_annotation(new)[20, 39] == 2
    assert labelled.read_annotation(new)[59, 40] == 0


def table_rows(page: Path, first: str) -> list[dict[str, str]]:
    """The rows of the page's tables whose first column has a name, as column name and cell."""
    rows: list[Any] = []
    names: list[str] = []
    for line in page.read_text().splitlines():
        cells = [cell.strip(" `") for cell in line.strip("| ").split("|")] if line.startswith("|") else []
        if not cells or set(cells[0]) == {"-"}:
            names = names if cells else []
        elif names:
            rows += [dict(zip(names, cells, strict=True))] if names[0] == first else []
        else:
            names = cells
    return rows


@pytest.mark.parametrize("network", ["unet", "sensor3d"])
def test_the_scores_of_a_bundle_are_those_that_were_measured(network: str) -> None:
    bundle = CHECKOUT / "bundles" / f"fibsem_{network}_segmentation"
    results = {
        name: json.loads((CHECKOUT / "docs" / "results" / f"{name}.json").read_text())["results"]
        for name in ("variants", "isbi2012")
    }
    measured = {row["variant"]: row for row in results["variants"] if row["variant"].startswith(network)}
    rows = table_rows(bundle / "docs" / "README.md", "variant")
    assert {row["variant"] for row in rows} == set(measured)
    for row in rows:
        result = measured[row["variant"]]
        scores = {**result["iou"], "mean IoU": result["mean_iou"], "accuracy": result["pixel_accuracy"]}
        assert {name: row[name] for name in scores} == {name: f"{score:.3f}" for name, score in scores.items()}
        assert (row["epochs"], row["trained"]) == (str(result["epochs"]), f"{result['train_seconds']:.0f} s")

    columns = ("mean_iou", "membrane_iou", "pixel_accuracy")
    expected = [
        [
            str(row["slices"]),
            str(row["epochs"]),
            f"{row['train_seconds']:.0f} s",
            *(f"{row[name]:.4f}" for name in columns),
        ]
        for row in results["isbi2012"]
        if row["network"] == network
    ]
    assert [list(row.values()) for row in table_rows(bundle / "docs" / "README.md", "slices")] == expected

    metrics = json.loads((bundle / "configs" / "metadata.json").read_text())["eval_metrics"]
    result = measured[metrics["variant"]]
    assert metrics["from"] == "docs/results/variants.json"
    assert metrics["iou"] == {name: round(value, 3) for name, value in result["iou"].items()}
    assert [metrics[name] for name in ("mean_iou", "pixel_accuracy")] == [
        round(result[name], 3) for name in ("mean_iou", "pixel_accuracy")
    ]


@pytest.mark.parametrize(
    ("network", "results"),
    [
        ("unet", "inference_full"),
        ("unet", "inference_unet"),
        ("sensor3d", "inference_sensor3d"),
        ("unet", "sensor3d"),
        ("sensor3d", "sensor3d"),
    ],
)
def test_the_times_of_a_bundle_are_those_that_were_measured(network: str, results: str) -> None:
    measured = json.loads((CHECKOUT / "docs" / "results" / f"{results}.json").read_text())
    if results == "sensor3d":
        expected = f"8 crops of 128 x 128 took {measured['results'][network]['seconds']:.2f} s"
    else:
        row = measured.get("measured") or next(row for row in measured["results"] if row["method"] == "engine")
        expected = f"{row['seconds_per_mpixel']:.2f} s per Mpixel and {row['peak_mb']} MB"
    page = CHECKOUT / "bundles" / f"fibsem_{network}_segmentation" / "docs" / "README.md"
    assert expected in " ".join(page.read_text().split())


def test_the_commands_of_the_export_page_run_in_their_order(tiny_stack: Stack, trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path / "runs" / "unet")
    shutil.copytree(tiny_stack.path, tmp_path / "sample.ome.zarr")
    (tmp_path / "docs").symlink_to(CHECKOUT / "docs")
    page = CHECKOUT / "docs" / "how-to" / "models" / "export.md"
    for words in commands(page, "monai-app"):
        run_command("-m", "monai_app", *words, cwd=tmp_path)
    (code,) = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
    run_command("-c", code, cwd=tmp_path)
    stack = Stack.open(tmp_path / "sample.ome.zarr")
    expected, scripts = stack.read_labels("exported", 4), commands(page, "python")
    assert len(scripts) == 3
    for words in scripts:
        run_command(*words, cwd=tmp_path)
        given = np.fromfile(tmp_path / "labels.raw", np.uint8).reshape(stack.shape[1:])
        assert (given != expected).mean() <= 1e-4  # ties
        (tmp_path / "labels.raw").unlink()
    (words,) = commands(CHECKOUT / "docs" / "reference" / "security.md", "monai-app")
    assert "trusted: " in run_command("-m", "monai_app", *words, cwd=tmp_path).stdout


def test_the_commands_of_the_bundles_page_run_in_a_run_folder(tiny_stack: Stack, trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path / "run")
    shutil.copytree(tiny_stack.path, tmp_path / "stack.ome.zarr")
    lines = commands(tmp_path / "run" / "docs" / "README.md", "python")
    assert len(lines) == 4
    for line in lines:
        words = [word.replace("STACK", "../stack.ome.zarr") for word in line]
        run_command(*words, cwd=tmp_path / "run")
    assert Stack.open(tmp_path / "stack.ome.zarr").label_names() == ("segmentation",)
    assert (tmp_path / "run" / "models" / "model.ts").is_file()


def test_the_bundles_commands_for_many_gpus_run_in_a_run_folder(
    tiny_stack: Stack, trained: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained, tmp_path / "run")
    training, evaluation = commands(tmp_path / "run" / "docs" / "README.md", "torchrun")
    for line in (training, evaluation):
        words = [word.replace("STACK", str(tiny_stack.path)) for word in line]
        run_command("-m", "torch.distributed.run", *words, cwd=tmp_path / "run")
    assert (tmp_path / "run" / "eval" / "test" / "scores.json").is_file()


@pytest.mark.parametrize("start", ["python", "torchrun"])
def test_the_bundles_pages_name_the_same_commands(start: str) -> None:
    unet, sensor3d = (
        commands(CHECKOUT / "bundles" / f"fibsem_{network}_segmentation" / "docs" / "README.md", start)
        for network in ("unet", "sensor3d")
    )
    assert unet == sensor3d != []


def test_the_commands_of_the_training_page_run(tiny_stack: Stack, trained: Path, tmp_path: Path) -> None:
    """On a trained run, which each finds finished; what changes the training makes a run of its own."""
    shutil.copytree(trained, tmp_path / "runs" / "unet")
    shutil.copytree(tiny_stack.path, tmp_path / "sample.ome.zarr")
    ingest(write_tiny_sample(tmp_path / "other", rows=64), tmp_path / "other.ome.zarr")
    page = CHECKOUT / "docs" / "how-to" / "models" / "training.md"
    lines = commands(page, "monai-app")
    timed, longer, *lines = lines
    assert (timed[-2:], longer[-2:]) == (["--minutes", "10"], ["--epochs", "40"])
    planned = as_options({name: value for name, value in TINY.items() if name != "max_epochs"})
    run_command("-m", "monai_app", *timed, *planned, "--dry-run", cwd=tmp_path)
    shutil.copytree(trained, tmp_path / "runs" / "longer")
    run_command("-m", "monai_app", *longer[:-1], "3", *SMALL["train"], cwd=tmp_path)
    assert [line[0] for line in lines] == ["train", "evaluate"] * 2 + ["train"] * 4
    for words in lines:
        run_command("-m", "monai_app", *words, *SMALL.get(words[0], []), cwd=tmp_path)
    (nodes,) = commands(page, "torchrun")
    printed = run_command("-m", "monai_app", *lines[2], *SMALL["train"], "--dry-run", cwd=tmp_path).stdout
    assert [Path(name).name for name in re.findall(r"[\w/]+\.yaml", printed)] == [
        Path(name).name for name in re.findall(r"[\w/]+\.yaml", " ".join(nodes))
    ]


def test_the_commands_of_the_alignment_page_run_and_its_tables_are_what_was_measured(tmp_path: Path) -> None:
    sample = SampleFolder(tmp_path)
    sample.detector("ICE", texture(4, 96, 96))
    sample.detector("TLD", 255 - texture(4, 96, 96))
    sample.write()
    page = CHECKOUT / "docs" / "how-to" / "stacks" / "alignment.md"
    (words,) = commands(page, "monai-app")
    run_command("-m", "monai_app", *words, cwd=tmp_path)
    (code,) = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
    run_command("-c", code, cwd=tmp_path)
    for folder in ("report", "python_report"):
        assert {path.name for path in (tmp_path / folder).iterdir()} == {"alignment.png", "alignment.csv"}
    measured = json.loads((CHECKOUT / "docs" / "results" / "alignment.json").read_text())["results"]
    rows = [[cell for name, cell in row.items() if name != "stack"] for row in table_rows(page, "stack")]
    assert rows == [
        [f"{value:.2f}" for name, value in row.items() if isinstance(value, float) and name != "seconds_per_mpixel"]
        for row in measured["simulated"]
    ]
    text = " ".join(page.read_text().split())
    for row in measured["leaning"]:
        assert f"| {row['seed']} | {row['kept_by_line']:.2f} | {row['kept_by_curve']:.2f} |" in text
    for row in measured["isbi2012"]:
        assert f"{row['median_step_error']:.2f} pixels ({row['steps']})" in text
    (nasa,) = measured["nasa_ebc"]
    assert f"median error of {nasa['median_error']:.2f} pixels, at most {nasa['worst_error']:.2f}" in text


def test_the_code_of_the_page_on_active_learning_runs_and_its_table_is_what_was_measured(
    tiny_stack: Stack, trained: Path, tmp_path: Path
) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "unet").symlink_to(trained)
    (tmp_path / "sample.ome.zarr").symlink_to(tiny_stack.path)
    page = (CHECKOUT / "docs" / "how-to" / "stacks" / "active-learning.md").read_text()
    (code,) = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert "Proposal(z=" in run_command("-c", code, cwd=tmp_path).stdout
    measured = json.loads((CHECKOUT / "docs" / "results" / "active_learning.json").read_text())
    for row in measured["results"]:
        scores = " | ".join(f"{row['mean_iou'][arm]:.3f}" for arm in ("proposed", "even", "random"))
        assert f"| {row['kind']} | {row['seed']} |" in page
        assert f"| {scores} |" in page
    for row in measured["summary"]:
        low, high = row["interval_95"]
        assert f"| {row['difference']:+.3f} | {low:+.3f} to {high:+.3f} | {row['wins']} of {row['count']} |" in page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_scripts_that_pages_name_exist_and_know_their_options(page: Path) -> None:
    for script, *words in (line for line in commands(page, "python") if line[0] not in ("-m", "-c")):
        shown = run_command(CHECKOUT / script, "--help").stdout
        for option in (word for word in words if word.startswith("--")):
            assert option in shown, f"{page.name}: {script} has no option {option}"


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and the documentation site make them."""
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.*)", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def dead_links(page: Path) -> list[str]:
    """Links of a page to files that do not exist, and to headings that pages do not have."""
    dead = []
    for path, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", page.read_text()):
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(f"{path}#{anchor}" if anchor else path)
    return dead


@pytest.mark.parametrize(
    "page", [*PAGES, *(CHECKOUT / name for name in ("CONTRIBUTING.md", "CHANGELOG.md"))], ids=lambda page: page.name
)
def test_links_of_pages_lead_to_files_and_headings(page: Path) -> None:
    assert dead_links(page) == []


def test_dead_links_are_found(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# One `way`, or two\n[a](#one-way-or-two) [b](a.md#three) [c](b.md#four) [d](c.md)")
    assert dead_links(tmp_path / "a.md") == ["a.md#three", "b.md#four", "c.md"]


@pytest.mark.parametrize(
    ("page", "rows"),
    [
        ("how-to/stacks/simulator", settings_table(PhantomConfig)),
        ("reference/stack-store", settings_table(SampleDescription)),
        ("how-to/models/training", list_settings(read_yaml(template_path(DEFAULT_BUNDLE) / "configs" / "train.yaml"))),
    ],
)
def test_pages_hold_the_tables_of_settings(page: str, rows: list[Setting]) -> None:
    assert markdown_rows(rows) in (CHECKOUT / "docs" / f"{page}.md").read_text()
