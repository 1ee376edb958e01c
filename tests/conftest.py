"""Eight fake CPU devices for every test, and settings that make many small programs cheap to compile."""

import atexit
import os
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path

os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
if version("jaxlib").startswith("0.10."):  # halves the time to compile; later ones know no such flag and stop at it
    os.environ["XLA_FLAGS"] += " --xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
os.environ["JAX_PLATFORMS"] = os.environ.get("GANX_TEST_PLATFORMS", "cpu")  # another backend on demand
os.environ["JAX_CPU_ENABLE_ASYNC_DISPATCH"] = "0"  # many virtual devices on few cores can starve each other otherwise
os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"  # compiling dominates; tests of optimised code use a subprocess
os.environ["JAX_DEBUG_KEY_REUSE"] = "1"
if "PYTEST_XDIST_WORKER" not in os.environ:  # one compilation serves all of a run; nothing is left from an earlier one
    programs = tempfile.mkdtemp(prefix="ganx-programs-")
    atexit.register(shutil.rmtree, programs, ignore_errors=True)
    os.environ["JAX_COMPILATION_CACHE_DIR"] = programs
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.3"

import pytest

SHARED = Path(os.environ.get("GANX_SHARED", Path(__file__).parents[2] / "shared"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real data, pretrained GANs and reference outputs, where a developer has them."""
    if not SHARED.exists():
        pytest.skip("needs the shared data folder; set GANX_SHARED")
    return SHARED
