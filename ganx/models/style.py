"""What style-based networks share: equalised layers and the mapping network from z to w.

Parameters are stored raw, as drawn; the equalised-learning-rate gains are applied when they are used.
"""

from __future__ import annotations

import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from ganx.errors import GanxError
from ganx.models.layers import SQRT2, blur_down_conv, conv, lrelu, pixel_norm

# How a class joins z: both normalised, then joined (StyleGAN2-ADA), or joined, then normalised (the earlier ones).
EMBEDDINGS = ("separate", "joint")


class Dense(nn.Module):
    """Equalised linear layer (Karras et al. 2018, §4.1): `[..., i]` to `[..., features]`.

    The weight is drawn from N(0, 1/lr_mul²) and used times `gain * lr_mul / sqrt(i)`, the bias times `lr_mul`.
    `gain` is sqrt(2) in StyleGAN where a leaky ReLU follows, otherwise 1.
    """

    features: int
    bias_init: float = 0.0
    lr_mul: float = 1.0
    gain: float = 1.0

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        kernel = self.param("kernel", nn.initializers.normal(1.0 / self.lr_mul), (x.shape[-1], self.features))
        bias = self.param("bias", nn.initializers.constant(self.bias_init / self.lr_mul), (self.features,))
        gain = self.gain * self.lr_mul / math.sqrt(x.shape[-1])
        return x @ (kernel * gain).astype(x.dtype) + (bias * self.lr_mul).astype(x.dtype)


class Conv(nn.Module):
    """Equalised convolution: `[n, h, w, i]` to `[n, h, w, features]`, weight and `gain` as in `Dense`.

    `down` filters with [1, 3, 3, 1] and halves the size (StyleGAN2).
    """

    features: int
    kernel: int = 3
    down: bool = False
    bias: bool = True
    gain: float = 1.0

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        size = (self.kernel, self.kernel, x.shape[-1], self.features)
        gain = self.gain / math.sqrt(math.prod(size[:3]))
        kernel = self.param("kernel", nn.initializers.normal(1.0), size) * gain
        x = (blur_down_conv if self.down else conv)(x, kernel.astype(x.dtype))
        if self.bias:
            x = x + self.param("bias", nn.initializers.zeros, (self.features,)).astype(x.dtype)
        return x


class ClassEmbedding(nn.Module):
    """A vector for each class: a linear layer on one-hot labels, looked up. int32 `[n]` to `[n, features]`.

    With `bias` it is equalised, gain 1/sqrt(classes) (StyleGAN2-ADA); without, a plain table (StyleGAN).
    """

    classes: int
    features: int
    bias: bool

    @nn.compact
    def __call__(self, label: jax.Array | None) -> jax.Array:
        rows = self.param("kernel", nn.initializers.normal(1.0), (self.classes, self.features))
        rows = rows[jnp.asarray(label)]
        if not self.bias:
            return rows
        return rows / math.sqrt(self.classes) + self.param("bias", nn.initializers.zeros, (self.features,))


class Mapping(nn.Module):
    """z, a class or both to w; for a generator truncated towards the running mean and repeated for every layer.

    Parameters `fc{i}`, and `embed` where there are classes; the running mean is `averages/w_avg`.

    Fields:
      style: size of w; `depth` dense layers, `width` wide in between (0 for as wide as w).
      layers: style codes of the generator; 0 gives w itself, without a running mean (a discriminator's labels).
      classes: 0 for none; `embedding` is one of `EMBEDDINGS`, `embed_width` the width of a class's vector where it is
        "separate" (0 for as wide as w).
      w_avg_decay: of the running mean, a step; `lr_mul` is that of the dense layers.
      gain, relu_gain: of each dense layer and of the leaky ReLU after it: (1, sqrt 2) in StyleGAN2, (sqrt 2, 1)
        in StyleGAN.
    """

    style: int
    depth: int
    layers: int = 0
    width: int = 0
    classes: int = 0
    embedding: str = "separate"
    embed_width: int = 0
    w_avg_decay: float = 0.995
    lr_mul: float = 0.01
    gain: float = 1.0
    relu_gain: float = SQRT2

    @nn.compact
    def __call__(
        self,
        z: jax.Array | None,
        label: jax.Array | None = None,
        psi: jax.Array | float = 1.0,
        train: bool = False,
    ) -> jax.Array:
        """`[n, layers, style]`, or `[n, style]` where `layers` is 0.

        Args:
          z: `[n, latent]`, None where only classes are mapped.
          label: int32 `[n]`, None without classes.
          psi: truncation `[n, layers]`; 1 leaves a code as it is.
          train: move the running mean.
        """
        x = self._input(z, label)
        for i in range(self.depth):
            features = self.style if i == self.depth - 1 else self.width or self.style
            dense = Dense(features, lr_mul=self.lr_mul, gain=self.gain, name=f"fc{i}")
            x = lrelu(dense(x), self.relu_gain)
        return self._truncated(x, psi, train) if self.layers else x

    def _input(self, z: jax.Array | None, label: jax.Array | None) -> jax.Array:
        if self.classes and self.embedding == "joint" and z is not None:  # the table is as wide as z
            rows = ClassEmbedding(self.classes, z.shape[-1], bias=False, name="embed")(label)
            return pixel_norm(jnp.concatenate([z, rows], -1))
        parts = [] if z is None else [pixel_norm(z)]
        if self.classes:
            width = self.embed_width or self.style
            parts.append(pixel_norm(ClassEmbedding(self.classes, width, bias=True, name="embed")(label)))
        return jnp.concatenate(parts, -1)

    def _truncated(self, w: jax.Array, psi: jax.Array | float, train: bool) -> jax.Array:
        w_avg = self.variable("averages", "w_avg", jnp.zeros, (self.style,))
        if train and not self.is_initializing():
            decay = self.w_avg_decay
            w_avg.value = decay * w_avg.value + (1 - decay) * jax.lax.stop_gradient(w).mean(0)
        ws = jnp.broadcast_to(w[:, None], (len(w), self.layers, self.style))
        psi = jnp.broadcast_to(psi, ws.shape[:2])[..., None]
        return jnp.where(psi == 1.0, ws, w_avg.value + psi * (ws - w_avg.value))


def checked_label(label: jax.Array | None, classes: int, n: int) -> jax.Array | None:
    """The label of `n` samples as int32 `[n]`, or None for a network without classes.

    Raises:
      GanxError: classes without labels, labels without classes, or another number of them.
    """
    if label is None:
        if classes:
            raise GanxError(f"this network is conditioned on {classes} classes; give label=int32 [n]")
        return None
    if not classes:
        raise GanxError("this network is not conditioned on classes; leave label out")
    label = jnp.asarray(label, jnp.int32)
    if label.shape != (n,):
        raise GanxError(f"label has shape {list(label.shape)} for {n} samples; give one class number for each")
    return label
