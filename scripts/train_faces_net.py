"""Trains the feature network of "FD-faces" on the faces world: python scripts/train_faces_net.py

It learns to read every attribute, and identity and pose as numbers, off 32-pixel faces that it has never seen twice.
Some minutes on one CPU core. Writes ganx/metrics/faces32.npz in half precision and prints its accuracy on test faces.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import ganx
from ganx.convert.keymap import flat
from ganx.data.feed import to_float
from ganx.data.worlds import world
from ganx.data.worlds.faces import IDENTITY, POSE
from ganx.models.worldnet import SIDE, WorldNet

RANGES = {**IDENTITY, **POSE}


def targets(faces: Any, indices: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Images, attribute values `[n, attributes]` and numbers `[n, numbers]` in [-1, 1] of the faces at some indices."""
    example, params = faces.render(indices), faces.params(indices)
    attrs = jnp.stack([example.attrs[name] for name in faces.ATTRS], 1)
    numbers = jnp.stack([(params.values[name] - middle) / half for name, (middle, half) in RANGES.items()], 1)
    return to_float(example.image), attrs, numbers


def scores(module: WorldNet, found: dict[str, jax.Array], attrs: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Cross-entropy and hits `[n]`, each summed over attributes."""
    bounds = np.cumsum([0, *module.choices])
    loss, hits = jnp.zeros(len(attrs)), jnp.zeros(len(attrs))
    for i, (a, b) in enumerate(itertools.pairwise(bounds)):
        logits = found["logits"][:, a:b]
        loss += optax.softmax_cross_entropy_with_integer_labels(logits, attrs[:, i])
        hits += logits.argmax(1) == attrs[:, i]
    return loss, hits


def balanced(module: WorldNet, variables: Any, images: jax.Array) -> Any:
    """The same network with each feature's root mean square 1 over some images, so that no feature outweighs others.

    A leaky ReLU lets a factor through: what is taken off the features is put onto the layers behind them.
    """
    features = np.asarray(jax.jit(module.apply)(variables, images)["features"])
    size = np.sqrt(np.square(features).mean(0))
    size = np.where(size > 0, size, 1.0).astype(np.float32)
    params = dict(variables["params"])
    for name in ("features_kernel", "features_bias"):
        params[name] = params[name] / size
    for name in ("logits_kernel", "numbers_kernel"):
        params[name] = params[name] * size[:, None]
    return {"params": params}


def main() -> None:
    """Trains, tests and writes the network."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--steps", type=int, default=1000)
    options.add_argument("--batch", type=int, default=64)
    options.add_argument("--out", default=str(Path(ganx.__file__).parent / "metrics" / "faces32.npz"))
    args = options.parse_args()
    faces = world("faces", size=SIDE, seed=11)
    module = WorldNet(tuple(len(values) for values in faces.ATTRS.values()), len(RANGES))
    variables = module.init(jax.random.key(0), jnp.zeros((1, SIDE, SIDE, 3)))
    optimiser = optax.adam(optax.cosine_decay_schedule(2e-3, args.steps))
    state = (variables, optimiser.init(variables))

    def objective(variables: Any, batch: Any) -> tuple[jax.Array, jax.Array]:
        images, attrs, numbers = batch
        found = module.apply(variables, images)
        loss, hits = scores(module, found, attrs)
        return (loss + jnp.square(found["numbers"] - numbers).sum(1)).mean(), hits.mean() / len(module.choices)

    @jax.jit
    def step(state: Any, indices: jax.Array) -> tuple[Any, Any]:
        variables, inner = state
        (loss, hits), slopes = jax.value_and_grad(objective, has_aux=True)(variables, targets(faces, indices))
        updates, inner = optimiser.update(slopes, inner)
        return (optax.apply_updates(variables, updates), inner), (loss, hits)

    for i in range(args.steps):
        state, (loss, hits) = step(state, jnp.arange(i * args.batch, (i + 1) * args.batch))
        if i % 250 == 0:
            print(f"step {i}: loss {float(loss):.3f}, attributes right {float(hits):.3f}", flush=True)
    variables = balanced(module, state[0], targets(faces, jnp.arange(2048))[0])
    rounded = {path: np.asarray(leaf, np.float16) for path, leaf in flat(variables).items()}
    np.savez_compressed(args.out, **rounded)
    images, attrs, numbers = targets(faces.replace(split="test"), jnp.arange(2048))
    variables = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float16).astype(jnp.float32), variables)
    found = jax.jit(module.apply)(variables, images)
    hits = scores(module, found, attrs)[1].mean() / len(module.choices)
    error = jnp.sqrt(jnp.square(found["numbers"] - numbers).mean())
    print(f"test faces: attributes right {float(hits):.4f}, error of numbers {float(error):.3f} (of a range of 2)")
    print(f"{args.out}: {Path(args.out).stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
