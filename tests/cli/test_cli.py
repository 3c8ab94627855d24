"""The command line answers fast and refuses cleanly."""

import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from monai_app import __version__, cli
from monai_app.stack import Stack
from tests.conftest import TINY, run_command

COMMANDS = ["simulate", "ingest", "inspect", "train", "evaluate", "segment", "settings"]


def test_help_answers_in_under_a_second() -> None:
    """Of computing: what else the machine does is not counted."""
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        shown = run_command("-m", "monai_app", "--help", fresh=True).stdout
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert all(command in shown for command in COMMANDS)
        if (seconds := after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime) < 1:
            break
    assert seconds < 1


def test_every_command_has_help_without_importing_torch() -> None:
    script = (
        "import sys\nfrom monai_app.cli import app\n"
        "for command in sys.argv[1:]:\n"
        "    try:\n        app([command, '--help'])\n    except SystemExit:\n        pass\n"
        "    assert not {'torch', 'monai'} & set(sys.modules), command\n"
    )
    shown = run_command("-c", script, *COMMANDS, fresh=True).stdout
    assert re.findall(r"Usage: .*?(\w+) \[OPTIONS\]", shown) == COMMANDS


def test_the_version() -> None:
    assert run_command("-m", "monai_app", "--version").stdout == f"monai-app {__version__}\n"


def test_help_lists_every_command_in_a_section_with_its_whole_summary() -> None:
    shown = run_command("-m", "monai_app", "-h").stdout
    words = " ".join(shown.split())
    assert "..." not in words.replace("[ARGS]...", "")
    for title, commands in cli.SECTIONS.items():
        for command in commands:
            summary = " ".join((command.__doc__ or "").partition("\n")[0].split())
            assert words.index(f"{title}: ") < words.index(f" {command.__name__} {summary}")
    assert " save " not in words


