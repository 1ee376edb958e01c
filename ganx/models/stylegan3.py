"""StyleGAN3 (Karras et al. 2021), configurations T and R: a generator without aliasing, and StyleGAN2's discriminator.

Feature maps are samples of band-limited signals. Every layer says how wide its band is and how finely it is sampled;
what would not fit is filtered away before it can stick to the pixel grid. Parameters are stored raw, as drawn.
"""

from __future__ import annotations

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from ganx.errors import GanxError
from ganx.models import layers, stylegan2
from ganx.models.conditions import mapping_context
from ganx.models.family import Family
from ganx.models.filtered import Signal, filtered_lrelu, resampling
from ganx.models.fourier import FourierInput
from ganx.models.staged import Context, StagedGenerator, no_more_conditions
from ganx.models.style import Dense, Mapping

_normal = nn.initializers.normal(1.0)
W_AVG_DECAY = 0.998
MAGNITUDE_DECAY = 0.999


class _Layer(nn.Module):
    """Modulated convolution, bias, filtered leaky ReLU (§3.2); the last layer, `rgb`, is linear and unfiltered.

    `before` and `signal` are its input and output; `filter_size` is in taps at the lower rate, per factor.
    """

    before: Signal
    signal: Signal
    kernel: int
    filter_size: int
    radial: bool
    clamp: float
    rgb: bool
    dtype: str

    @nn.compact
    def __call__(self, x: jax.Array, w: jax.Array, train: bool) -> jax.Array:
        before, signal = self.before, self.signal
        kernel = self.param("kernel", _normal, (self.kernel, self.kernel, before.channels, signal.channels))
        style = Dense(before.channels, bias_init=1.0, name="style")(w)
        scale = jax.lax.rsqrt(self._magnitude(x, train))
        x = _modulated_conv(x.astype(self.dtype), kernel, style, scale, demodulate=not self.rgb)
        x = x + self.param("bias", nn.initializers.zeros, (signal.channels,)).astype(x.dtype)
        if self.rgb:
            return jnp.clip(x, -self.clamp, self.clamp) if self.clamp else x
        (up, down), designed = resampling(before, signal, self.filter_size, self.radial)
        # variables, so that an imported network filters with its own numbers and gives them back
        first = self.variable("constants", "up_filter", jnp.asarray, designed[0]).value
        second = self.variable("constants", "down_filter", jnp.asarray, designed[1]).value
        # samples lie in the middle of their cells, so the finer grid starts half a fine cell further out
        span = (signal.size - 1) * down + 1 - x.shape[1] * up + len(first) + len(second) - 2
        return filtered_lrelu(x, (first, second), (up, down), (span + up) // 2, signal.size, self.clamp)

    def _magnitude(self, x: jax.Array, train: bool) -> jax.Array:
        """Running mean of the squared input, which takes the place of normalisation (§3, configuration D)."""
        average = self.variable("averages", "magnitude", jnp.ones, ())
        if train and not self.is_initializing():
            now = jnp.square(jax.lax.stop_gradient(x).astype(jnp.float32)).mean()
            average.value = MAGNITUDE_DECAY * average.value + (1 - MAGNITUDE_DECAY) * now
        return average.value


def _modulated_conv(
    x: jax.Array, kernel: jax.Array, styles: jax.Array, scale: jax.Array, demodulate: bool
) -> jax.Array:
    """The kernel wherever it touches `x`: `[n, h, h, i]` to `[n, h + k - 1, h + k - 1, o]`, activations scaled.

    `scale` is on the input and, unlike `styles`, not undone by demodulation.
    """
    weight = kernel.astype(jnp.float32)
    if demodulate:  # first to unit size, so that the 1e-8 below means the same for every network
        weight = weight * jax.lax.rsqrt(jnp.square(weight).mean((0, 1, 2)))
        styles = styles * jax.lax.rsqrt(jnp.square(styles).mean(-1, keepdims=True) + 1e-20)
    else:
        styles = styles / math.sqrt(x.shape[-1])
    x = x * (styles * scale)[:, None, None].astype(x.dtype)
    reach = (
        len(kernel) // 2
    )  # zeros added here: XLA:CPU runs the kernel's gradient 20 times slower where they reach out
    y = layers.conv(jnp.pad(x, ((0, 0), (reach, reach), (reach, reach), (0, 0))), weight.astype(x.dtype))
    if demodulate:
        norms = jnp.square(styles) @ jnp.square(weight).sum((0, 1))
        y = y * jax.lax.rsqrt(norms + 1e-8)[:, None, None].astype(y.dtype)
    return y


class StyleGan3Generator(StagedGenerator):
    """Stages `map`, `input` (Fourier features), `layer0`, `layer1`, …, `rgb`.

    After `map` the features are the style codes `[n, layers + 2, style]` (W+): code 0 poses the `input`, code l + 1
    drives `layer{l}`, the last one `rgb`. Feature maps reach `margin` samples past the image on every side, except
    in the last two stages. Configuration T has `kernel` 3; R has `kernel` 1, `radial` filters and twice the channels.

    In bfloat16 an image is off by at most 1.2 % of the largest value in T and 0.9 % in R, by 0.1 % on average (16
    images of fresh 32-pixel nets, `tests/models/test_half_precision.py`).

    Fields: `resolution`, image `channels`, `latent` and `style` sizes, `mapping_layers`, `classes`; number of filtered
    `layers`, of which the last `critical` are sampled critically (never filtered radially); channels
    min(`channel_base`/2/cutoff, `channel_max`), or `widths` of all but rgb where given; `kernel`, `radial`;
    `first_cutoff` and `first_stopband` in cycles per image, `last_stopband` over the last cutoff, `margin`,
    `filter_size` in taps; `clamp` on magnitudes (0 for none), `output_scale`; compute `dtype` of all but input and rgb.
    """

    resolution: int
    channels: int = 3
    latent: int = 512
    style: int = 512
    mapping_layers: int = 2
    classes: int = 0
    layers: int = 14
    critical: int = 2
    channel_base: int = 32768
    channel_max: int = 512
    widths: tuple[int, ...] = ()
    kernel: int = 3
    radial: bool = False
    first_cutoff: float = 2.0
    first_stopband: float = 2**2.1
    last_stopband: float = 2**0.3
    margin: int = 10
    filter_size: int = 6
    clamp: float = 256.0
    output_scale: float = 0.25
    dtype: str = "float32"

    @property
    def prior(self) -> str:
        return "normal"

    def signals(self) -> tuple[Signal, ...]:
        """The output of each of `layer0`, `layer1`, …, `rgb`; the input stage's is like `layer0`'s (§3.2, figure 4).

        Cutoffs and stopbands grow geometrically up to the critical layers; each rate is the power of two that holds
        its stopband, or the resolution.
        """
        count, last = self.layers, self.resolution / 2
        t = np.minimum(np.arange(count + 1) / (count - self.critical), 1)
        cutoffs = self.first_cutoff * (last / self.first_cutoff) ** t
        stopbands = self.first_stopband * (last * self.last_stopband / self.first_stopband) ** t
        rates = 2 ** np.ceil(np.log2(np.minimum(2 * stopbands, self.resolution))).astype(int)
        half_widths = np.maximum(stopbands, rates / 2) - cutoffs
        sizes = [int(rate) + 2 * self.margin for rate in rates[:-2]] + [self.resolution] * 2
        widths = self.widths or [int(c) for c in np.rint(np.minimum(self.channel_base / 2 / cutoffs, self.channel_max))]
        columns = (cutoffs.tolist(), half_widths.tolist(), rates.tolist(), sizes, [*widths[:count], self.channels])
        return tuple(Signal(*row) for row in zip(*columns, strict=True))

    def setup(self) -> None:
        signals = self.signals()
        self.map = Mapping(
            self.style, self.mapping_layers, self.layers + 2, classes=self.classes, w_avg_decay=W_AVG_DECAY
        )
        self.input = FourierInput(signals[0])
        for index, (before, signal) in enumerate(zip((signals[0], *signals), signals, strict=False)):
            rgb = index == self.layers
            kernel, dtype = (1, "float32") if rgb else (self.kernel, self.dtype)
            layer = _Layer(before, signal, kernel, self.filter_size, self._radial(index), self.clamp, rgb, dtype)
            setattr(self, "rgb" if rgb else f"layer{index}", layer)

    def _radial(self, index: int) -> bool:
        return self.radial and index < self.layers - self.critical

    def filters(self) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
        """The filters on the way up and down that `layer0`, `layer1`, … are designed with."""
        signals = self.signals()
        pairs = zip((signals[0], *signals), signals[: self.layers], strict=False)
        return tuple(resampling(*pair, self.filter_size, self._radial(i))[1] for i, pair in enumerate(pairs))

    def stage_names(self) -> tuple[str, ...]:
        return ("map", *self._driven())

    def _driven(self) -> tuple[str, ...]:
        """The stages that have a style code each, in its order."""
        return ("input", *(f"layer{i}" for i in range(self.layers)), "rgb")

    def latent_shape(self) -> tuple[int, ...]:
        return (self.latent,)

    def begin(
        self,
        z: jax.Array,
        label: jax.Array | None = None,
        psi: float | jax.Array = 1.0,
        cutoff: int | None = None,
        transform: jax.Array | None = None,
        **conditions: Any,
    ) -> tuple[jax.Array, Context]:
        """Conditions.

        Args:
          z: `[n, latent]`.
          label: int32 `[n]`, where there are classes.
          psi: truncation of the first `cutoff` codes (all by default).
          transform: `[n, 3, 3]` or `[3, 3]`, from homogeneous coordinates of the image to those where its content is
            read, so the inverse of what happens to the image: (0, 0) is the centre, the side is 1, x points right and
            y down. None for the stored one, usually the identity.
        """
        no_more_conditions("stylegan3", "label, psi, cutoff and transform", conditions)
        n, count = len(z), self.layers + 2
        context = mapping_context(label, self.classes, psi, cutoff, n, count)
        if transform is not None:
            transform = jnp.asarray(transform, jnp.float32)
            if transform.shape not in ((3, 3), (n, 3, 3)):
                raise GanxError(f"transform has shape {list(transform.shape)}; give [3, 3] or [{n}, 3, 3]")
            context["transform"] = jnp.broadcast_to(transform, (n, 3, 3))
        return z, context

    def run_stage(self, name: str, features: jax.Array, context: Context, train: bool) -> tuple[jax.Array, Context]:
        stage, context = getattr(self, name), dict(context)
        if name == "map":
            return stage(features, context.pop("label", None), context.pop("psi"), train), context
        if name == "input":
            return stage(features[:, 0], context.pop("transform", None)), {**context, "ws": features}
        w = context["ws"][:, self._driven().index(name)]
        if name == "rgb":
            return stage(features.astype(jnp.float32), w, train) * self.output_scale, context
        return stage(features, w, train), context

    def style_matrices(self) -> dict[str, jax.Array]:
        return {stage: self.variables["params"][stage]["style"]["kernel"].T for stage in self._driven()}

    def styles(self, codes: jax.Array) -> dict[str, jax.Array]:
        """What modulates each stage: `[n, channels]` by stage for codes `[n, layers + 2, style]`; of `input` the pose,
        `[n, 4]`. Called through `apply`."""
        affines = {stage: self.variables["params"][stage]["style"] for stage in self._driven()}
        return {
            stage: codes[:, code] @ affine["kernel"] / math.sqrt(self.style) + affine["bias"]
            for code, (stage, affine) in enumerate(affines.items())
        }


def generator(resolution: int = 256, **fields: Any) -> StyleGan3Generator:
    """A generator; `fields` as in `StyleGan3Generator`."""
    if resolution < 16 or resolution & (resolution - 1):
        raise GanxError(f"a StyleGAN3's resolution is a power of two from 16 up, not {resolution}")
    module = StyleGan3Generator(resolution, **fields)
    if not 1 <= module.critical < module.layers:
        raise GanxError(f"of {module.layers} layers {module.critical} are critical; give 1 to {module.layers - 1}")
    if module.kernel % 2 == 0 or module.filter_size < 2 or (module.radial and module.filter_size % 2):
        raise GanxError("StyleGAN3 takes an odd kernel and an even filter_size, such as 3 and 6")
    return module


FAMILY = Family(
    "stylegan3",
    StyleGan3Generator,
    stylegan2.StyleGan2Discriminator,
    generator,
    stylegan2.discriminator,
)
