"""The served models: their active weights, and how they are trained."""

from dataclasses import dataclass
from pathlib import Path

from monai_app.bundle.configs.templates import find_bundle
from monai_app.bundle.model import load_model, read_spec
from monai_app.bundle.recipe import Recipe, read_recipe
from monai_app.bundle.renew import usable_run
from monai_app.bundle.runs import CURRENT, WEIGHTS, Runs
from monai_app.domain.model_spec import ModelSpec
from monai_app.errors import AppError, ConfigError, NotTrainedError
from monai_app.label.settings import Settings, Workspace, model_name
from monai_app.stack import Stack


@dataclass(frozen=True)
class ServedModel:
    """A bundle as clients see it.

    Attributes:
        name: its name.
        bundle: the bundle given to the server: a run folder, which stays unchanged, or a bundle without weights.
        runs: the runs trained by the server.
        recipe: how they are trained.
    """

    name: str
    bundle: Path
    runs: Runs
    recipe: Recipe

    @property
    def counting(self) -> Path | None:
        """The active run folder, with or without weights; None if nothing was trained yet."""
        return self.runs.current or (self.bundle if (self.bundle / WEIGHTS).is_file() else None)

    @property
    def run_name(self) -> str | None:
        """The name of the active run."""
        return None if self.counting is None else self.counting.name

    @property
    def run(self) -> Path | None:
        """The active run folder; None if nothing was trained yet.

        Raises:
            NotTrainedError: its weights are missing.
        """
        run = self.counting
        if run is not None and not (run / WEIGHTS).is_file():
            raise NotTrainedError(
                f"run {run.name} of model {self.name} is active, but its weights {run / WEIGHTS} are missing: "
                f'restore them from a copy, train the model from scratch (POST /train/, {{"pretrained": false}}), '
                f"or {self._without()}"
            )
        return run

    def trained_run(self) -> Path:
        """Return the active run folder.

        Raises:
            NotTrainedError: nothing was trained yet, or the weights are missing.
        """
        if self.run is None:
            raise NotTrainedError(
                f"model {self.name} has no weights yet; label slices and train it (POST /train/{self.name})"
            )
        return self.run

    def check(self, stack: Stack) -> None:
        """Load the active weights as an inference would; do nothing if there are none.

        Raises:
            ConfigError: they are damaged, belong to another run, or were trained on other phases or detectors.
        """
        run = self.counting
        if run is None or not (run / WEIGHTS).is_file():
            return
        try:
            _check_fits(run, load_model(run).spec, stack)
        except ConfigError as error:
            instead = "" if run == self.bundle else f"; or {self._without()}"
            raise ConfigError(f"model {self.name} cannot be applied: {error}{instead}") from None

    def _without(self) -> str:
        return f"remove {self.runs.folder / CURRENT}, to use the model that the server was started with"


def served_models(settings: Settings, workspace: Workspace, stack: Stack) -> dict[str, ServedModel]:
    """Find the models to serve, by name.

    Raises:
        ConfigError: a path is not a bundle, or it does not fit the stack.
    """
    return {model_name(given): _served(given, settings, workspace, stack) for given in settings.bundles}


def _served(given: str, settings: Settings, workspace: Workspace, stack: Stack) -> ServedModel:
    bundle = usable_run(find_bundle(given))
    if (bundle / WEIGHTS).is_file():
        _check_fits(bundle, read_spec(bundle / "configs" / "metadata.json"), stack)
    name, recipe = model_name(given), read_recipe(bundle, settings.size, settings.training)
    return ServedModel(name, bundle, Runs(workspace.models / name), recipe)


def _check_fits(bundle: Path, spec: ModelSpec, stack: Stack) -> None:
    """Refuse a model whose phases differ from the stack's, or that cannot read the stack."""
    try:
        if stack.phases:
            spec.check_phases(stack.phases, stack.path)
        spec.check_stack(stack)
    except AppError as error:
        raise ConfigError(f"bundle {bundle} does not fit: {error}") from None
