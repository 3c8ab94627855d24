"""The notebook of the docs runs, and shows what it makes."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests import warm
from tests.conftest import CHECKOUT

NOTEBOOK = CHECKOUT / "docs" / "notebook.ipynb"


def test_the_notebook_runs_from_the_first_cell_to_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.outputs for cell in cells] == [[]] * len(cells)  # outputs are of one machine, and large
    client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}})
    kernel = client.create_kernel_manager().kernel_spec
    assert kernel is not None
    kernel.argv[0] = warm.python()
    client.execute()
    shown = [
        "".join(output.get("data", {}).get("text/html", "") + output.get("text", "") for output in cell.outputs)
        for cell in cells
    ]
    stack, run, scores, labels, quantities, refused = (shown[n] for n in (1, 3, 4, 5, 6, 7))
    assert stack.count("<img") == 2
    assert "BasicUNet" in run
    assert "mean IoU" in scores
    assert "100%" in labels
    assert labels.count("<img") == 1
    assert "volume_fraction" in quantities
    assert "no finished label image 'unet2'" in refused
