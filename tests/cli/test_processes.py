"""Training and evaluating in two processes, for real: as in one, and through a kill."""

import json
import re
import shutil
import sqlite3
from pathlib import Path

import pytest
import torch
from monai.bundle import ConfigParser
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from monai_app.api.running import run_command as bundle_command
from monai_app.bundle.configs.templates import size_path, template_path
from monai_app.bundle.run_folder import prepare
from monai_app.stack import Stack, ingest
from tests.conftest import TINY, TINY_SENSOR3D, as_options, run_command, write_tiny_sample

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning", "ignore::ResourceWarning")

BATCH = "$lambda batch, device, *_, **__: (batch['image'].to(device).double(), batch['label'].to(device))"


def prepared(run: Path, stack: Stack, network: str, settings: dict[str, object]) -> Path:
    """A run folder as the command makes it, but computing in double precision.

    Rounding in float32 is enough to lead two trainings apart within tens of steps. In double precision whatever is left
    is another computation.
    """
    template = template_path(f"fibsem_{network}_segmentation")
    prepare(template, stack, run, overlays=[size_path(template.name, "small")], settings=settings)
    for name in ("train", "multi_gpu_train"):
        path = run / "configs" / f"{name}.yaml"
        text = re.sub(r"^(network: .*@network_def)\b", r"\1.double()", path.read_text(), flags=re.MULTILINE)
        # YAML quotes as it likes.
        path.write_text(re.sub(r"^    amp: .@amp.$", f'\\g<0>\n    prepare_batch: "{BATCH}"', text, flags=re.MULTILINE))
    return run


def run_here(run: Path, stack: Stack, *configs: str, **changes: object) -> ConfigParser:
    """Run configs of a run folder in this process."""
    parser = ConfigParser(ConfigParser.load_config_files([run / "configs" / f"{name}.yaml" for name in configs]))
    parser.update({"bundle_root": str(run), "dataset_dir": str(stack.path), **changes})
    parser.get_parsed_content("imports")
    for part in ("initialize", "run", "finalize"):
        for number in range(len(parser[part])):
            parser.get_parsed_content(f"{part}::{number}")
    return parser


def curves(run: Path) -> dict[str, list[tuple[int, float]]]:
    """Loss and metric by step: the last that was written for it, when an epoch was begun twice."""
    events = EventAccumulator(str(run / "eval")).Reload()
    names = ("train_loss", "val_mean_iou")
    return {name: sorted({event.step: event.value for event in events.Scalars(name)}.items()) for name in names}


def assert_the_same_training(one: Path, other: Path) -> None:
    for name, curve in curves(one).items():
        assert [step for step, _ in curves(other)[name]] == [step for step, _ in curve]
        assert [value for _, value in curves(other)[name]] == pytest.approx([value for _, value in curve], abs=1e-6)
    states = [torch.load(run / "models" / "last.ckpt", weights_only=True) for run in (one, other)]
    assert states[0]["best_model"]["metric"] == pytest.approx(states[1]["best_model"]["metric"], abs=1e-6)
    for part in ("network", "ema"):
        assert list(states[0][part]) == list(states[1][part])
        for name, value in states[0][part].items():
            # Adam and the normalisation of channels that are nearly constant multiply rounding, to some 1e-6 here.
            torch.testing.assert_close(states[1][part][name], value, rtol=0, atol=1e-4, msg=name)
    metadata = (json.loads((run / "configs" / "metadata.json").read_text()) for run in (one, other))
    first, second = (each["calibration"] for each in metadata)
    assert first["pixels"] == second["pixels"]
    assert first["temperature"] == pytest.approx(second["temperature"], rel=1e-2)


