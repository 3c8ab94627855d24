"""Verifying a run folder."""

from pathlib import Path

from monai_app.bundle.configs.settings import read_json
from monai_app.bundle.model import load_model
from monai_app.errors import ConfigError
from monai_app.export.formats import SUFFIXES, format_of, parity_path
from monai_app.export.networks import ExportedNetwork
from monai_app.files import file_sha256
from monai_app.networks.weights import read_checkpoint, record_checksum, recorded_checksums


def verify_run(run: Path, *, add: bool = False) -> tuple[list[str], list[str]]:
    """Load the weights, the checkpoint to resume from and the exported files of a run folder.

    Args:
        run: the folder.
        add: record first that the weights which are there belong to it.

    Returns:
        What is damaged, and what could not be checked, a line each.
    """
    faults, notes, weights = list[str](), list[str](), run / "models" / "model.pt"
    try:
        if add:
            read_checkpoint(weights)
            record_checksum(weights)
        load_model(run).load()
    except ConfigError as error:
        faults.append(str(error))
    if not recorded_checksums(weights):
        notes.append(
            f"{weights} has no SHA-256 in metadata.json, so not all changes can be detected; add it with "
            "--add-checksums"
        )
    for checkpoint in sorted(run.glob("models/*.ckpt")):
        try:
            read_checkpoint(checkpoint)
        except ConfigError as error:
            faults.append(str(error))
    for file in sorted(path for suffix in SUFFIXES.values() for path in run.glob(f"models/*{suffix}")):
        try:
            ExportedNetwork.read(file, format_of(file))
        except ConfigError as error:
            faults.append(str(error))
        if not parity_path(file).is_file():
            notes.append(f"{file} has no {parity_path(file).name} with its SHA-256, so not all damage can be detected")
        elif read_json(parity_path(file), ()).get("weights_sha256") != file_sha256(weights):
            notes.append(f"{file} was exported from other weights than {weights.name} holds now; export again")
    return faults, notes
