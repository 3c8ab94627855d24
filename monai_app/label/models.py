"""The models that are served: which weights count at the moment, and how the next ones are trained."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monai_app.bundle.checks import DERIVED
from monai_app.bundle.locate import size_path, template_path, template_paths
from monai_app.bundle.prepare import RECORD
from monai_app.bundle.settings import read_json
from monai_app.bundle.trust import check_trusted
from monai_app.errors import ConfigError
from monai_app.files import whole_file
from monai_app.inference.description import KEY, ModelDescription
from monai_app.label.settings import Settings, Workspace, model_name
from monai_app.stack import Stack

CURRENT = "current.json"
"""File beside a model's trained runs that names the one which counts; it is replaced when a training has succeeded."""

WEIGHTS = Path("models") / "model.pt"


@dataclass(frozen=True)
class Recipe:
    """How a model is trained.

    Attributes:
        template: the package's bundle.
        overlays: files of settings.
        settings: more of them.
    """

    template: Path
    overlays: Sequence[Path]
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class ServedModel:
    """One bundle as clients see it.

    Attributes:
        name: its name.
        bundle: what was given to the server: a run folder that stays as it is, or a bundle without weights.
        folder: where runs that are trained here go.
        recipe: how they are trained.
        description: what the model takes and gives; None of a bundle without weights.
    """

    name: str
    bundle: Path
    folder: Path
    recipe: Recipe
    description: ModelDescription | None

    @property
    def run(self) -> Path | None:
        """The run folder whose weights count now; None where nothing was trained yet."""
        pointer = self.folder / CURRENT
        if pointer.is_file():
            return self.folder / str(read_json(pointer, ("run",))["run"])
        return self.bundle if (self.bundle / WEIGHTS).is_file() else None

    @property
    def weights(self) -> Path | None:
        """The file of weights that counts now."""
        return None if self.run is None else self.run / WEIGHTS

    def next_run(self) -> Path:
        """Return the folder for another training, ``0001``, ``0002``, ...; runs before it stay."""
        numbers = [int(path.name) for path in self.folder.glob("[0-9]*") if path.name.isdecimal()]
        return self.folder / f"{max(numbers, default=0) + 1:04d}"

    def publish(self, run: Path) -> None:
        """Let a trained run count from now on.

        Raises:
            ConfigError: it has no weights.
        """
        if not (run / WEIGHTS).is_file():
            raise ConfigError(f"{run} holds no trained weights; the model before it stays")
        with whole_file(self.folder / CURRENT) as temporary:
            temporary.write_text(json.dumps({"run": run.name}) + "\n", encoding="utf8")


def served_models(settings: Settings, workspace: Workspace, stack: Stack) -> dict[str, ServedModel]:
    """Find the models to serve, by name.

    Raises:
        ConfigError: a bundle that is none, is not trusted, or does not fit the stack.
    """
    return {model_name(given): _served(given, settings, workspace, stack) for given in settings.bundles}


def _served(given: str, settings: Settings, workspace: Workspace, stack: Stack) -> ServedModel:
    bundle = _find(given)
    check_trusted(bundle, trust=settings.trust)
    trained = (bundle / WEIGHTS).is_file()
    description = _describe(bundle) if trained else None
    if description is not None:
        _check_fits(given, description, stack)
    recipe = _recipe(bundle, settings)
    return ServedModel(model_name(given), bundle, workspace.models / model_name(given), recipe, description)


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


def _describe(bundle: Path) -> ModelDescription:
    metadata = bundle / "configs" / "metadata.json"
    return ModelDescription.from_json(read_json(metadata, (KEY,))[KEY], str(metadata))


def _check_fits(given: str, description: ModelDescription, stack: Stack) -> None:
    """Refuse a model whose labels would mean something else on this stack, or that cannot read it."""
    expected, found = ([phase.name for phase in each] for each in (description.phase_list, stack.phases))
    if found and expected != found:
        raise ConfigError(
            f"bundle {given} knows the phases {expected} and {stack.path} has {found}: they must agree in name and "
            "order; serve a model trained on these phases"
        )
    missing = sorted(set(description.detectors) - set(stack.detectors))
    if missing:
        raise ConfigError(
            f"bundle {given} needs detector {missing[0]!r} and {stack.path} has {', '.join(stack.detectors)}; serve a "
            "model of these detectors"
        )
    if description.dtype != stack.dtype.name:
        raise ConfigError(
            f"bundle {given} was trained on {description.dtype} and the pixels of {stack.path} are {stack.dtype}; "
            "serve a model trained on such pixels"
        )


def _recipe(bundle: Path, settings: Settings) -> Recipe:
    """A run folder is trained again as it was; a bundle without weights as the server's settings say."""
    if not (bundle / RECORD).is_file():
        templates = {template.name: template for template in template_paths()}
        if bundle.name not in templates:
            raise ConfigError(
                f"bundle {bundle} holds no {RECORD}, so nobody knows how it was trained; serve a run folder of "
                "monai-app train, or a package of monai-app package"
            )
        return Recipe(templates[bundle.name], [size_path(bundle.name, settings.size)], dict(settings.training))
    record = read_json(bundle / RECORD, ("bundle", "settings"))
    kept = {name: value for name, value in record["settings"].items() if name not in DERIVED}
    return Recipe(template_path(record["bundle"]), [], {**kept, **settings.training})
