"""StyleGAN2 (Karras et al. 2020) and StyleGAN2-ADA (Karras et al. 2020b): the generator.

Parameters are stored raw, as drawn from N(0, 1); the equalised-learning-rate gains are applied when they are used.
"""

from __future__ import annotations

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from ganx.errors import GanxError
from ganx.models import layers
from ganx.models.conditions import Noise, mapping_context, noise_context, noise_maps
from ganx.models.family import Family
from ganx.models.staged import Context, StagedGenerator, no_more_conditions
from ganx.models.style import EMBEDDINGS, Conv, Dense, Mapping
from ganx.models.stylegan2_discriminator import StyleGan2Discriminator, discriminator
from ganx.models.stylegan2_layers import activated, channels_at, check, clipped, dtype_at

_normal = nn.initializers.normal(1.0)


def prenormalised(kernel: jax.Array, styles: jax.Array) -> tuple[jax.Array, jax.Array]:
    """A kernel `[k, k, i, o]` and styles `[n, i]` that demodulate to the same convolution and stay small on the way.

    Half precision would overflow otherwise (Karras et al. 2020b, appendix): each output channel of the kernel is
    divided by its largest weight and by sqrt(fan in), each sample's styles by their largest.
    """
    most = jax.lax.stop_gradient(jnp.abs(kernel).max((0, 1, 2)))
    loudest = jax.lax.stop_gradient(jnp.abs(styles).max(-1, keepdims=True))
    return kernel / (most * math.sqrt(math.prod(kernel.shape[:3]))), styles / loudest


class _Layer(nn.Module):
    """Modulated 3 x 3 convolution, noise, bias, leaky ReLU (StyleGAN2 figure 2c)."""

    features: int
    resolution: int
    index: int
    dtype: str
    clamp: float
    style_offset: float
    noise: bool

    @nn.compact
    def __call__(
        self, x: jax.Array | None, w: jax.Array, context: Context, below: jax.Array | None = None
    ) -> jax.Array:
        """`below` is what a residual connection adds, filtered to twice its size."""
        if x is None:  # the first layer starts from a learned constant
            const = self.param("const", _normal, (1, 4, 4, self.features))
            x = jnp.broadcast_to(const, (len(w), *const.shape[1:]))
        x = self._convolved(x.astype(self.dtype), w)
        if self.noise:
            x = x + self._noise(context).astype(x.dtype)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        x = activated(x + bias.astype(x.dtype), self.clamp)
        if below is None:
            return x
        skip = Conv(self.features, kernel=1, bias=False, name="skip")(below.astype(x.dtype))
        return (x + layers.fir_up(skip)) * math.sqrt(0.5)

    def _convolved(self, x: jax.Array, w: jax.Array) -> jax.Array:
        kernel = self.param("kernel", _normal, (3, 3, x.shape[-1], self.features))
        style = Dense(x.shape[-1], bias_init=1.0 - self.style_offset, name="style")(w) + self.style_offset
        if x.dtype != jnp.float32:
            kernel, style = prenormalised(kernel, style)
        return layers.modulated_conv(x, kernel, style, up=self.index % 2 == 1)

    def _noise(self, context: Context) -> jax.Array:
        shape = (self.resolution, self.resolution)
        const = self.variable("constants", "noise", lambda: jax.random.normal(self.make_rng("params"), shape))
        strength = self.param("noise_strength", nn.initializers.zeros, ())
        maps = noise_maps(context, self.index, const.value)
        return jnp.zeros((1, 1, 1, 1)) if maps is None else strength * maps


class _ToRgb(nn.Module):
    """Modulated 1 x 1 convolution to an image, in float32 whatever the maps are in."""

    channels: int
    clamp: float
    style_offset: float

    @nn.compact
    def __call__(self, x: jax.Array, w: jax.Array) -> jax.Array:
        kernel = self.param("kernel", _normal, (1, 1, x.shape[-1], self.channels))
        style = Dense(x.shape[-1], bias_init=1.0 - self.style_offset, name="style")(w) + self.style_offset
        x = layers.modulated_conv(x.astype(jnp.float32), kernel, style / math.sqrt(x.shape[-1]), demodulate=False)
        return clipped(x + self.param("bias", nn.initializers.zeros, (self.channels,)), self.clamp)