def test_two_processes_one_of_which_is_killed_train_as_one_does(tiny_stack: Stack, tmp_path: Path) -> None:
    one, two = (prepared(tmp_path / name, tiny_stack, "unet", TINY) for name in ("one", "two"))
    run_here(one, tiny_stack, "train")
    config = two / "configs" / "train.yaml"
    whole = config.read_text()
    os = "monai_app.training.processes.os"  # MONAI reads an expression with the word import otherwise
    kill = f"{os}.kill({os}.getpid(), 9) if @rank == 1 else None"
    second_epoch = "ignite.engine.Events.ITERATION_COMPLETED(once=5)"
    line = f'"$@train::trainer.add_event_handler({second_epoch}, lambda: {kill})"'
    config.write_text(re.sub(r"^( *- ).*@resume\.attach.*$", rf"\g<0>\n\1{line}", whole, flags=re.MULTILINE))
    command = ["-m", "monai_app", "train", tiny_stack.path, two, *as_options(TINY)]
    command += ["--processes", "2", "--tracking", "mlflow", "--trust"]
    killed = run_command(*command, check=False)
    assert killed.returncode == 3
    told = killed.stderr.splitlines()[-1]
    assert re.fullmatch(r"monai-app: process 2 of 2, pid \d+, was killed by SIGKILL .* to resume", told)
    checkpoint = torch.load(two / "models" / "last.ckpt", weights_only=True)
    assert checkpoint["epoch"] == 1

    config.write_text(whole)
    checkpoint["settings"]["initialize"].pop()  # the line that killed, as if it had never been there
    torch.save(checkpoint, two / "models" / "last.ckpt")
    resumed = run_command(*command)
    assert "resumed after epoch 1" in resumed.stderr
    assert resumed.stderr.count("INFO epoch 2/2") == 1  # rank 0 alone tells
    assert_the_same_training(one, two)

    # Rank 0 alone writes: an event file a run, no half files, one MLflow run with all steps.
    assert len(list((two / "eval").glob("events.*"))) == 2
    assert sorted(path.name for path in (two / "models").iterdir()) == ["last.ckpt", "model.pt"]
    with sqlite3.connect(two / "eval" / "mlruns.db") as tracked:
        steps = dict(tracked.execute("select key, max(step) from metrics group by key"))
        assert (steps["train_loss"], steps["val_mean_iou"]) == (6, 2)
        assert tracked.execute("select status from runs").fetchall() == [("FINISHED",)]
    tracked.close()

    # A run begun in two processes goes on in one, and says that it is finished.
    run_here(two, tiny_stack, "train")
    assert_the_same_training(one, two)


def test_sensor3d_trains_in_two_processes_as_in_one(tmp_path: Path) -> None:
    """By the command that is printed. With fewer slices than processes: one validates nothing."""
    description = write_tiny_sample(tmp_path / "sample")
    description.write_text(description.read_text().replace("[1, 3, 5]", "[3]").replace("[6]", "[1, 5, 6]"))
    stack = ingest(description, tmp_path / "one.ome.zarr")
    settings = {**TINY_SENSOR3D, "norm": "batch"}
    one, many = (prepared(tmp_path / name, stack, "sensor3d", settings) for name in ("one", "many"))
    run_here(one, stack, "train")
    command = bundle_command(many, [stack.path], ("train",), 2)
    assert command.words[:4] == ["torchrun", "--standalone", "--nproc_per_node", "2"]
    run_command("-m", "torch.distributed.run", *command.words[1:], cwd=tmp_path)
    assert_the_same_training(one, many)


def test_two_processes_give_the_scores_of_one(trained: Path, tmp_path: Path) -> None:
    description = write_tiny_sample(tmp_path / "sample", slices=9)  # not the images that were trained on
    description.write_text(description.read_text().replace("[1, 3, 5]", "[1]").replace("[6]", "[3, 5, 6]"))
    stack = ingest(description, tmp_path / "three.ome.zarr")
    one, two = tmp_path / "one" / "run", tmp_path / "two" / "run"
    for run in (one, two):
        shutil.copytree(trained, run)
    run_here(one, stack, "train", "evaluate")
    shown = run_command("-m", "monai_app", "evaluate", stack.path, two, "--processes", "2", "-v")
    assert "$ torchrun" in shown.stderr
    scores = [(run / "eval" / "test" / "three" / "scores.json").read_bytes() for run in (one, two)]
    assert scores[0] == scores[1]
    assert json.loads(scores[0])["slices"] == [3, 5, 6]
    for z in (3, 5, 6):
        pictures = [(run / "eval" / "test" / "three" / f"slice_{z:04d}.png").read_bytes() for run in (one, two)]
        assert pictures[0] == pictures[1]


@pytest.mark.parametrize("amp", [True, False])
def test_mixed_precision_reaches_both_engines_and_trains_on_a_cpu(
    amp: bool, tiny_stack: Stack, trained: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained / "configs", run / "configs")
    words = bundle_command(run, [tiny_stack.path], ("train",), 1, amp=amp, tracking=None).words
    assert words[-2:] == ["--amp", str(amp)]
    assert "--tracking" not in words
    parser = run_here(run, tiny_stack, "train", amp=amp, max_epochs=1, steps_per_epoch=1)
    engines = [parser.get_parsed_content(name) for name in ("train::trainer", "validate::evaluator")]
    assert [engine.amp for engine in engines] == [amp, amp]
    assert [step for step, _ in curves(run)["train_loss"]] == [1]
