"""The notebook from top to bottom, at tiny sizes, in a kernel of its own."""

import base64
import io
import os
import sys
from pathlib import Path

import pytest
from PIL import Image

NOTEBOOK = Path(__file__).resolve().parents[2] / "scripts" / "jaxstyle.ipynb"
TINY = '\nSIZE, SWEEP_SIZE, STEPS, NETWORK = 64, 32, 2, "compact"\n'


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::RuntimeWarning")
def test_the_notebook_runs_from_top_to_bottom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    # `!jaxstyle` is this Python's.
    program = tmp_path / "bin" / "jaxstyle"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m jaxstyle.cli "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert not any(cell.get("outputs") for cell in notebook.cells), "outputs are made by who runs it"
    (chosen,) = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ()))
    chosen.source += TINY
    work = tmp_path / "work"
    work.mkdir()
    nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(work)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    pictures = [output["data"]["image/png"] for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) == 2  # the transfer, and its result
    with Image.open(io.BytesIO(base64.b64decode(pictures[1]))) as image, Image.open(work / "result.png") as saved:
        assert image.size == saved.size and max(image.size) == 64 and image.tobytes() == saved.tobytes()
    text = "".join(output.get("text", "") for output in outputs)
    assert "sweep/report.html" in text and "SSIM, higher" in text
    assert any("<iframe" in output.get("data", {}).get("text/html", "") for output in outputs)
