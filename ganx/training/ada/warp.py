"""An affine warp without aliasing: double, sample bilinearly, halve (Karras et al. 2020b, appendix B).

Everything is linear in the image, so that gradients of any order are these operations and their transposes.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from ganx.training.ada.bilinear import sample
from ganx.training.ada.resampling import REACH, doubling, halving, row_of

Margin = tuple[jax.Array, jax.Array]


def warp(images: jax.Array, inverse: jax.Array) -> jax.Array:
    """Each of `images` `[n, h, w, c]`, float32, moved by the transform whose inverse `[n, 3, 3]` is given.

    Beyond its borders an image goes on as its mirror image, as far as the transform's corners reach and at most by the
    image's own size; 0 lies beyond that.
    """
    n, height, width, channels = images.shape
    vertical, horizontal = margins(inverse, height, width)
    planes = images.transpose(0, 3, 1, 2)
    planes = _product("nth,nchw->nctw", doubling(height, *vertical), planes)
    planes = _product("nsw,nctw->ncts", doubling(width, *horizontal), planes)
    y, x = _places(inverse, height, width)
    top, left = jnp.floor(y), jnp.floor(x)
    row = row_of(top.astype(jnp.int32), height, *vertical)
    column = row_of(left.astype(jnp.int32), width, *horizontal)
    samples = sample(planes.transpose(0, 2, 3, 1), row, column, y - top, x - left)
    samples = samples.reshape(n, 2 * height + 10, 2 * width + 10, channels).transpose(0, 3, 1, 2)
    halved = _product("iq,ncqs->ncis", halving(height), samples)
    return _product("js,ncis->ncij", halving(width), halved).transpose(0, 2, 3, 1)


def margins(inverse: jax.Array, height: int, width: int) -> tuple[Margin, Margin]:
    """Mirrored samples (above, below) and (left of, right of) each image: two pairs of `[n]` int32.

    What the corners need and six for the filters, at most size - 1. The authors take the largest of a batch; here each
    image has its own, so that no image depends on its neighbours and none has to wait for another device's.
    """
    cy, cx = (height - 1) / 2, (width - 1) / 2
    corners = jnp.array([[-cx, -cy, 1], [cx, -cy, 1], [cx, cy, 1], [-cx, cy, 1]])
    at = (inverse[:, :2, None, :] * corners).sum(-1)
    pairs = []
    for axis, centre, size in ((1, cy, height), (0, cx, width)):
        need = jnp.stack([-at[:, axis].min(-1), at[:, axis].max(-1)]) + (REACH - centre)
        before, after = jnp.ceil(jnp.clip(need, 0, size - 1)).astype(jnp.int32)
        pairs.append((before, after))
    return pairs[0], pairs[1]


def _places(inverse: jax.Array, height: int, width: int) -> tuple[jax.Array, jax.Array]:
    """Doubled places (y, x) that the warped, doubled image looks at, each `[n, (2h + 10)(2w + 10)]` float32."""
    v = ((jnp.arange(2 * height + 10) - height - 4) / 2)[:, None]
    u = (jnp.arange(2 * width + 10) - width - 4) / 2
    xx, xy, x0, yx, yy, y0 = (inverse[:, i, j, None, None] for i in (0, 1) for j in (0, 1, 2))
    x = 2 * (xx * u + xy * v + x0) + (width - 1)
    y = 2 * (yx * u + yy * v + y0) + (height - 1)
    return y.reshape(len(y), -1), x.reshape(len(x), -1)


def _product(form: str, matrix: jax.Array | np.ndarray, x: jax.Array) -> jax.Array:
    return jnp.einsum(form, matrix, x, precision=jax.lax.Precision.HIGHEST)
