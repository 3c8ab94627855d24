"""The models that are served: which weights count at the moment, and how the next ones are trained."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monai_app.bundle.configs.locate import template_path, template_paths
from monai_app.bundle.configs.settings import read_json
from monai_app.bundle.model import load_model, read_spec
from monai_app.bundle.prepare import RECORD
from monai_app.bundle.recipe import Recipe, read_recipe
from monai_app.bundle.renew import usable_run
from monai_app.domain.model_spec import ModelSpec
from monai_app.errors import AppError, ConfigError
from monai_app.files import atomic_file
from monai_app.label.errors import NotTrainedError
from monai_app.label.settings import Settings, Workspace, model_name
from monai_app.stack import Stack

CURRENT = "current.json"
"""File beside a model's trained runs that names the one which counts and the one whose training has not ended well.

It is replaced when a training begins in another folder and when one has succeeded, each time as a whole.
"""

WEIGHTS = Path("models") / "model.pt"


@dataclass(frozen=True)
class ServedModel:
    """One bundle as clients see it.

    Attributes:
        name: its name.
        bundle: what was given to the server: a run folder that stays as it is, or a bundle without weights.
        folder: where runs that are trained here go.
        recipe: how they are trained.
        spec: what the model takes and gives; None of a bundle without weights.
    """

    name: str
    bundle: Path
    folder: Path
    recipe: Recipe
    spec: ModelSpec | None

    @property
    def run(self) -> Path | None:
        """The run folder whose weights count now; None where nothing was trained yet.

        Raises:
            NotTrainedError: its weights are gone.
        """
        run = self._counting()
        if run is not None and not (run / WEIGHTS).is_file():
            raise NotTrainedError(
                f"run {run.name} of model {self.name} counts, and its weights {run / WEIGHTS} are gone: restore them "
                f'from a copy, train the model anew (POST /train/, {{"pretrained": false}}), or {self._without()}'
            )
        return run

    def trained_run(self) -> Path:
        """Return the run folder whose weights count now.

        Raises:
            NotTrainedError: nothing was trained yet, or the weights are gone.
        """
        if self.run is None:
            raise NotTrainedError(
                f"model {self.name} has no weights yet; label slices and train it (POST /train/{self.name})"
            )
        return self.run

    @property
    def run_name(self) -> str | None:
        """The name of the run that counts, whether its folder is there or not."""
        run = self._counting()
        return None if run is None else run.name

    @property
    def state(self) -> str:
        """What people are told of the weights."""
        try:
            return "not trained yet" if self.run is None else f"run {self.run.name}"
        except NotTrainedError as error:
            return str(error)

    @property
    def unfinished(self) -> Path | None:
        """The run folder whose training began last and never came to count; None where there is none to go on with."""
        run = self.folder / str(self._current().get("unfinished"))
        return run if (run / RECORD).is_file() else None

    def _counting(self) -> Path | None:
        name = self._current().get("run")
        if name is not None:
            return self.folder / str(name)
        return self.bundle if self.spec is not None or (self.bundle / WEIGHTS).is_file() else None

    def _without(self) -> str:
        return f"remove {self.folder / CURRENT}, so that what the server was given counts"

    def check(self, stack: Stack) -> None:
        """Load the weights that count, as an inference would; do nothing where nothing was trained, or they are gone.

        Raises:
            ConfigError: they are damaged, are not this run's, or were trained on other phases or detectors.
        """
        run = self._counting()
        if run is None or not (run / WEIGHTS).is_file():
            return
        try:
            _check_fits(str(run), load_model(run).spec, stack)
        except ConfigError as error:
            instead = "" if run == self.bundle else f"; or {self._without()}"
            raise ConfigError(f"model {self.name} cannot be applied: {error}{instead}") from None

    def begin(self) -> Path:
        """Return the folder for a training: the unfinished one's, or the next of ``0001``, ``0002``, ...

        Its name is noted before anything is made. So what a training finds in the folder that it is given is what one
        before it left that did not come to count: that is gone on with or replaced, and no other folder is touched. A
        run that counts now or once did is not noted as unfinished, whatever its number, and a folder that is no run
        was made by something else: it keeps its name, and the training gets another number.
        """
        current = self._current()
        name = current.get("unfinished")
        if name is not None and (self.unfinished or not (self.folder / str(name)).exists()):
            return self.folder / str(name)
        names = [path.name.removesuffix(".ome.zarr") for path in self.folder.glob("[0-9]*")]
        run = self.folder / f"{max((int(name) for name in names if name.isdecimal()), default=0) + 1:04d}"
        self._write_current(current.get("run"), unfinished=run.name)
        return run

    def publish(self, run: Path) -> None:
        """Let a trained run count from now on.

        Raises:
            ConfigError: it has no weights.
        """
        if not (run / WEIGHTS).is_file():
            raise ConfigError(f"{run} holds no trained weights; the model before it stays")
        self._write_current(run.name, unfinished=None)

    def _current(self) -> dict[str, Any]:
        pointer = self.folder / CURRENT
        return read_json(pointer, ("run",)) if pointer.is_file() else {}

    def _write_current(self, run: str | None, *, unfinished: str | None) -> None:
        with atomic_file(self.folder / CURRENT) as temporary:
            temporary.write_text(json.dumps({"run": run, "unfinished": unfinished}) + "\n", encoding="utf8")


def snapshot_of(run: Path) -> Path:
    """Return the path of the snapshot that a run reads; it lies beside the run's folder."""
    return run.with_name(f"{run.name}.ome.zarr")


def served_models(settings: Settings, workspace: Workspace, stack: Stack) -> dict[str, ServedModel]:
    """Find the models to serve, by name.

    Raises:
        ConfigError: a bundle that is none, is not trusted, or does not fit the stack.
    """
    return {model_name(given): _served(given, settings, workspace, stack) for given in settings.bundles}


def _served(given: str, settings: Settings, workspace: Workspace, stack: Stack) -> ServedModel:
    bundle = _find(given)
    bundle = usable_run(bundle, trust=settings.trust)
    trained = (bundle / WEIGHTS).is_file()
    spec = read_spec(bundle / "configs" / "metadata.json") if trained else None
    if spec is not None:
        _check_fits(given, spec, stack)
    recipe = read_recipe(bundle, settings.size, settings.training)
    return ServedModel(model_name(given), bundle, workspace.models / model_name(given), recipe, spec)


def _find(given: str) -> Path:
    path = Path(given).absolute()
    if (path / "configs" / "inference.yaml").is_file():
        return path
    known = [template.name for template in template_paths()]
    if given in known:
        return template_path(given)
    raise ConfigError(
        f"{given} is no bundle: it has no configs/inference.yaml; give a run folder that monai-app train made, or one "
        f"of {', '.join(known)} to begin without a model"
    )


def _check_fits(given: str, spec: ModelSpec, stack: Stack) -> None:
    """Refuse a model whose labels would mean something else on this stack, or that cannot read it."""
    try:
        if stack.phases:
            spec.check_phases(stack.phases, stack.path)
        spec.check_stack(stack)
    except AppError as error:
        raise ConfigError(f"bundle {given} does not fit: {error}") from None