class StyleGan2Generator(StagedGenerator):
    """Stages `map`, then `layer0`, `rgb0`, `layer1`, `layer2`, `rgb1`, …, one rgb stage a resolution.

    After `map` the features are the style codes `[n, layers, style]` (W+), after `layerL` the feature maps, after
    `rgbB` the image so far. Code l drives `layerL`; `rgbB` shares code 2B+1 with the next layer. Architectures "orig"
    and "resnet" have the last rgb stage only; "resnet" adds what entered the first layer of a resolution to what
    leaves the second, which is the features after it.

    In bfloat16 an image is off by at most 1.8 % of the largest value, by 0.1 % on average; with the two highest
    resolutions in it by 1.6 %, in float16 by 0.2 % (16 images of a fresh 32-pixel net without clamp,
    `tests/models/test_half_precision.py`).

    Fields:
      resolution, channels: of the images; latent, style: sizes of z and w.
      mapping_layers, mapping_width, mapping_lr_mul, w_avg_decay: of the mapping, see `ganx.models.style.Mapping`.
      classes: 0 for none; embedding, embed_width: how a class joins z, see there too.
      channel_base, channel_max, widths: channels at resolution r are min(base/r, max); or `widths`, from 4 pixels up.
      architecture: "skip", "orig" or "resnet"; conv_clamp: what layers are clipped to, 0 for never.
      layer_noise: whether layers have noise inputs; style_offset: what is added to the biases of the styles, which
        start at 1 in all (1 where an imported checkpoint stores them without it).
      dtype: what convolutions compute in; the `half_res` highest resolutions in `half_dtype`.
    """

    resolution: int
    channels: int = 3
    latent: int = 512
    style: int = 512
    mapping_layers: int = 8
    channel_base: int = 32768
    channel_max: int = 512
    dtype: str = "float32"
    classes: int = 0
    embedding: str = "separate"
    embed_width: int = 0
    mapping_width: int = 0
    mapping_lr_mul: float = 0.01
    w_avg_decay: float = 0.995
    architecture: str = "skip"
    conv_clamp: float = 0.0
    layer_noise: bool = True
    style_offset: float = 0.0
    half_res: int = 0
    half_dtype: str = "bfloat16"
    widths: tuple[int, ...] = ()

    @property
    def prior(self) -> str:
        return "normal"

    def num_layers(self) -> int:
        """Number of style codes, 2 log2(resolution) - 2."""
        return 2 * int(math.log2(self.resolution)) - 2

    def setup(self) -> None:
        self.map = Mapping(
            style=self.style,
            depth=self.mapping_layers,
            layers=self.num_layers(),
            width=self.mapping_width,
            classes=self.classes,
            embedding=self.embedding,
            embed_width=self.embed_width,
            w_avg_decay=self.w_avg_decay,
            lr_mul=self.mapping_lr_mul,
        )
        for index in range(self.num_layers() - 1):
            resolution = 4 * 2 ** ((index + 1) // 2)
            width = channels_at(resolution, self.channel_base, self.channel_max, self.widths)
            dtype = dtype_at(resolution, self.resolution, self.dtype, self.half_res, self.half_dtype)
            layer = _Layer(width, resolution, index, dtype, self.conv_clamp, self.style_offset, self.layer_noise)
            setattr(self, f"layer{index}", layer)
        for block in self._rgb_blocks():
            setattr(self, f"rgb{block}", _ToRgb(self.channels, self.conv_clamp, self.style_offset))

    def _rgb_blocks(self) -> range:
        blocks = self.num_layers() // 2
        return range(blocks) if self.architecture == "skip" else range(blocks - 1, blocks)

    def stage_names(self) -> tuple[str, ...]:
        names = ["map"]
        for index in range(self.num_layers() - 1):
            names.append(f"layer{index}")
            if index % 2 == 0 and index // 2 in self._rgb_blocks():
                names.append(f"rgb{index // 2}")
        return tuple(names)

    def latent_shape(self) -> tuple[int, ...]:
        return (self.latent,)

    def begin(
        self,
        z: jax.Array,
        label: jax.Array | None = None,
        psi: float | jax.Array = 1.0,
        cutoff: int | None = None,
        noise: Noise = "const",
        **conditions: Any,
    ) -> tuple[jax.Array, Context]:
        """Conditions: a class `label` int32 `[n]`; truncation `psi` on the first `cutoff` layers (all by default);
        `noise` as in `noise_context`."""
        no_more_conditions("stylegan2", "label, psi, cutoff and noise", conditions)
        n, count = len(z), self.num_layers()
        sides = {f"layer{i}": 4 * 2 ** ((i + 1) // 2) for i in range(count - 1)}
        context = mapping_context(label, self.classes, psi, cutoff, n, count)
        return z, context | noise_context(noise, n, sides)

    def train_conditions(self, key: jax.Array) -> dict[str, Any]:
        return {"noise": key}

    def run_stage(self, name: str, features: jax.Array, context: Context, train: bool) -> tuple[jax.Array, Context]:
        stage = getattr(self, name)
        if name == "map":
            codes = stage(features, context.get("label"), context["psi"], train)
            return codes, _without(context, "psi", "label")
        if name == "layer0":
            return stage(None, features[:, 0], context), {**context, "ws": features}
        if name.startswith("rgb"):
            return self._rgb(stage, int(name[3:]), features, context)
        return self._layer(stage, int(name[5:]), features, context)

    def _rgb(self, stage: _ToRgb, block: int, features: jax.Array, context: Context) -> tuple[jax.Array, Context]:
        image = stage(features, context["ws"][:, 2 * block + 1])
        if "image" in context:
            image = layers.fir_up(context["image"]) + image
        return image, {**_without(context, "image"), "x": features}

    def _layer(self, stage: _Layer, index: int, features: jax.Array, context: Context) -> tuple[jax.Array, Context]:
        w = context["ws"][:, index]
        if self.architecture == "orig":
            return stage(features, w, context), context
        if self.architecture == "resnet":
            if index % 2 == 1:
                return stage(features, w, context), {**context, "below": features}
            return stage(features, w, context, context["below"]), _without(context, "below")
        if index % 2 == 1:  # the stage before was an rgb stage, whose features are the image
            features, context = context["x"], {**_without(context, "x"), "image": features}
        return stage(features, w, context), context

    def style_matrices(self) -> dict[str, jax.Array]:
        stages = [f"layer{i}" for i in range(self.num_layers() - 1)] + [f"rgb{self.num_layers() // 2 - 1}"]
        return {stage: self.variables["params"][stage]["style"]["kernel"].T for stage in stages}

    def styles(self, codes: jax.Array) -> dict[str, jax.Array]:
        """What modulates each stage (StyleSpace, Wu et al. 2020): `[n, channels]` by stage for codes
        `[n, layers, style]`. Called through `apply`."""
        found = {}
        for name in self.stage_names()[1:]:
            code = int(name[5:]) if name.startswith("layer") else 2 * int(name[3:]) + 1
            affine = self.variables["params"][name]["style"]
            found[name] = codes[:, code] @ affine["kernel"] / math.sqrt(self.style) + affine["bias"] + self.style_offset
        return found


def _without(context: Context, *names: str) -> Context:
    return {name: value for name, value in context.items() if name not in names}


def generator(resolution: int = 64, **fields: Any) -> StyleGan2Generator:
    """A generator; `fields` as in `StyleGan2Generator`."""
    module = StyleGan2Generator(resolution, **fields)
    base, limit = module.channel_base, module.channel_max
    check(resolution, module.architecture, module.half_dtype, module.widths, base, limit)
    if module.embedding not in EMBEDDINGS:
        raise GanxError(f"embedding is one of {', '.join(EMBEDDINGS)}, not {module.embedding!r}")
    return module


FAMILY = Family("stylegan2", StyleGan2Generator, StyleGan2Discriminator, generator, discriminator)
