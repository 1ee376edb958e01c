"""Why `ganx.training.loops` unrolls on CPU: the same work rolled up and unrolled, and a branch around it.

python scripts/bench/loops.py --device cpu --pin 1
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import harness


def loss(params: Any, x: Any) -> Any:
    """A small convolutional critic: three strided convolutions, mean of the square."""
    import jax.numpy as jnp

    from ganx.models import layers

    for kernel in params:
        x = layers.lrelu(layers.down_conv(x, kernel))
    return jnp.square(x).mean()


def networks(members: int) -> tuple[Any, Any]:
    """Parameters of the critic, stacked for `members` (none for 0), and a batch of images."""
    import jax

    sizes = ((4, 4, 3, 32), (4, 4, 32, 64), (4, 4, 64, 128))
    stack = (members,) if members else ()
    keys = jax.random.split(jax.random.key(0), len(sizes))
    params = [0.05 * jax.random.normal(k, (*stack, *size)) for k, size in zip(keys, sizes, strict=True)]
    return params, jax.random.normal(jax.random.key(1), (16, 32, 32, 3))


def descent(length: int) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """`length` gradient steps, as D's inner updates or a Langevin chain are."""
    import jax

    from ganx.training.loops import inner_loop

    def run(params: Any, x: Any) -> Any:
        def body(params: Any, _: None) -> tuple[Any, Any]:
            value, grads = jax.value_and_grad(loss)(params, x)
            return jax.tree.map(lambda p, g: p - 0.1 * g, params, grads), value

        return inner_loop(body, params, length=length)

    return run, networks(0)


def population(members: int) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """Gradients of `members` critics with different weights, as in an evolutionary GAN."""
    import jax

    from ganx.training.loops import map_members

    return lambda params, x: map_members(jax.grad(loss), params, x), networks(members)


def branch(static: bool) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """One gradient, taken when due: decided while tracing, or by the device."""
    import jax

    from ganx.training.loops import when

    def run(params: Any, x: Any) -> Any:
        due = True if static else x[0, 0, 0, 0] < 1e9
        return when(due, lambda p: jax.grad(loss)(p, x), lambda p: p, params)

    return run, networks(0)


def timed(name: str, work: tuple[Callable[..., Any], tuple[Any, ...]], unroll: bool, repeats: int) -> harness.Row:
    """Times one form."""
    import jax

    from ganx.training.loops import choose

    run, args = work
    with choose(unroll):
        program, seconds, gflop = harness.compile_jax(jax.jit(run), *args)
    side = harness.Side(lambda: jax.block_until_ready(program(*args)), seconds, gflop)
    return harness.measure(name, 16, side, None, repeats)


def main() -> None:
    args = harness.parser(__doc__.split("\n")[0]).parse_args()
    harness.prepare(args)
    print(harness.environment(args) + "\n", flush=True)
    work = {
        "scan of 1 gradient step": functools.partial(descent, 1),
        "scan of 4 gradient steps": functools.partial(descent, 4),
        "6 members' gradients": functools.partial(population, 6),
    }
    rows = []
    for name, make in work.items():
        forms = [timed(name, make(), unroll, args.repeats) for unroll in (False, True)]
        rows.append(_row(name, *forms))
    forms = [timed("branch", branch(static), True, args.repeats) for static in (False, True)]
    rows.append(_row("a gradient in a branch (cond, chosen on the host)", *forms))
    header = ("work", "rolled ms", "unrolled ms", "rolled/unrolled", "compile s rolled", "compile s unrolled")
    print(harness.table(header, rows, args.markdown))


def _row(name: str, rolled: harness.Row, unrolled: harness.Row) -> tuple[str, ...]:
    ratio = harness.median(rolled.ours_ms.wall) / harness.median(unrolled.ours_ms.wall)
    times = (harness.spread(rolled.ours_ms.wall), harness.spread(unrolled.ours_ms.wall))
    return (name, *times, f"{ratio:.1f}", f"{rolled.ours.compile_s:.1f}", f"{unrolled.ours.compile_s:.1f}")


if __name__ == "__main__":
    main()
