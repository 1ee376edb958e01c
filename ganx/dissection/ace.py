"""Sets of units that cause a class, by maximising the average causal effect (eqs. 4 to 6, §6)."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from ganx.dissection.interventions import Edit, pool
from ganx.dissection.pairs import Pairs, find_pairs, find_present
from ganx.dissection.samples import Samples
from ganx.errors import GanxError
from ganx.gan import Activation, Gan
from ganx.segment import SoftSegmenter, index_of
from ganx.training import loops

READOUTS = ("cell", "image", "everywhere")


@dataclasses.dataclass(frozen=True)
class Ace:
    """Causal strength of every unit for a class.

    Attributes:
      label: name of the class.
      alpha: float32 `[U]` in [0, 1].
      constant: float32 `[U]`, what insertion puts in.
      losses: float32 `[steps]`, the objective per pair.
    """

    label: str
    alpha: np.ndarray
    constant: np.ndarray
    losses: np.ndarray

    def top(self, n: int = 20, ties: Any = None) -> np.ndarray:
        """The `n` strongest units, int64 `[n]`; `ties` `[U]` (such as the IoU) decides between equals."""
        ties = np.zeros(len(self.alpha)) if ties is None else np.asarray(ties)
        return np.lexsort((np.arange(len(self.alpha)), -ties, -self.alpha))[:n]


def objective(
    alpha: jax.Array,
    gan: Gan,
    stage: str,
    segmenter: SoftSegmenter,
    number: int,
    pairs: Pairs,
    penalty: float,
    readout: str = "cell",
    compat: str | None = None,
    spare: float = 0.0,
) -> jax.Array:
    """Mean over pairs of score(ablated) - score(inserted) + penalty |alpha|², a scalar (§6.2).

    Scores are read where the edit is. `compat="gandissect"` reads the insertion at the cell of the other image, as the
    released code does. With the readout "everywhere" units are ablated all over the images that show the class and
    nothing is inserted; what counts is the share of the class that stays (eq. 4 with its normalisation), plus `spare`
    times the mean change of all other pixels (ours).
    """
    if readout == "everywhere":
        return _stays(alpha, gan, stage, segmenter, number, pairs.present, spare) + penalty * jnp.square(alpha).sum()
    h, w, _ = gan.shapes[stage]
    grid = jnp.arange(h * w)
    here = (grid == pairs.present_cell[:, None]).reshape(-1, h, w, 1) * alpha
    there = (grid == pairs.candidate_cell[:, None]).reshape(-1, h, w, 1) * alpha
    value = jax.lax.stop_gradient(jnp.asarray(pairs.constant))
    ablated = _scores(gan, stage, segmenter, number, pairs.present, Edit(here, jnp.zeros(())))
    inserted = _scores(gan, stage, segmenter, number, pairs.candidate, Edit(there, value))
    read = pairs.present_cell if compat == "gandissect" else pairs.candidate_cell
    if readout == "image":
        effect = inserted.mean((1, 2)) - ablated.mean((1, 2))
    else:
        effect = _at(inserted, read) - _at(ablated, pairs.present_cell)
    return -effect.mean() + penalty * jnp.square(alpha).sum()


def _stays(
    alpha: jax.Array, gan: Gan, stage: str, segmenter: SoftSegmenter, number: int, act: Activation, spare: float
) -> jax.Array:
    """Share of a class that stays without the units, and `spare` times the mean change of the other pixels."""
    before = gan.since(stage, act)
    after = gan.since(stage, act.with_features(Edit(alpha, jnp.zeros(()))(act.features)))
    shown, left = (segmenter.probability(images, number) for images in (before, after))
    moved = jnp.abs(after - before).mean(-1) * (1 - shown)
    return left.sum() / shown.sum() - 1 + spare * moved.sum() / (1 - shown).sum()


def _scores(gan: Gan, stage: str, segmenter: SoftSegmenter, number: int, act: Activation, edit: Edit) -> jax.Array:
    """Score of the class on the grid, `[n, h, w]`."""
    images = gan.since(stage, act.with_features(edit(act.features)))
    return pool(segmenter.probability(images, number), gan.shapes[stage][:2], "mean")


def _at(scores: jax.Array, cell: Any) -> jax.Array:
    return jnp.take_along_axis(scores.reshape(len(scores), -1), jnp.asarray(cell)[:, None], 1)[:, 0]


@functools.partial(jax.jit, static_argnames=("stage", "number", "readout", "compat", "spare", "rate"))
def _steps(
    carry: Any,
    batches: Pairs,
    gan: Gan,
    segmenter: SoftSegmenter,
    *,
    stage: str,
    number: int,
    penalty: float,
    readout: str,
    compat: str | None,
    spare: float,
    rate: float,
) -> tuple[Any, jax.Array]:
    """As many steps of Adam as `batches` has entries, alpha clamped after each."""

    def step(carry: Any, batch: Pairs) -> tuple[Any, jax.Array]:
        alpha, state = carry
        loss, gradient = jax.value_and_grad(objective)(
            alpha, gan, stage, segmenter, number, batch, penalty, readout, compat, spare
        )
        update, state = optax.adam(rate).update(gradient, state)
        return (jnp.clip(optax.apply_updates(alpha, update), 0, 1), state), loss

    return loops.inner_loop(step, carry, batches)


def optimize_ace(
    present: Samples,
    candidate: Samples,
    label: str | int,
    initial: Any,
    *,
    key: jax.Array,
    pairs: int = 1000,
    steps: int = 500,
    batch: int = 20,
    rate: float = 0.01,
    penalty: float = 0.005,
    readout: str = "cell",
    compat: str | None = None,
    spare: float = 0.0,
    found: Pairs | None = None,
) -> Ace:
    """Finds the units whose insertion makes a class appear and whose ablation makes it go.

    Args:
      present, candidate: pools of samples under different keys, 10,000 each in the paper.
      label: the class.
      initial: `[U]`, where alpha starts, such as its IoU; divided by its maximum.
      key: order of the pairs and cells tried.
      pairs: how many present and candidate images to train on.
      steps, batch, rate, penalty: Adam's steps, pairs a step, rate, and the weight of |alpha|² (§6.2).
      readout: "cell", where the edit is, "image", over all of it, or "everywhere", which ablates and reads all over
        the image and inserts nothing: what an ablation curve measures.
      compat: "gandissect" reads the insertion at the wrong cell, as released.
      spare: with "everywhere", how much the change of all other pixels (in [0, 2]) weighs against the share of the
        class that is removed.
      found: pairs found before, by `find_pairs` or, with "everywhere", `find_present`.

    Raises:
      GanxError: the segmenter is not differentiable, or the pools are too small.
    """
    gan, segmenter = present.gan, present.segmenter
    if not isinstance(segmenter, SoftSegmenter) or not segmenter.on_device:
        raise GanxError("optimising needs a segmenter with probabilities; use single_units, or one that has them")
    if readout not in READOUTS or compat not in (None, "gandissect"):
        raise GanxError("readout is 'cell', 'image' or 'everywhere', compat None or 'gandissect'")
    number = index_of(segmenter, label)
    key_cells, key_order = jax.random.split(key)
    if found is None and readout == "everywhere":
        found = find_present(present, label, pairs)
    found = found or find_pairs(present, candidate, label, pairs, key_cells)
    start = jnp.asarray(initial, jnp.float32)
    alpha = jnp.clip(start / jnp.maximum(start.max(), 1e-20), 0, 1)
    carry = (alpha, optax.adam(rate).init(alpha))
    chunk = 1 if loops.unrolled() else 25  # a long loop is not to be unrolled: each of its steps is a program call
    losses = []
    order = _order(key_order, len(found.present_cell), steps, batch)
    kind = {"stage": present.stage, "number": number, "readout": readout, "compat": compat}
    run = functools.partial(_steps, penalty=penalty, spare=spare, rate=rate, **kind)
    for rows in np.split(order, range(chunk, steps, chunk)):
        carry, loss = run(carry, _batches(found, rows), gan, segmenter)
        losses.append(loss)
    return Ace(segmenter.names[number], np.asarray(carry[0]), found.constant, np.concatenate(losses))


def _order(key: jax.Array, n: int, steps: int, batch: int) -> np.ndarray:
    """Which pairs each step sees, int `[steps, batch]`: shuffled epochs."""
    seed = int(jax.random.bits(key, dtype=jnp.uint32))
    generator, need = np.random.default_rng(seed), steps * batch
    epochs = [generator.permutation(n) for _ in range(-(-need // n))]
    return np.concatenate(epochs)[:need].reshape(steps, batch)


def _batches(pairs: Pairs, rows: np.ndarray) -> Pairs:
    """Pairs `[steps, batch, …]`."""
    without = dataclasses.replace(pairs, constant=np.zeros(len(pairs.present_cell)))
    picked = jax.tree.map(lambda leaf: leaf[rows], without)
    constant = np.broadcast_to(pairs.constant, (len(rows), len(pairs.constant)))
    return dataclasses.replace(picked, constant=constant)
