"""Spectral normalisation (Miyato et al. 2018): weights divided by an estimate of their largest singular value.

Training does one power iteration a forward pass and keeps its vectors in the collection "spectral", from which no
gradient comes. Two conventions differ in what evaluation does:

  "power"   iterates once more from the stored u and forgets the result (BigGAN-PyTorch)
  "stored"  uses the stored u and v as they are (torch.nn.utils.spectral_norm, the TF-Hub BigGAN-deep ports)

"none" leaves weights alone; `bake` turns either into it for inference.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from ganx.errors import unknown
from ganx.models import layers

NORMALISATIONS = ("power", "stored", "none")
# what BigGAN starts from, and what its CIFAR-10 recipe does
INITS = {"orthogonal": nn.initializers.orthogonal(), "normal": nn.initializers.normal(0.02)}
_HIGHEST = jax.lax.Precision.HIGHEST  # a matrix-vector product costs nothing, and its error would scale a whole layer


class WeightRule(NamedTuple):
    """How a network's weights are drawn, normalised and used.

    `normalisation`: one of `NORMALISATIONS`. `epsilon`: floor of the lengths that power iteration divides by.
    `init`: a name in `INITS`. `dtype`: what convolutions compute in; sigma is always float32.
    """

    normalisation: str = "power"
    epsilon: float = 1e-12
    init: str = "orthogonal"
    dtype: str = "float32"

    def checked(self) -> WeightRule:
        """The rule itself, or a `GanxError` that names the choices."""
        if self.normalisation not in NORMALISATIONS:
            raise unknown("spectral normalisation", self.normalisation, NORMALISATIONS)
        if self.init not in INITS:
            raise unknown("weight_init", self.init, INITS)
        return self


def power_iteration(matrix: jax.Array, u: jax.Array, epsilon: float) -> tuple[jax.Array, jax.Array]:
    """One step from `u` `[out]` on `matrix` `[rows, out]`: unit vectors v `[rows]` and u `[out]`, without gradient."""
    matrix = jax.lax.stop_gradient(matrix)
    v = _unit(_dot(matrix, u), epsilon)
    return v, _unit(_dot(v, matrix), epsilon)


def singular_value(matrix: jax.Array, v: jax.Array, u: jax.Array) -> jax.Array:
    """v^T M u, linear in `matrix`: its gradient is the outer product of v and u."""
    return _dot(v, _dot(matrix, u))


def _dot(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.dot(a, b, precision=_HIGHEST)


def _unit(x: jax.Array, epsilon: float) -> jax.Array:
    return x / jnp.maximum(jnp.sqrt(jnp.square(x).sum()), epsilon)


class _Weighted(nn.Module):
    rule: WeightRule = WeightRule()

    def weight(self, name: str, shape: tuple[int, ...], train: bool, rows: bool = False) -> jax.Array:
        """The normalised weight of `shape`; u lies along its last axis, with `rows` along its first."""
        raw = self.param(name, INITS[self.rule.init], shape)
        if self.rule.normalisation == "none":
            return raw
        matrix = raw.reshape(shape[0], -1).T if rows else raw.reshape(-1, shape[-1])
        return raw / self._sigma(matrix, shape[1:] if rows else shape[:-1], train)

    def _sigma(self, matrix: jax.Array, v_shape: tuple[int, ...], train: bool) -> jax.Array:
        stored, epsilon = self.rule.normalisation == "stored", self.rule.epsilon
        u = self.variable("spectral", "u", lambda: _unit(self._draw(matrix.shape[1]), epsilon))
        if stored:
            v = self.variable("spectral", "v", lambda: _unit(_dot(matrix, u.value), epsilon).reshape(v_shape))
            if not train:
                return singular_value(matrix, v.value.reshape(-1), u.value)
        else:  # for people to watch: training collapses where it shoots up (Brock et al. 2019, §4)
            value = self.variable("spectral", "sigma", jnp.ones, ())
        new_v, new_u = power_iteration(matrix, u.value, epsilon)
        sigma = singular_value(matrix, new_v, new_u)
        if train and not self.is_initializing():
            u.value = new_u
            if stored:
                v.value = new_v.reshape(v_shape)
            else:
                value.value = jax.lax.stop_gradient(sigma)
        return sigma

    def _draw(self, size: int) -> jax.Array:
        return jax.random.normal(self.make_rng("params"), (size,))


class SpectralConv(_Weighted):
    """Convolution of the same size, `[n, h, w, i]` to `[n, h, w, features]`; `kernel` is odd."""

    features: int = 1
    kernel: int = 3
    bias: bool = True

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        kernel = self.weight("kernel", (self.kernel, self.kernel, x.shape[-1], self.features), train)
        x = layers.conv(x.astype(self.rule.dtype), kernel.astype(self.rule.dtype))
        if self.bias:
            x = x + self.param("bias", nn.initializers.zeros, (self.features,)).astype(x.dtype)
        return x


class SpectralDense(_Weighted):
    """Linear layer in float32, `[n, i]` to `[n, features]`."""

    features: int = 1
    bias: bool = True

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        x = x.astype(jnp.float32) @ self.weight("kernel", (x.shape[-1], self.features), train)
        return x + self.param("bias", nn.initializers.zeros, (self.features,)) if self.bias else x


class SpectralEmbed(_Weighted):
    """Vectors `[n, features]` of classes; the matrix that is normalised is `[classes, features]`.

    `label` is int32 `[n]`, or float `[n, classes]` for a mixture of classes.
    """

    classes: int = 1
    features: int = 1

    @nn.compact
    def __call__(self, label: jax.Array, train: bool) -> jax.Array:
        table = self.weight("embedding", (self.classes, self.features), train, rows=True)
        return table[label] if label.ndim == 1 else label.astype(table.dtype) @ table


def bake(module: Any, variables: Any) -> tuple[Any, Any]:
    """A network that draws the same with its weights divided by sigma once and for all: faster, not for training.

    Args:
      module: one with a field `spectral`, such as a BigGAN generator or discriminator.
      variables: its variables.

    Returns:
      The module with `spectral="none"`, and its variables without the collection "spectral".
    """
    rest = {name: tree for name, tree in variables.items() if name != "spectral"}
    if "spectral" not in variables:
        return module, variables
    rule = WeightRule(module.spectral, module.spectral_epsilon)
    baked = _baked(variables["params"], variables["spectral"], rule)
    return module.clone(spectral="none"), {**rest, "params": baked}


def _baked(params: Any, spectral: Any, rule: WeightRule) -> Any:
    if "u" not in spectral:
        return {**params, **{name: _baked(params[name], below, rule) for name, below in spectral.items()}}
    name = "embedding" if "embedding" in params else "kernel"
    raw, u = params[name], spectral["u"]
    matrix = raw.T if name == "embedding" else raw.reshape(-1, raw.shape[-1])
    v = spectral["v"].reshape(-1) if rule.normalisation == "stored" else None
    if v is None:
        v, u = power_iteration(matrix, u, rule.epsilon)
    return {**params, name: raw / singular_value(matrix, v, u)}
