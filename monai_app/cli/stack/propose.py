"""``monai-app propose``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from monai_app.cli.options import StackPath

if TYPE_CHECKING:
    from monai_app.proposals import Proposal
    from monai_app.stack import Stack


def propose(
    stack: StackPath,
    output: Annotated[Path, typer.Option("--output", "-o", help="Label file to write, such as proposal.tif.")],
    z: Annotated[str, typer.Option(metavar="FIRST:END", help="Range of slices, END excluded; or one slice.")],
    overwrite: Annotated[bool, typer.Option(help="Replace an existing file.")] = False,
) -> None:
    """Propose labels for complete slices from a few painted strokes.

    A random forest is trained on the strokes painted on the training slices so far.
    """
    from monai_app.cli.progress import progress_bar
    from monai_app.domain.region import Region
    from monai_app.proposals import train_forest
    from monai_app.proposals.files import check_file, write_proposals
    from monai_app.stack import Stack

    opened = Stack.open(stack)
    slices = Region.parse(z, None, None, opened.shape).z
    check_file(opened, slices, output, overwrite=overwrite)
    forest = train_forest(opened)
    if forest.missing:
        typer.echo(f"painted nowhere, so not proposed: {', '.join(phase.name for phase in forest.missing)}")
    lines: list[str] = []
    with progress_bar("propose") as progress:
        write_proposals(
            forest,
            slices,
            output,
            overwrite=overwrite,
            progress=progress,
            report=lambda proposal: lines.append(_line(opened, proposal)),
        )
    for line in lines:
        typer.echo(line)
    typer.echo(f"proposal: {output}")


def _line(stack: "Stack", proposal: "Proposal") -> str:
    labelled = proposal.labels > 0
    shares = ", ".join(
        f"{phase.name} {(proposal.labels[labelled] == phase.value).mean():.1%}" for phase in stack.phases
    )
    return f"slice {proposal.z}: {shares}; mean confidence {proposal.confidence[labelled].mean():.2f}"
