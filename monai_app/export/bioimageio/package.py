"""A trained run as a bioimage.io model, tested by bioimageio.core before it is published."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from monai_app.bundle.configs.settings import read_json
from monai_app.bundle.model import load_model
from monai_app.bundle.packages.description import provenance_of, score_table
from monai_app.bundle.packages.package import check_target, read_scores
from monai_app.domain.model_spec import ModelSpec
from monai_app.errors import ConfigError
from monai_app.export.bioimageio.credits import Credits, citations
from monai_app.export.bioimageio.description import channel_ids, description
from monai_app.export.bioimageio.tensors import Probabilities, Sides, make_test_tensors
from monai_app.export.networks import quiet_torchscript
from monai_app.export.writers import write_torchscript
from monai_app.files import atomic_file
from monai_app.inference.tiling.receptive_field import measure_halo
from monai_app.progress import counted
from monai_app.stack import Stack
from monai_app.temporary import temporary_folder


def package_bioimageio(
    run: Path, stack: Stack, target: Path, credits: Credits, *, unscored: bool = False, overwrite: bool = False
) -> Path:
    """Write a trained run as a bioimage.io model, format 0.5, and let bioimageio.core test it.

    The weights are TorchScript that ends in a softmax; the scaling of grey values is the model's preprocessing.

    Args:
        run: run folder with trained weights.
        stack: whose pixels become the test input.
        target: file to write, ``NAME.zip``.
        credits: authors, licence and citations.
        unscored: allow a model without scores.
        overwrite: replace an existing file.

    Raises:
        ConfigError: credits are missing, bioimageio.core is not installed or its test fails, the weights were not
            scored or were replaced meanwhile, or the target's name does not end in ``.zip``; nothing is written then.
        TargetExistsError: the file exists and may not be replaced.
        StackError: the stack's pixels are of another type than the model's, or it was replaced meanwhile.
    """
    credits.check()
    check_target(target, run, overwrite=overwrite)
    _check_installed()
    _check_rules(credits)
    model = load_model(run)
    scores, provenance = read_scores(run, model, unscored), provenance_of(run, model, stack)
    spec = model.spec.replaced(halo=measure_halo(model))
    sides = Sides(spec.stride, spec.halo or 0)
    with temporary_folder("bioimageio") as work, atomic_file(target.absolute()) as partial:
        names = {
            "input": "test_input.npy",
            "output": "test_output.npy",
            "weights": "model.ts",
            "documentation": "README.md",
        }
        files = {key: work / name for key, name in names.items()}
        image, probabilities = make_test_tensors(model, stack, sides)
        np.save(files["input"], image)
        np.save(files["output"], probabilities)
        write_torchscript(Probabilities(model.network, model.temperature).eval(), {}, files["weights"])
        readme = _readme(target.stem, spec, sides, score_table(scores), run / "docs" / "README.md")
        files["documentation"].write_text(readme, encoding="utf8")
        metadata = read_json(run / "configs" / "metadata.json", ())
        _write(description(target.stem, files, spec, sides, credits, metadata, provenance), partial)
        _test(partial)
        stack.check_unchanged()
        model.origin.check()
    return target


def _check_installed() -> None:
    try:
        import_module("bioimageio.core")
    except ImportError as error:
        raise ConfigError(
            f"bioimage.io models need a package that is not installed ({error}); pip install 'monai-app[bioimageio]'"
        ) from error


def _check_rules(credits: Credits) -> None:
    """Check the credits by the format's own rules, before the long work."""
    from bioimageio.spec.model import v0_5
    from pydantic import TypeAdapter, ValidationError

    given: list[tuple[str, Any, Any]] = [("license", v0_5.LicenseId, credits.license)]
    given += [("author", v0_5.Author, entry) for entry in credits.author_entries()]
    given += [("cite", v0_5.CiteEntry, entry) for entry in citations(credits.cite)]
    for option, kind, entry in given:
        try:
            TypeAdapter(kind).validate_python(entry)
        except ValidationError as error:
            fault = error.errors()[0]
            rule = "an SPDX identifier" if option == "license" else fault["msg"]
            raise ConfigError(
                f"--{option} {fault['input']!r} breaks a rule of bioimage.io: {rule}; correct it"
            ) from error


def _write(content: Mapping[str, Any], path: Path) -> None:
    from bioimageio.spec import save_bioimageio_package
    from bioimageio.spec.model.v0_5 import ModelDescr
    from pydantic import ValidationError

    with _quiet():
        try:
            save_bioimageio_package(ModelDescr(**content), output_path=path)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            raise ConfigError(
                f"{place} {first['input']!r} breaks a rule of bioimage.io ({first['msg']}); correct it"
            ) from error


def _test(path: Path) -> None:
    """Let bioimageio.core load the model, run it and compare its output with the test tensor."""
    from bioimageio.core import test_model

    with _quiet(), quiet_torchscript():
        summary = test_model(path)
    if summary.status != "passed":
        errors = {error.msg.strip().splitlines()[-1] for detail in summary.details for error in detail.errors}
        raise ConfigError(f"bioimageio.core's test of the model fails ({'; '.join(errors)}); nothing was written")


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave out what bioimageio logs to the terminal while it works."""
    logger = import_module("loguru").logger
    logger.disable("bioimageio")
    try:
        yield
    finally:
        logger.enable("bioimageio")


def _readme(name: str, spec: ModelSpec, sides: Sides, scores: Sequence[str], bundle: Path) -> str:
    channels = zip(channel_ids(spec.channel_name), spec.channel_name, strict=True)
    phases = zip(channel_ids(spec.phase_names), spec.phases, strict=True)
    lines = [
        f"# {name}",
        "",
        "## Input",
        "",
        f"Raw {spec.dtype} grey values, axes batch, channel, y, x. The channels, in this order:",
        "",
        *(f"- `{channel}`: {_place(text)}" for channel, text in channels),
        "",
        "At the ends of a stack the end slice is repeated. The preprocessing scales every channel by fixed numbers.",
        f"Rows and columns are {sides.least} + n x {sides.step}; {sides.halo} pixels at each side of the output "
        "depend on pixels outside and must be cropped (`halo`).",
        "",
        "## Output",
        "",
        "The probability of every phase for that slice, softmax of the logits divided by the model's temperature (1 "
        "if it is not calibrated); the label of a pixel is the index of the maximum:",
        "",
        *(f"- {phase.value}: `{channel}`, {phase.name}, colour {phase.colour}" for channel, phase in phases),
        "",
        "## Validation",
        "",
        *scores,
        "",
        "Check it on an annotated slice that was not used for training.",
        "",
    ]
    rest = bundle.read_text(encoding="utf8") if bundle.is_file() else ""
    return "\n".join(lines) + "\n" + rest


def _place(channel: str) -> str:
    """A channel in words: ``z-1:ICE`` is ICE, one slice before."""
    place, _, detector = channel.partition(":")
    offset = int(place.removeprefix("z") or 0)
    side = "before" if offset < 0 else "after"
    where = "the slice to segment" if not offset else f"{counted(abs(offset), 'slice')} {side} it"
    return f"{detector}, {where}"
