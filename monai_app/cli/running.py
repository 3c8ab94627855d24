"""What the commands share: print the bundle command, run it, and look into a run folder."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NoReturn

import typer
from tqdm import tqdm

from monai_app.bundle.command import BundleCommand
from monai_app.bundle.configs.locate import DEFAULT_BUNDLE, config_path, template_path
from monai_app.bundle.renew import usable_run
from monai_app.errors import ConfigError
from monai_app.progress import Progress


def show_and_run(command: BundleCommand) -> None:
    """Print the ``python -m monai.bundle run`` line, then run it."""
    show(command)
    command.run()


def show(command: BundleCommand) -> None:
    """Print the ``python -m monai.bundle run`` line."""
    typer.echo(f"$ {command}")


def run_command(
    run: Path, stack: Path, configs: Sequence[str], processes: int, **options: bool | str | None
) -> BundleCommand:
    """Return the call of a run folder's configs on a stack, each config laid over those before it.

    For several processes ``multi_gpu_`` and the last one's name is laid over them. Options are ids or options of
    MONAI's ``run``; ``None`` leaves one away.
    """
    names = [*configs, f"multi_gpu_{configs[-1]}"] if processes > 1 else configs
    overrides: dict[str, object] = {"bundle_root": str(run), "dataset_dir": str(stack)}
    overrides |= {name: value for name, value in options.items() if value is not None}
    return BundleCommand(tuple(run / "configs" / f"{name}.yaml" for name in names), overrides, processes)


def checked_device(name: str | None, processes: int = 1) -> str | None:
    """Return the name of the device to compute on, or ``None`` where none was asked for.

    Raises:
        ConfigError: it does not exist, or several processes would share it.
    """
    if name is None:
        return None
    if processes > 1:
        raise ConfigError(f"--device {name}: each of {processes} processes takes a device of its own; leave it out")
    from monai_app.device.choose import chosen_device

    return str(chosen_device(name))


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


def trained_run(run: Path, *, trust: bool = False) -> Path:
    """Return the absolute path of a run folder that holds trained weights and does nothing unknown.

    Raises:
        ConfigError: it is no run folder, nothing was trained yet, or its configs are not trusted.
    """
    run = run.absolute()
    if not (run / "configs" / "inference.yaml").is_file():
        raise ConfigError(f"{run} is no run folder: it has no configs/inference.yaml; make one with monai-app train")
    if not (run / "models" / "model.pt").is_file():
        raise ConfigError(f"{run} holds no trained weights (models/model.pt); run monai-app train first")
    return usable_run(run, trust=trust)


def inference_of(model: Path, *, trust: bool = False) -> tuple[tuple[Path, ...], dict[str, str], str]:
    """Return the config files that segment with a run folder or an exported file, the ids that say which, and its name.

    Raises:
        ConfigError: it is neither, or a run folder without weights.
    """
    model = model.absolute()
    if not model.is_file():
        run = trained_run(model, trust=trust)
        return (run / "configs" / "inference.yaml",), {"bundle_root": str(run)}, run.name
    from monai_app.export.formats import format_of

    format_of(model)  # refuses other files before anything is printed
    template = template_path(DEFAULT_BUNDLE)
    configs = (template / "configs" / "inference.yaml", config_path("tasks", "exported"))
    return configs, {"bundle_root": str(template), "exported": str(model)}, model.stem
