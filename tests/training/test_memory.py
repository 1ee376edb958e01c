"""A second call of a program that needs a large workspace maps no new pages."""

import os
import subprocess
import sys

PROGRAM = """
import resource, sys
from ganx.training.memory import keep_freed_memory
kept = keep_freed_memory() if sys.argv[1] == "keep" else False
import jax, jax.numpy as jnp
run = jax.jit(lambda x: ((jnp.sin(x)[:, None] * jnp.cos(x)).reshape(-1, 20) @ jnp.ones((20, 20))).sum())
x = jnp.ones(5000)  # two arrays of 100 MB as workspace
run(x).block_until_ready(), run(x).block_until_ready()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
run(x).block_until_ready()
print(int(kept), resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _faults(mode: str) -> tuple[bool, int]:
    env = {**os.environ, "XLA_FLAGS": ""}  # one device: many start threads of their own before the setting
    run = subprocess.run([sys.executable, "-c", PROGRAM, mode], capture_output=True, text=True, check=True, env=env)
    out = run.stdout
    kept, faults = out.split()[-2:]
    return bool(int(kept)), int(faults)


def test_freed_memory_is_kept():
    kept, faults = _faults("keep")
    if kept:  # glibc
        assert faults < 1000
        assert _faults("default")[1] > 10000
