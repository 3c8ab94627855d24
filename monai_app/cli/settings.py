"""``monai-app settings``."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from monai_app.errors import ConfigError
from monai_app.files import is_not


def settings(
    run: Annotated[Path | None, typer.Argument(help="Run folder whose values are listed. [default: a bundle]")] = None,
    bundle: Annotated[str | None, typer.Option(help="Bundle. [default: fibsem_unet_segmentation]")] = None,
    of: Annotated[
        Literal["training", "sample", "simulator"],
        typer.Option(help="Which settings to list: those of train --set, of sample.yaml or of simulate --config."),
    ] = "training",
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON schema of the settings file, for editors.")
    ] = False,
) -> None:
    """List the settings of training, of sample.yaml or of the simulator.

    Each line has the setting's value, type, range, unit and meaning.
    """
    from monai_app.bundle.configs.plain import read_config
    from monai_app.bundle.configs.settings import read_overlays
    from monai_app.bundle.configs.templates import DEFAULT_BUNDLE, config_names, size_path, template_path
    from monai_app.bundle.configs.training_settings import list_settings, settings_of
    from monai_app.domain.schemas import Setting, document_schema, settings_table
    from monai_app.domain.validation import Strict
    from monai_app.phantom import PhantomConfig
    from monai_app.stack import SampleDescription

    bundle = DEFAULT_BUNDLE if bundle is None else bundle
    config = (run or template_path(bundle)) / "configs" / "train.yaml"
    if run is not None and not config.is_file():
        raise ConfigError(f"{is_not(run, 'a run folder (it has no configs/train.yaml)')}; give a run folder")
    training = read_config(config)
    files: dict[str, type[Strict]] = {"sample": SampleDescription, "simulator": PhantomConfig}
    model = files.get(of) or settings_of(training)
    if schema:
        nested: dict[str, Any] = {"patternProperties": {"::": {}}} if of == "training" else {}
        typer.echo(json.dumps({**document_schema(model, partial=of != "sample"), **nested}, indent=1))
        return
    columns: dict[str, list[Setting]]
    if of != "training":
        columns = {"default": settings_table(model)}
    elif run is not None:
        columns = {"value": list_settings(training)}
    else:
        sizes = {name: read_overlays([size_path(bundle, name)]) for name in config_names(f"sizes/{bundle}")}
        columns = {name: list_settings({**training, **size}) for name, size in sizes.items()}
    rows = [["setting", *columns, "type", "meaning"]]
    for row, *others in zip(*columns.values(), strict=True):
        values = [_text(each.default) for each in (row, *others)]
        rows.append([row.name, *values, row.rule, row.text])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for cells in rows:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())


def _text(value: Any) -> str:
    """Return a value as the user would type it; '-' if a config computes it or the user must give it."""
    computed = isinstance(value, str) and value.startswith(("$", "@"))
    return "-" if value is None or computed else value if isinstance(value, str) else json.dumps(value)
