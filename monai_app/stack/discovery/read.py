"""Reading the description of a sample from its file or folder."""

from pathlib import Path

from monai_app.domain.validation import validated
from monai_app.errors import ConfigError, Faults
from monai_app.files import atomic_file, check_file_target
from monai_app.stack.discovery.describe import describe, questions
from monai_app.stack.discovery.discover import Report, discover
from monai_app.stack.ingestion.description import SampleDescription
from monai_app.stack.ingestion.questions import check_answered
from monai_app.stack.ingestion.sample import check_sample
from monai_app.stack.places import check_outside_stores
from monai_app.yamlfile import parse_yaml, read_yaml

DESCRIPTION = "sample.yaml"
"""File name of the description in a sample's folder."""

_OF_IMAGES = ("voxel_nm", "detectors", "grey", "numbers", "independent", "breaks", "accept")
"""Entries by which images are checked."""


def read_description(path: Path, report: Report = lambda line: None) -> SampleDescription:
    """Read a description; for a folder without one, inspect its files.

    Args:
        path: the description, or the folder of a sample.
        report: called with what was found in a folder, line by line.

    Raises:
        ConfigError: the description is invalid, or has open questions.
        StackError: the folder holds no images.
    """
    if not path.is_dir():
        return _read(path)
    if (path / DESCRIPTION).is_file():
        report(f"description: {path / DESCRIPTION}")
        return _read(path / DESCRIPTION)
    folder = path.absolute()
    text = describe(discover([folder], report), folder)
    if asked := questions(text):
        shown = "\n".join(asked)
        raise ConfigError(
            f"{path} leaves questions open; write a description with 'monai-app init {path}', answer them in it, and "
            f"ingest that:\n{shown}"
        )
    return validated(SampleDescription, parse_yaml(text, str(path)), str(path), context=folder)


def _read(path: Path) -> SampleDescription:
    """Read a description; if it is invalid, also report errors of the images."""
    check_answered(path)
    faults = Faults()
    with faults.noted():
        return SampleDescription.from_yaml(path)
    with faults.noted():
        content = read_yaml(path)
        if isinstance(content, dict) and "detectors" in content:
            images = {key: content[key] for key in _OF_IMAGES if key in content}
            check_sample(validated(SampleDescription, {"name": "sample", **images}, path, context=path.parent))
    faults.check()
    raise AssertionError("an unreadable description is an error")


def write_description(paths: list[Path], target: Path, *, overwrite: bool, report: Report) -> list[str]:
    """Inspect the files of a sample and write its description.

    Args:
        paths: its folder, or its folders and files.
        target: the file to write.
        overwrite: replace an existing file.
        report: called with what was found, line by line.

    Returns:
        The open questions.

    Raises:
        TargetExistsError: the file exists.
        ConfigError: a path does not exist, or the target is not YAML file.
        StackError: there are no images.
    """
    _check_target(target, overwrite)
    text = describe(discover(paths, report), target.absolute().parent, ask_for_phases=True)
    with atomic_file(target) as partial:
        partial.write_text(text, encoding="utf-8")
    return questions(text)


def _check_target(target: Path, overwrite: bool) -> None:
    if target.suffix not in (".yaml", ".yml"):
        raise ConfigError(f"{target} does not end in .yaml; name it, for example, {target.stem}.yaml")
    if target.is_dir():
        raise ConfigError(f"{target} is a folder; give the name of a file")
    check_outside_stores(target.absolute())
    check_file_target(target, overwrite=overwrite)
