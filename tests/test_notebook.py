"""The notebook runs as it stands: every cell of Python, one after the other."""

import json
import sys
import types
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parents[1] / "scripts" / "notebooks" / "ganx.ipynb"


@pytest.fixture
def pictures(monkeypatch):
    """Stands in for the notebook's own display; collects what it is given."""
    shown = []
    display = types.ModuleType("IPython.display")
    display.Image = shown.append
    monkeypatch.setitem(sys.modules, "IPython", types.ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    return shown


def test_its_cells_run(pictures, tmp_path, monkeypatch):
    cells = [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]
    assert all(not cell["outputs"] for cell in cells)
    sources = ["".join(cell["source"]) for cell in cells]
    python = [source for source in sources if "%pip" not in source and "!ganx" not in source]
    monkeypatch.chdir(tmp_path)
    names = {}
    for source in python:
        if "explain(" not in source:  # the report has tests of its own
            exec(compile(source, str(NOTEBOOK), "exec"), names)
    assert len(python) == 5
    assert len(pictures) == 3
    assert all(picture.startswith(b"\x89PNG") for picture in pictures)
