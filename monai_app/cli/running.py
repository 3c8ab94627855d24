"""What the commands share: print the bundle command, run it, and look into a run folder."""

import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NoReturn

import typer
from tqdm import tqdm

from monai_app.bundle.command import BundleCommand
from monai_app.bundle.locate import DEFAULT_BUNDLE, config_path, template_path
from monai_app.errors import ConfigError
from monai_app.progress import Progress


def show_and_run(command: BundleCommand) -> None:
    """Print the ``python -m monai.bundle run`` line, then run it."""
    show(command)
    # MONAI warns at every run that configs are code; README and docs say so once.
    warnings.filterwarnings("ignore", message=".*GHSA-.*")
    command.run()


def show(command: BundleCommand) -> None:
    """Print the ``python -m monai.bundle run`` line."""
    typer.echo(f"$ {command}")


@contextmanager
def progress_bar(task: str) -> Iterator[Progress]:
    """Show progress as a bar with rate and time left, from the first call on."""
    with ExitStack() as stack:
        bars: list[tqdm[NoReturn]] = []

        def show_progress(done: int, total: int) -> None:
            if not bars:
                bars.append(stack.enter_context(tqdm(desc=task, unit="slice", total=total)))
            bars[0].update(done - bars[0].n)

        yield show_progress


def trained_run(run: Path) -> Path:
    """Return the absolute path of a run folder that holds trained weights.

    Raises:
        ConfigError: it is no run folder, or nothing was trained yet.
    """
    run = run.absolute()
    if not (run / "configs" / "inference.yaml").is_file():
        raise ConfigError(f"{run} is no run folder: it has no configs/inference.yaml; make one with monai-app train")
    if not (run / "models" / "model.pt").is_file():
        raise ConfigError(f"{run} holds no trained weights (models/model.pt); run monai-app train first")
    return run


def inference_of(model: Path) -> tuple[tuple[Path, ...], dict[str, str], str]:
    """Return the config files that segment with a run folder or an exported file, the ids that say which, and its name.

    Raises:
        ConfigError: it is neither, or a run folder without weights.
    """
    model = model.absolute()
    if not model.is_file():
        run = trained_run(model)
        return (run / "configs" / "inference.yaml",), {"bundle_root": str(run)}, run.name
    from monai_app.export.formats import format_of

    format_of(model)  # refuses other files before anything is printed
    template = template_path(DEFAULT_BUNDLE)
    configs = (template / "configs" / "inference.yaml", config_path("tasks", "exported"))
    return configs, {"bundle_root": str(template), "exported": str(model)}, model.stem
