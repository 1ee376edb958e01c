"""What lies between two samples."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from ganx import codes
from ganx.gan import Gan
from ganx.lens import ImageGrid, Inquiry, Movie, Section, register

_LOOPS, _STOPS, _FRAMES = 6, 4, 12
_STRIPS, _SHOWN = 3, 9
_PSI = 0.7


@register("walk", order=20, title="A walk through latent space")
def walk(gan: Gan, inquiry: Inquiry) -> Section:
    """Closed loops through random codes, as films and as strips."""
    z = gan.latents(inquiry.key, _LOOPS * _STOPS)
    label = gan.labels(inquiry.key, _LOOPS)  # a loop stays within its class
    labels = None if label is None else label.repeat(_STOPS)
    stops = codes.encode_jit(gan, z, _PSI, labels).reshape(_LOOPS, _STOPS, *codes.code_shape(gan))
    path = _loop(stops, codes.slerp if _is_round(gan) else codes.lerp)
    frames = codes.paint(gan, path, limit=128, label=None if label is None else label[:, None])
    steps = step_sizes(frames)
    lead = (
        "Between any two codes lie others, and what they draw should change smoothly from one into the other. "
        "A jump, or pictures that fall apart on the way, would show a generator that memorised rather than learned."
    )
    film = Movie(frames, f"{_LOOPS} closed walks, each through {_STOPS} random codes.")
    shown = np.linspace(0, _FRAMES, _SHOWN).round().astype(int)
    strip = ImageGrid(frames[:_STRIPS, shown], "From one random code (left) to the next (right).", cell=108)
    numbers = {
        "path": "great circles in z" if _is_round(gan) else "straight lines",
        "mean_step": float(steps.mean()),
        "largest_step": float(steps.max()),
    }
    return Section(lead, (film, strip), numbers, {"codes": np.asarray(path), "step_sizes": steps})


def step_sizes(frames: np.ndarray) -> np.ndarray:
    """Mean absolute change from each frame to the next, of the range [-1, 1]: `[loops, steps]`."""
    change = np.abs(np.roll(frames, -1, 1).astype(np.float32) - frames)
    return change.mean((2, 3, 4)) / 127.5


def _is_round(gan: Gan) -> bool:
    """Whether codes lie near a sphere, as normal ones do: then straight lines leave it."""
    return gan.spec.prior == "normal" and not codes.style_based(gan)


def _loop(stops: jax.Array, between: Callable[..., jax.Array]) -> jax.Array:
    """Codes `[loops, stops * frames, …]` through `stops` `[loops, stops, …]` and back to the first."""
    nexts = jnp.roll(stops, -1, 1)
    t = jnp.arange(_FRAMES) / _FRAMES
    legs = jax.vmap(lambda t: between(stops, nexts, t), out_axes=2)(t)
    return legs.reshape(len(stops), -1, *stops.shape[2:])
