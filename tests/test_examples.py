"""Examples and notebooks run from start to end, as they are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def test_there_are_examples_and_notebooks() -> None:
    assert EXAMPLES
    assert NOTEBOOKS


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs_and_cites_its_source(example: Path, tmp_path: Path) -> None:
    assert "doi" in example.read_text(encoding="utf-8").split('"""')[1]
    command = [sys.executable, "-W", "error", str(example)]
    environment = os.environ | {"MPLBACKEND": "Agg"}
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_stripped_of_outputs(notebook: Path) -> None:
    import nbformat

    cells = nbformat.read(notebook, as_version=4).cells
    assert [i for i, cell in enumerate(cells) if cell.cell_type == "code" and cell.outputs] == []
    assert [i for i, cell in enumerate(cells) if cell.get("execution_count") is not None] == []


@pytest.mark.slow
# Jupyter's own kernel client warns of its sockets and event loop
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(notebook: Path, tmp_path: Path) -> None:
    import nbformat
    from nbclient import NotebookClient

    book = nbformat.read(notebook, as_version=4)
    kernel = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(book, timeout=600, startup_timeout=300, kernel_name="python3", resources=kernel).execute()
