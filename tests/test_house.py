"""The house stands: imports point down, and the module system stays on its floor."""

import ast
from pathlib import Path

import pytest

import ganx

ROOT = Path(ganx.__file__).parent
# from the ground up; what stands in one row must not import each other, packages apart
FLOORS = [
    {"errors", "command", "cache"},
    {"arrays", "numbers"},
    {"gan", "pictures"},
    {"lens", "codes", "models", "data", "segment"},
    {"convert", "store", "segmenters", "readers", "grouped"},
    {"training", "metrics", "sefa", "igan", "dissection", "seeing", "egan", "modulargan", "report"},
    {"demo", "app"},
    {"cli"},
]
SYSTEMS = {"sefa", "igan", "dissection", "seeing", "egan", "modulargan"}
FLOOR_OF = {name: floor for floor, names in enumerate(FLOORS) for name in names}
FILES = sorted(ROOT.rglob("*.py"))


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room(path):
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down_and_linen_stays_in_models(path):
    here = room(path)
    for name in imports(path):
        if name.startswith(("flax.linen", "flax.nnx")):
            assert here == "models", f"{path} imports {name}"
        assert name.split(".")[0] not in ("torch", "tensorflow"), f"{path} imports {name}"
        parts = name.split(".")
        if parts[0] != "ganx" or len(parts) < 2 or parts[1] not in FLOOR_OF or here in ("__init__", parts[1]):
            continue
        assert FLOOR_OF[parts[1]] <= FLOOR_OF[here], f"{here} imports {parts[1]}, which is above it"
        assert not (here in SYSTEMS and parts[1] in SYSTEMS), f"the system {here} imports the system {parts[1]}"


def test_every_room_has_a_floor():
    rooms = {room(path) for path in FILES} - {"__init__"}
    assert rooms <= set(FLOOR_OF)


def test_files_fit_in_one_head():
    long = {str(p.relative_to(ROOT)): n for p in FILES if (n := len(p.read_text().splitlines())) > 320}
    assert long == {}


def test_no_two_test_files_share_a_name():
    """They are imported by their bare names."""
    names = [path.name for path in Path(__file__).parent.rglob("test_*.py")]
    assert len(names) == len(set(names)), sorted(name for name in set(names) if names.count(name) > 1)
