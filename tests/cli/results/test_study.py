"""The command that a study's results tell."""

from pathlib import Path

from monai_app.cli.results.study import shown_command
from monai_app.study.design import Design


def test_the_command_of_a_study_names_seeds_and_epochs_and_no_folders() -> None:
    given = [Path("/data/a.ome.zarr"), Path("/data/my study")]
    shown = shown_command(
        given, Path("/data/design.yaml"), Design(variants=("unet_ICE_1",), seeds=(0, 5), epochs=7), None
    )
    assert shown == "monai-app study a.ome.zarr 'my study' --design design.yaml --seeds 0,5 --epochs 7"
    assert shown_command(given, None, Design(variants=("unet_ICE_1",)), None, "tcp://n1:8786").endswith(
        " --cluster tcp://n1:8786"
    )
