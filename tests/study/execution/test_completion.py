"""One run: damaged files, annotations that change meanwhile, and others that are at it."""

import json
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from typer.testing import CliRunner

from monai_app.cli import app
from monai_app.cli.progress import progress_bar
from monai_app.errors import BusyError, FailedError
from monai_app.files import lock, lock_path
from monai_app.stack import Stack
from monai_app.study import Design, read_design, runs_of
from monai_app.study.conduct import conduct
from monai_app.study.design import write_design
from monai_app.study.execution.commands import Commands
from monai_app.study.execution.completion import Completion, complete
from monai_app.study.runs import StudyRun
from monai_app.study.setup import alone_in, begin_study

DESIGN = Design(variants=("otsu_ICE_1",), seeds=(0,))


def again(stack: Stack, folder: Path) -> None:
    CliRunner().invoke(app, ["study", str(stack.path), str(folder)], catch_exceptions=False)


def test_a_damaged_file_is_named_and_the_other_runs_count(
    study: tuple[Path, str], tiny_stack: Stack, tmp_path: Path
) -> None:
    folder = shutil.copytree(study[0], tmp_path / "s")
    network, _, thresholds = runs_of(read_design(folder / "design.yaml"), [tiny_stack], folder)
    network.record.write_text("{}")
    thresholds.learned.write_text(thresholds.learned.read_text()[:50])
    with pytest.raises(FailedError, match="2 of 3 runs failed") as raised:
        again(tiny_stack, folder)
    for run, file in ((network, network.record), (thresholds, thresholds.learned)):
        (said,) = (line for line in str(raised.value).splitlines() if line.startswith(run.name))
        assert f"{file} is damaged" in said
        assert said.endswith("remove it, and run the command again")
    document = json.loads((folder / "results.json").read_text())
    assert [row["variant"] for row in document["runs"]] == ["unet_ICE+TLD_1"]
    network.record.unlink()
    assert not complete(network, read_design(folder / "design.yaml"), Commands({})).error


def test_a_baseline_of_annotations_that_changed_meanwhile_is_not_done(tiny_stack: Stack, tmp_path: Path) -> None:
    class Annotated:
        def run(self, log: Path, command: Sequence[str], *words: object) -> None:
            run.learned.parent.mkdir(parents=True)
            run.learned.write_text(json.dumps({"stack_identity": "another"}))

    (run,) = runs_of(DESIGN, [tiny_stack], tmp_path)
    completion = complete(run, DESIGN, cast(Any, Annotated()))
    assert "was annotated meanwhile; run the same command again" in completion.error


def test_a_training_that_is_about_to_end_is_waited_for(
    study: tuple[Path, str], tiny_stack: Stack, tmp_path: Path
) -> None:
    folder = shutil.copytree(study[0], tmp_path / "s")
    run: StudyRun = runs_of(read_design(folder / "design.yaml"), [tiny_stack], folder)[0]
    found = list[Completion]()
    waiting = threading.Thread(target=lambda: found.append(complete(run, DESIGN, Commands({}))), daemon=True)
    with lock(lock_path(run.folder / "models" / "last.ckpt")):
        waiting.start()
        waiting.join(0.3)
        assert not found
    waiting.join()
    assert found == [Completion(False)]


def test_two_commands_are_not_at_one_study(study: tuple[Path, str], tiny_stack: Stack, tmp_path: Path) -> None:
    folder = shutil.copytree(study[0], tmp_path / "s")
    design = (folder / "design.yaml").read_text()
    with alone_in(folder), pytest.raises(BusyError, match=f"{folder} is a study in use by another command; wait"):
        CliRunner().invoke(app, ["study", str(tiny_stack.path), str(folder), "--seeds", "0,1"], catch_exceptions=False)
    assert (folder / "design.yaml").read_text() == design


def test_a_design_that_another_command_changed_is_not_carried_out(
    study: tuple[Path, str], tiny_stack: Stack, tmp_path: Path
) -> None:
    folder = shutil.copytree(study[0], tmp_path / "s")
    stacks, folder, design = begin_study([tiny_stack.path, folder], None, None, None)
    write_design(design.replaced(seeds=(*design.seeds, 7)), folder / "design.yaml")
    page = (folder / "results.md").read_text()
    with pytest.raises(BusyError, match=r"another command changed .*design\.yaml"):
        conduct(stacks, folder, design, "", jobs=1, cluster=None, report=print, progress=progress_bar)
    assert (folder / "results.md").read_text() == page
