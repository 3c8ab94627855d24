"""Checks of a bundle's files: what must be there, and what metadata.json says. Nothing of the bundle is run."""

import json
import re
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

from packaging.version import InvalidVersion, Version

import monai_app
from monai_app.yamlfile import read_yaml

CHECKOUT = Path(__file__).resolve().parents[1]
CONSTRAINTS = CHECKOUT / "constraints.txt"
SCHEMA = CHECKOUT.parent / "shared" / "data" / "schema" / "meta_schema_20240725.json"
SUFFIXES = ("json", "yaml", "yml")


class CheckError(Exception):
    """A bundle breaks a rule; says the value, the rule and the remedy."""


@dataclass(frozen=True)
class Bundle:
    """A bundle to verify, and what it is verified with.

    Attributes:
        folder: the bundle.
        schema: the file of the metadata schema; it is never downloaded.
        work: a folder for what the checks write; the bundle itself is left as it is.
    """

    folder: Path
    schema: Path
    work: Path

    def config(self, name: str) -> Path | None:
        """Return the config file of a name, whatever its kind, or ``None``."""
        return next((path for path in self._candidates(name) if path.is_file()), None)

    def required_config(self, name: str) -> Path:
        """Return the config file of a name.

        Raises:
            CheckError: there is none.
        """
        path = self.config(name)
        if path is None:
            raise CheckError(f"no configs/{name}.yaml (or .json): add it")
        return path

    @property
    def weights(self) -> Path:
        """The weights, a flat state dict."""
        return self.folder / "models" / "model.pt"

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """The content of metadata.json."""
        path = self.folder / "configs" / "metadata.json"
        try:
            content = json.loads(path.read_text(encoding="utf8"))
        except (OSError, ValueError) as error:
            raise CheckError(f"configs/metadata.json cannot be read ({error}): mend it") from error
        if not isinstance(content, dict):
            raise CheckError('configs/metadata.json is no object: write {"schema": ..., ...}')
        return content

    def _candidates(self, name: str) -> list[Path]:
        return [self.folder / "configs" / f"{name}.{suffix}" for suffix in SUFFIXES]


def check_name(bundle: Bundle) -> str:
    """The folder's name is the bundle's, and MONAI Label reads the task from it."""
    name = bundle.folder.name
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or "segmentation" not in name:
        raise CheckError(
            f"{name!r}: a bundle's folder has small letters, digits and _, and names its task; "
            "copy it under a name such as fibsem_unet_segmentation"
        )
    return name


def check_large_files(bundle: Bundle) -> str:
    """Files that the bundle fetches from elsewhere are described wholly, and here already."""
    paths = [bundle.folder / f"large_files.{suffix}" for suffix in SUFFIXES]
    found = [path for path in paths if path.is_file()]
    if not found:
        return "none"
    entries = (read_yaml(found[0]) or {}).get("large_files") or []
    for entry in entries:
        missing = {"path", "url", "hash_val", "hash_type"} - {key for key, value in entry.items() if value}
        if missing:
            raise CheckError(f"{found[0].name}: {entry.get('path')} lacks {', '.join(sorted(missing))}: add it")
        if not (bundle.folder / entry["path"]).is_file():
            raise CheckError(
                f"{entry['path']} is not here: fetch it with `python -m monai.bundle download_large_files`"
            )
    return f"{len(entries)} here"


def check_required_files(bundle: Bundle) -> str:
    """LICENSE and metadata.json are there."""
    for name in ("LICENSE", "configs/metadata.json"):
        path = bundle.folder / name
        if not path.is_file() or not path.read_text(encoding="utf8").strip():
            raise CheckError(f"{name} is missing or empty: every bundle has one")
    return "LICENSE, configs/metadata.json"


def check_preferred_files(bundle: Bundle) -> str:
    """Weights and an inference config are there."""
    if not bundle.weights.is_file():
        raise CheckError("models/model.pt is missing: train the bundle first, as `monai-app train STACK RUN` does")
    return f"models/model.pt, {bundle.required_config('inference').name}"


def check_changelog(bundle: Bundle) -> str:
    """The version is one, and the changelog speaks of it."""
    version = bundle.metadata.get("version")
    if not isinstance(version, str) or not re.fullmatch(r"\d+\.\d+\.\d+", version):
        raise CheckError(f"metadata version {version!r}: write three numbers, such as 0.1.0")
    if version not in bundle.metadata.get("changelog", {}):
        raise CheckError(f"metadata version {version} is not in the changelog: add a line for it")
    return version


def check_schema(bundle: Bundle) -> str:
    """Metadata keeps to the schema that it names."""
    from monai.bundle import verify_metadata

    named = str(bundle.metadata.get("schema", ""))
    if not bundle.schema.is_file():
        raise CheckError(f"{bundle.schema.name} is not here: download {named} and pass --schema FILE")
    if named.rpartition("/")[2] != bundle.schema.name:
        raise CheckError(f"metadata names the schema {named!r}, given is {bundle.schema.name}: pass that with --schema")
    verify_metadata(meta_file=str(bundle.folder / "configs" / "metadata.json"), filepath=str(bundle.schema))
    return bundle.schema.name


def check_packages(bundle: Bundle, constraints: Path = CONSTRAINTS) -> str:
    """The versions that metadata names can be installed, and are those that this was verified with."""
    pins = _pins(constraints)
    versions = _named_versions(bundle.metadata)
    for package, version in versions.items():
        _check_version(package, version, _installed(package), pins.get(package))
    return f"{len(versions)} as installed" + (" and pinned" if pins else "")


def _named_versions(metadata: dict[str, Any]) -> dict[str, str]:
    own = {"monai": "monai_version", "torch": "pytorch_version", "numpy": "numpy_version"}
    missing = sorted({*own.values(), "required_packages_version"} - set(metadata))
    if missing:
        raise CheckError(f"metadata lacks {', '.join(missing)}: add the versions that this was tested with")
    further = {name.lower(): version for name, version in metadata["required_packages_version"].items()}
    return {package: metadata[key] for package, key in own.items()} | further


def _check_version(package: str, version: Any, installed: str | None, pinned: str | None) -> None:
    try:
        named = Version(version)
    except (InvalidVersion, TypeError) as error:
        raise CheckError(f"{package} {version!r} is not a version that pip installs: name one like 1.2.3") from error
    if installed is None:
        raise CheckError(f"{package} {version} is not installed here: install it, or drop it from metadata.json")
    for where, other in (("installed here", installed), (f"pinned in {CONSTRAINTS.name}", pinned)):
        if other is not None and Version(other).public != named.public:  # not the local part: 2.14.1+cu130
            raise CheckError(f"{package} {version} in metadata.json, {other} {where}: name what is tested")


def _installed(package: str) -> str | None:
    if package == "monai-app":
        return monai_app.__version__  # a checkout on the path need not be installed
    try:
        return installed_version(package)
    except PackageNotFoundError:
        return None


def _pins(constraints: Path) -> dict[str, str]:
    if not constraints.is_file():
        return {}
    lines = (line.strip().lower() for line in constraints.read_text(encoding="utf8").splitlines())
    return dict(line.split("==") for line in lines if "==" in line and not line.startswith("#"))
