"""Fresh variables without a program of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, jaxpr_as_fun
from jax.interpreters.partial_eval import dce_jaxpr


def initialise(init: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """`init(*args, **kwargs)`, one operation at a time and without those that the result does not need. Not traceable.

    An initialisation draws a key and numbers for every parameter, by the same few functions. Compiled as one program
    each of them is compiled anew; one at a time, each is compiled once (`scripts/bench/initialise.py`). Values can
    differ from the compiled ones in the last place.
    """
    closed, shapes = jax.make_jaxpr(init, return_shape=True)(*args, **kwargs)
    needed, used = dce_jaxpr(closed.jaxpr, [True] * len(closed.jaxpr.outvars))
    inputs = [leaf for leaf, use in zip(jax.tree.leaves((args, kwargs)), used, strict=True) if use]
    values = jaxpr_as_fun(ClosedJaxpr(needed, closed.consts))(*inputs)
    return jax.tree.unflatten(jax.tree.structure(shapes), map(jnp.asarray, values))  # literals are numpy's
