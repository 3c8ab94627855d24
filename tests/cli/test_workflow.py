"""The whole way on the command line, and the bundle commands it prints."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from sklearn import metrics as sklearn

from monai_app.cli import STOPPED
from monai_app.stack import Stack
from monai_app.training import training_progress
from tests import warm
from tests.conftest import TINY, as_options, run_command, write_tiny_sample

SETTINGS = as_options(TINY)


def printed_command(output: str) -> list[str]:
    """The arguments of the one `$ python ...` line."""
    (line,) = re.findall(r"^\$ python (.*)$", output, re.MULTILINE)
    return shlex.split(line)


def assert_same_weights(first: Path, second: Path) -> None:
    states = [torch.load(run / "models" / "model.pt", weights_only=True) for run in (first, second)]
    assert list(states[0]) == list(states[1])
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]), name


@pytest.fixture
def own_stack(tiny_stack: Stack, tmp_path: Path) -> Stack:
    """A copy that may be written to."""
    shutil.copytree(tiny_stack.path, tmp_path / "own.ome.zarr")
    return Stack.open(tmp_path / "own.ome.zarr")


def test_the_printed_training_command_gives_the_same_weights(tiny_stack: Stack, trained: Path, tmp_path: Path) -> None:
    run = tmp_path / "again"
    only = ("--dry-run", "--device", "cpu")
    shown = run_command("-m", "monai_app", "train", tiny_stack.path, run, *SETTINGS, *only)
    assert not (run / "models" / "model.pt").exists()
    run_command(*printed_command(shown.stdout), cwd=tmp_path, fresh=True)  # another order of sets too
    assert_same_weights(run, trained)


@pytest.mark.parametrize("which", ["trained", "trained_sensor3d"])
def test_evaluation_and_segmentation_agree_with_each_other_and_with_scikit_learn(
    own_stack: Stack, which: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    run = tmp_path / "model"
    shutil.copytree(request.getfixturevalue(which), run)
    evaluated = run_command("-m", "monai_app", "evaluate", own_stack.path, run, "--device", "auto", "-v")
    here = ("--device", "cpu", "--tiff", tmp_path / "tiff")
    segmented = run_command("-m", "monai_app", "segment", own_stack.path, run, *here, "-v")
    assert segmented.stdout.splitlines()[-1] == f"TIFFs: {tmp_path / 'tiff'}"
    labels = own_stack.read_labels("model", 6)

    truth = own_stack.read_annotation(6)
    scores = json.loads((run / "eval" / "test" / "scores.json").read_text())
    expected = sklearn.confusion_matrix(truth[truth > 0], labels[truth > 0], labels=[1, 2, 3])
    np.testing.assert_array_equal(scores["confusion"], expected)
    assert scores["pixel_accuracy"] == pytest.approx(sklearn.accuracy_score(truth[truth > 0], labels[truth > 0]))
    assert f"mean IoU {scores['mean_iou']:.4f}" in evaluated.stdout
    picture = run / "eval" / "test" / own_stack.store_name / "slice_0006.png"
    assert picture.read_bytes().startswith(b"\x89PNG")

    names = [path.stem for path in sorted((tmp_path / "tiff").glob("*.tif"))]
    assert names == list(own_stack.slice_names)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "tiff" / "slice_6.tif"), labels)

    # Killed between labels and TIFFs, the same command writes the TIFFs.
    shutil.rmtree(tmp_path / "tiff")
    resumed = run_command("-m", "monai_app", "segment", own_stack.path, run, *here)
    assert "labels 'model' are already complete" in resumed.stderr
    assert [path.stem for path in sorted((tmp_path / "tiff").glob("*.tif"))] == names

    # The printed commands do the same: same scores, same labels.
    scores_before = (run / "eval" / "test" / "scores.json").read_bytes()
    (run / "eval" / "test" / "scores.json").unlink()
    run_command(*printed_command(evaluated.stderr), cwd=tmp_path)
    assert (run / "eval" / "test" / "scores.json").read_bytes() == scores_before
    arguments = printed_command(segmented.stderr)
    arguments[arguments.index("model")] = "again"
    arguments[arguments.index(str(tmp_path / "tiff"))] = str(tmp_path / "tiff2")
    run_command(*arguments, cwd=tmp_path)
    for z in range(own_stack.shape[0]):
        np.testing.assert_array_equal(own_stack.read_labels("again", z), own_stack.read_labels("model", z))


def begin(*words: object) -> tuple[subprocess.Popen[str], int]:
    """Begin a command, and return it with the process that is to be killed, of which it is a client."""
    code = "import os; print(os.getpid(), flush=True)\nfrom monai_app.cli import main; main()"
    command = [warm.python(), "-c", code, *map(str, words)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def test_a_killed_training_resumes_to_the_same_weights(tiny_stack: Stack, tmp_path: Path) -> None:
    longer = [*SETTINGS, "--epochs", "4"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    run_command("-m", "monai_app", "train", tiny_stack.path, whole, *longer)
    process, pid = begin("train", tiny_stack.path, killed, *longer)
    while not (killed / "models" / "last.ckpt").exists():
        assert process.poll() is None, "training ended before it could be killed"
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    process.communicate(timeout=60)
    resumed = run_command("-m", "monai_app", "train", tiny_stack.path, killed, *longer)
    assert re.search(r"resumed after epoch [1-3] ", resumed.stderr), resumed.stderr
    assert_same_weights(killed, whole)


def test_a_finished_training_is_continued_and_a_kill_changes_nothing_of_that(
    tiny_stack: Stack, trained: Path, tmp_path: Path
) -> None:
    longer = [*SETTINGS, "--epochs", "5"]
    whole, killed = (shutil.copytree(trained, tmp_path / name) for name in ("whole", "killed"))
    continued = run_command("-m", "monai_app", "train", tiny_stack.path, whole, *longer)
    assert "resumed after epoch 2 from" in continued.stderr
    before = (killed / "models" / "last.ckpt").stat().st_mtime_ns
    process, pid = begin("train", tiny_stack.path, killed, *longer)
    while (killed / "models" / "last.ckpt").stat().st_mtime_ns == before:
        assert process.poll() is None, "training ended before it could be killed"
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    process.communicate(timeout=60)
    resumed = run_command("-m", "monai_app", "train", tiny_stack.path, killed, *longer)
    assert re.search(r"resumed after epoch [34] ", resumed.stderr), resumed.stderr
    states = [torch.load(run / "models" / "last.ckpt", weights_only=True) for run in (whole, killed)]
    assert [state["epoch"] for state in states] == [5, 5]
    for name, value in states[0]["network"].items():
        assert torch.equal(value, states[1]["network"][name]), name
    again = run_command("-m", "monai_app", "train", tiny_stack.path, whole, *longer)
    assert "this training is finished" in again.stderr


def test_minutes_are_kept_to_and_planned_once(tiny_stack: Stack, tmp_path: Path) -> None:
    """On a machine that does other things too: if 6 s are too few, those that the message names are taken."""
    run = tmp_path / "run"
    chosen = {"max_epochs", "steps_per_epoch", "patience"}
    settings = as_options({name: value for name, value in TINY.items() if name not in chosen})
    words = ["-m", "monai_app", "train", tiny_stack.path, run, *settings, "--minutes"]
    trained, minutes = run_command(*words, "0.1", check=False, seconds=120), "0.1"
    for _ in range(5):
        if found := re.search(r"give at least ([\d.]+)", trained.stderr):
            minutes = found[1]
            trained = run_command(*words, minutes, check=False, seconds=120)
    assert trained.returncode == 0, trained.stderr
    assert re.search(r"min allow \d+ epochs of \d+ steps, .* measured on cpu", trained.stderr), trained.stderr
    assert re.search(r"GiB of memory and \d+ MiB of disk space", trained.stderr)
    planned = json.loads((run / "run.json").read_text())["planned"]
    done = training_progress(run / "models" / "last.ckpt")
    assert done is not None
    assert done.finished
    assert done.seconds / 60 == pytest.approx(planned["minutes"], rel=0.25)
    before = (run / "configs" / "train.yaml").read_bytes()
    assert "this training is finished" in run_command(*words, minutes).stderr
    assert (run / "configs" / "train.yaml").read_bytes() == before


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGTERM])
def test_a_stopped_segmentation_goes_on_to_the_same_bytes(
    stop: signal.Signals, own_stack: Stack, trained: Path
) -> None:
    segment = ["segment", own_stack.path, trained, "--z", "2:5", "--tile", "16", "--confidence", "max"]
    process, pid = begin(*segment)
    labels = own_stack.path / "labels"
    journal = labels / ".trained.partial" / "journal.jsonl"
    while not journal.exists() or journal.read_text().count("\n") < 5:
        assert process.poll() is None, "segmentation ended before it could be stopped"
        time.sleep(0.005)
    os.kill(pid, stop)
    _, told = process.communicate(timeout=60)
    if stop is not signal.SIGKILL:
        assert process.returncode == STOPPED
        last = told.splitlines()[-1]
        assert re.fullmatch(r"monai-app: stopped with \d+ tiles complete; run the same command to resume", last)
    assert own_stack.label_names() == ()
    resumed = run_command("-m", "monai_app", *segment)
    done = re.search(r"INFO already complete: (\d+) of 90 tiles", resumed.stderr)
    assert done is not None, resumed.stderr
    assert int(done[1]) >= 5
    run_command("-m", "monai_app", *segment, "--labels", "whole")
    for z in range(own_stack.shape[0]):
        np.testing.assert_array_equal(own_stack.read_labels("trained", z), own_stack.read_labels("whole", z))
        confidence = [own_stack.read_map(name, "confidence", z) for name in ("trained", "whole")]
        np.testing.assert_array_equal(confidence[0], confidence[1])
    assert not list(labels.glob(".*.partial"))


def test_every_option_of_segment_reaches_the_bundle(own_stack: Stack, trained_sensor3d: Path, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "mask.tif", np.pad(np.ones((40, 50), np.uint8), ((30, 26), (20, 10))))
    options = ["--z", "2:6", "--y", "10:90", "--x", "5:", "--mask", "mask.tif", "--preview", "2", "--tile", "32,48"]
    options += ["--confidence", "entropy", "--probability", "--memory", "8 GiB", "--labels", "part", "-v"]
    shown = run_command("-m", "monai_app", "segment", own_stack.path, trained_sensor3d, *options, cwd=tmp_path)
    assert own_stack.label_names() == ("part_preview",)
    first = [own_stack.read_map("part_preview", "probability", z) for z in range(8)]
    assert [bool(plane.any()) for plane in first] == [False, False, False, True, False, True, False, False]
    rows, columns = np.nonzero(own_stack.read_labels("part_preview", 3))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (30, 69, 20, 69)
    plan = json.loads((own_stack.path / "labels" / "part_preview" / "plan.json").read_text())["plan"]
    assert plan["tile"] == [32, 48]
    run_command(*printed_command(shown.stderr), cwd=tmp_path)
    for z in range(8):
        np.testing.assert_array_equal(own_stack.read_map("part_preview", "probability", z), first[z])


def test_segmenting_with_an_exported_file_is_what_its_printed_command_does(
    own_stack: Stack, trained: Path, tmp_path: Path
) -> None:
    file = tmp_path / "net.ts"
    exported = run_command("-m", "monai_app", "export", trained, file)
    assert re.search(r"^ +3 +160 +256 +122880 +\d +0.0e\+00 +0$", exported.stdout, re.MULTILINE)
    shown = run_command("-m", "monai_app", "segment", own_stack.path, file, "-v", cwd=tmp_path)
    words = printed_command(shown.stderr)
    words[words.index("--labels_name") + 1] = "again"
    run_command(*words, cwd=tmp_path)
    assert set(own_stack.label_names()) == {"again", "net"}
    for z in range(own_stack.shape[0]):
        np.testing.assert_array_equal(own_stack.read_labels("again", z), own_stack.read_labels("net", z))
    wrong = run_command("-m", "monai_app", "segment", own_stack.path, trained / "run.json", check=False)
    assert wrong.returncode == 3
    assert "run.json does not have the name of an exported model" in wrong.stderr


def test_simulating_and_ingesting_do_what_their_printed_commands_do(tmp_path: Path) -> None:
    small = ["--slices", "8", "--rows", "64", "--columns", "80", "--seed", "3"]
    shown = run_command("-m", "monai_app", "simulate", tmp_path / "first", *small, "-v", fresh=True)
    arguments = [
        word.replace(str(tmp_path / "first"), str(tmp_path / "second")) for word in printed_command(shown.stderr)
    ]
    run_command(*arguments, cwd=tmp_path)
    for path in sorted((tmp_path / "first").rglob("*.tif")):
        other = tmp_path / "second" / path.relative_to(tmp_path / "first")
        np.testing.assert_array_equal(tifffile.imread(path), tifffile.imread(other))

    ingest = ("-m", "monai_app", "ingest", tmp_path / "first" / "sample.yaml", tmp_path / "a.ome.zarr", "-v")
    shown = run_command(*ingest)
    arguments = [word.replace("a.ome.zarr", "b.ome.zarr") for word in printed_command(shown.stderr)]
    run_command(*arguments, cwd=tmp_path)
    assert Stack.open(tmp_path / "a.ome.zarr").identity == Stack.open(tmp_path / "b.ome.zarr").identity


def test_a_model_is_refused_on_other_phases(trained: Path, tmp_path: Path) -> None:
    description = write_tiny_sample(tmp_path / "sample")
    description.write_text(description.read_text().replace("clinker", "slag"))
    run_command("-m", "monai_app", "ingest", description, tmp_path / "other.ome.zarr")
    refused = run_command("-m", "monai_app", "evaluate", tmp_path / "other.ome.zarr", trained, check=False)
    assert refused.returncode == 3
    assert "'slag'" in refused.stderr
    assert "Traceback" not in refused.stderr


def sixteen_bit_sample(folder: Path) -> Path:
    """One 16-bit detector, sides that are not multiple of 16 and smaller than a window, no test slice."""
    description = write_tiny_sample(folder, rows=70, columns=90)
    for path in (folder / "ICE").iterdir():
        tifffile.imwrite(path, tifffile.imread(path).astype(np.uint16) * 257)
    shutil.rmtree(folder / "TLD")
    (folder / "annotations" / "slice_6.tif").unlink()
    text = description.read_text().replace(", TLD: TLD", "").replace("  test: [6]\n", "")
    description.write_text(text)
    return description


def test_sixteen_bit_one_detector_odd_sizes_relative_paths_with_spaces(tmp_path: Path) -> None:
    folder = tmp_path / "my data"
    description = sixteen_bit_sample(folder / "sample")
    run_command("-m", "monai_app", "ingest", "sample/sample.yaml", "one.ome.zarr", cwd=folder)
    options = [*SETTINGS, "--set", "window=[512, 512]", "--slices", "1"]
    run_command("-m", "monai_app", "train", "one.ome.zarr", "run 1", *options, cwd=folder)

    refused = run_command("-m", "monai_app", "evaluate", "one.ome.zarr", "run 1", cwd=folder, check=False)
    assert (refused.returncode, "no test slice" in refused.stderr) == (3, True)
    refused = run_command("-m", "monai_app", "segment", "one.ome.zarr", "run 1", cwd=folder, check=False)
    assert (refused.returncode, "--labels NAME" in refused.stderr) == (3, True)

    refused = run_command(
        "-m", "monai_app", "train", "one.ome.zarr", "run 2", "--variant", "unet_tld_1", check=False, cwd=folder
    )
    assert (refused.returncode, "needs detector 'TLD'" in refused.stderr) == (3, True)
    assert not (folder / "run 2").exists()

    # Another stack of the same kind, without annotations: the phases come with the model.
    text = description.read_text()
    (folder / "sample" / "plain.yaml").write_text(text[: text.index("phases:")])
    run_command("-m", "monai_app", "ingest", "sample/plain.yaml", "plain.ome.zarr", cwd=folder)
    run_command("-m", "monai_app", "segment", "plain.ome.zarr", "run 1", "--labels", "2024_11_22", cwd=folder)
    stack = Stack.open(folder / "plain.ome.zarr")
    labels = np.stack([stack.read_labels("2024_11_22", z) for z in range(8)])
    assert labels.shape == (8, 70, 90)
    assert set(np.unique(labels)) <= {1, 2, 3}
    attributes = json.loads((stack.path / "labels" / "2024_11_22" / "zarr.json").read_text())["attributes"]
    names = [entry["name"] for entry in attributes["ome"]["image-label"]["properties"]]
    assert names == ["unlabelled", "pore", "hydrate", "clinker"]


def test_a_model_of_eight_bit_pixels_is_refused_on_sixteen_bit(trained: Path, tmp_path: Path) -> None:
    description = write_tiny_sample(tmp_path / "sample")
    for path in [*(tmp_path / "sample" / "ICE").iterdir(), *(tmp_path / "sample" / "TLD").iterdir()]:
        tifffile.imwrite(path, tifffile.imread(path).astype(np.uint16) * 257)
    run_command("-m", "monai_app", "ingest", description, tmp_path / "deep.ome.zarr")
    refused = run_command("-m", "monai_app", "segment", tmp_path / "deep.ome.zarr", trained, check=False)
    assert refused.returncode == 3
    assert "are uint16, but the model was trained on uint8" in refused.stderr
    assert Stack.open(tmp_path / "deep.ome.zarr").label_names() == ()


def test_a_finished_training_is_left_as_it_is(tiny_stack: Stack, trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path / "run")
    again = run_command("-m", "monai_app", "train", tiny_stack.path, tmp_path / "run", *SETTINGS)
    assert "this training is finished" in again.stderr
    assert_same_weights(tmp_path / "run", trained)


def test_a_tiff_folder_in_the_way_is_refused_before_anything_is_segmented(
    own_stack: Stack, trained: Path, tmp_path: Path
) -> None:
    (tmp_path / "tiff").mkdir()
    (tmp_path / "tiff" / "notes.txt").touch()
    refused = run_command(
        "-m", "monai_app", "segment", own_stack.path, trained, "--tiff", tmp_path / "tiff", check=False
    )
    assert (refused.returncode, "tiff exists" in refused.stderr) == (3, True)
    assert own_stack.label_names() == ()