@pytest.mark.parametrize("command", [command.__name__ for command in cli.COMMANDS])
def test_help_names_values_and_no_types(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.app([command, "-h"], prog_name="monai-app")
    shown = capsys.readouterr().out
    assert not re.search(r"<[a-z]|list\[|[<>]=|--no-(overwrite|trust|schema|merge|yes|probability)\b", shown)
    assert f"Usage: monai-app {command} [OPTIONS] " in shown


def test_the_shell_completes_commands() -> None:
    asked = {"COMP_WORDS": "monai-app seg", "COMP_CWORD": "1", "_MONAI_APP_COMPLETE": "complete_bash"}
    command = [sys.executable, "-m", "monai_app"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | asked)
    assert done.stdout == "segment\n"


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        ("train STACK RUN", "run the same command to resume"),
        ("train STACK RUN --overwrite", "run the same command without --overwrite to resume"),
        ("segment STACK RUN --overwrite", "run the same command to resume"),
        ("evaluate STACK RUN", "run the same command to start over"),
        ("evaluate STACK RUN --leave-one-out", "run the same command to resume"),
        ("inspect STACK", "run the same command to start over"),
    ],
)
def test_ctrl_c_says_how_to_resume(
    words: str, advice: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*given: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("monai_app.stack.Stack.open", interrupted)
    monkeypatch.setattr("monai_app.inspection.open_images", interrupted)
    monkeypatch.setattr("monai_app.api.running.trained_run", interrupted)
    monkeypatch.setattr(sys, "argv", ["monai-app", *words.split()])
    monkeypatch.setattr(sys, "stdout", sys.stdout)  # whose write is wrapped
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 130
    assert capsys.readouterr().err == f"monai-app: stopped; {advice}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "nowhere.ome.zarr", "run"], "nowhere.ome.zarr"),
        (["ingest", "nowhere.yaml", "x.ome.zarr"], "nowhere.yaml"),
        (["segment", "STACK", "nowhere"], "nowhere does not exist; give a run folder"),
        (
            ["train", "STACK", "run", "--set", "crop=192"],
            "crop: 192 is not a list of 2 integers",
        ),
        (["train", "STACK", "run", "--epochs", "0"], "max_epochs: 0 is not an integer from 1 to 1000000"),
        (["train", "STACK", "run", "--size", "huge"], "choose one of paper, small"),
        (["train", "STACK", "run", "--bundle", "vnet"], "fibsem_unet_segmentation"),
        (["train", "STACK", "run", "--detectors", "ETD"], "'ETD'"),
        (["train", "STACK", "run", "--variant", "unet"], "choose one of sensor3d_ice"),
        (["train", "STACK", "run"], "no larger than the slices"),
        (["train", "STACK", "run", "--processes", "0"], "processes 0: must be 1 or more"),
        (["train", "STACK", "run", "--processes", "3"], "batch_size 4 and 3 processes"),
        (["train", "STACK", "run", "--tracking", "wandb"], "choose mlflow"),
        (["evaluate", "STACK", "RUN", "--processes", "0"], "processes 0: must be 1 or more"),
        (["train", "STACK", "run", "--device", "cuda:99"], "device 'cuda:99' does not exist on this machine; choose"),
        (["train", "STACK", "run", "--device", "cpu", "--processes", "2"], "its own device; leave it out"),
        (["evaluate", "STACK", "RUN", "--device", "gpu"], "device 'gpu' does not exist on this machine; choose one of"),
        (["segment", "STACK", "RUN", "--device", "gpu"], "device 'gpu' does not exist on this machine; choose one of"),
        (["simulate", "sample", "--slices", "-1"], "slices"),
        (["segment", "STACK", "RUN", "--z", "9:12"], "--z 9:12 is not within the slices 0 to 7"),
        (["segment", "STACK", "RUN", "--mask", "nowhere.tif"], "nowhere.tif does not exist, and is none of the label"),
        (["segment", "STACK", "RUN", "--memory", "much"], "memory 'much': must be a size such as 4GiB"),
        (["segment", "STACK", "RUN", "--tile", "30"], "30 must be a multiple of the network's stride 16"),
        (["segment", "STACK", "RUN", "--workers", "2", "--cluster", "tcp://x:1"], "leave out --workers 2"),
    ],
)
def test_user_errors_are_one_clean_message(
    arguments: list[str], message: str, tiny_stack: Stack, trained: Path, tmp_path: Path
) -> None:
    places = {"STACK": str(tiny_stack.path), "RUN": str(trained)}
    words = [places.get(word, word) for word in arguments]
    result = run_command("-m", "monai_app", *words, check=False, cwd=tmp_path)
    assert result.returncode == 3
    assert message in result.stderr
    assert result.stderr.startswith("monai-app: ")
    assert "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_settings_lists_those_of_a_bundle_in_every_size_and_those_of_a_run(trained: Path) -> None:
    lines = run_command("-m", "monai_app", "settings").stdout.splitlines()
    assert lines[0].split() == ["setting", "paper", "small", "type", "meaning"]
    (line,) = (line for line in lines if line.startswith("learning_rate "))
    assert re.split("  +", line)[:4] == ["learning_rate", "0.001", "0.003", "number above 0 and of at most 10"]
    lines = run_command("-m", "monai_app", "settings", trained).stdout.splitlines()
    assert lines[0].split() == ["setting", "value", "type", "meaning"]
    (line,) = (line for line in lines if line.startswith("max_epochs "))
    assert line.split()[1] == str(TINY["max_epochs"])


@pytest.mark.parametrize(("of", "content"), [("sample", {}), ("simulator", {"rows": 0}), ("training", {"crop": 5})])
def test_settings_gives_schemas_by_which_editors_find_errors(of: str, content: dict[str, object]) -> None:
    schema = json.loads(run_command("-m", "monai_app", "settings", "--of", of, "--schema").stdout)
    assert not jsonschema.Draft202012Validator(schema).is_valid(content)
    assert of == "sample" or jsonschema.Draft202012Validator(schema).is_valid({})
