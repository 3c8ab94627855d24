import shlex
from pathlib import Path

import fire
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from monai.bundle import ConfigParser

from monai_app.bundle.command import BundleCommand
from monai_app.bundle.configs.settings import literally
from monai_app.errors import ConfigError

plain = st.text(st.characters(codec="ascii", exclude_characters="#$@%\x00"), min_size=1).filter(
    lambda text: not text.startswith("-")
)


@given(
    st.one_of(
        plain,
        st.sampled_from(["2024_11_22", "3", "1e5", "None", "[1]", "[a]", "{a: b}", "A\r", "A ", "my run"]),
        st.booleans(),
    )
)
def test_the_printed_line_carries_every_value_as_it_is(value: object) -> None:
    command = BundleCommand((Path("train.yaml"),), {"labels_name": value})
    words = shlex.split(str(command))
    assert words[:4] == ["python", "-m", "monai.bundle", "run"]
    received = {}
    fire.Fire(lambda **options: received.update(options), command=words[4:])
    assert received == {"config_file": "train.yaml", "labels_name": value}


def test_several_configs_are_one_argument() -> None:
    command = BundleCommand((Path("a b/train.yaml"), Path("evaluate.yaml")))
    received = {}
    fire.Fire(lambda **options: received.update(options), command=command.arguments[1:])
    assert received["config_file"] == ["a b/train.yaml", "evaluate.yaml"]
    assert str(command).endswith("""run --config_file "['a b/train.yaml', 'evaluate.yaml']\"""")
    assert shlex.split(str(command))[3:] == command.arguments


@given(st.text(st.characters(codec="utf-8", exclude_characters="\x00\r")))
@example("it's $HOME")
@example("'`id`'")
@example("'\\'")
def test_any_path_is_one_word_of_the_printed_line(name: str) -> None:
    command = BundleCommand((Path("train.yaml"),), {"bundle_root": f"/{name}"})
    assert shlex.split(str(command))[3:] == command.arguments


def test_several_processes_run_the_very_line_that_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    launched: list[tuple[list[str], int]] = []
    monkeypatch.setattr("monai_app.bundle.command.launch", lambda *arguments: launched.append(arguments))
    command = BundleCommand((Path("train.yaml"), Path("multi_gpu_train.yaml")), {"amp": False}, processes=3)
    command.run()
    words = shlex.split(str(command))
    assert words[:4] == ["torchrun", "--standalone", "--nproc_per_node", "3"]
    assert launched == [(words[4:], 3)]
    assert words[-2:] == ["--amp", "False"]


@given(st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1))
@example("/data/sample #3.ome.zarr")
@example("$1 @home 50%'\\#\"")
def test_paths_that_monai_would_read_come_through(path: str) -> None:
    config = {"dataset_dir": ".", "found": {"path": "@dataset_dir"}, "below": "$@dataset_dir + '/models'"}
    parser = ConfigParser(config)
    parser.update(literally({"dataset_dir": path}))
    assert parser.get_parsed_content("found") == {"path": path}
    assert parser.get_parsed_content("below") == path + "/models"


def test_a_training_that_fills_the_memory_of_a_gpu_says_what_to_lower(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(**_: object) -> None:
        try:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nmore")
        except torch.OutOfMemoryError as error:
            raise RuntimeError("trainer failed") from error  # as MONAI wraps what fails in a config

    monkeypatch.setattr("monai.bundle.run", run)
    command = BundleCommand((Path("train.yaml"),))
    with pytest.raises(
        ConfigError, match=r"GPU's memory is full \(CUDA .* GiB\.\); train with .* \(--set batch_size=4\)"
    ):
        command.run()
    monkeypatch.setattr("monai.bundle.run", lambda **_: dict[str, int]()["a bug"])
    with pytest.raises(KeyError):
        command.run()
