"""ModularGAN (Zhao et al. 2018) as a staged generator: encoder or source, one transformer an attribute, reconstructor.

Features have one shape and one meaning between all of them, so that any transformers may run, in any order. As a `Gan`
they run in the order of the bank, by `gan(x, program=...)`; `ganx.modulargan` runs them in any order.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from ganx.errors import GanxError
from ganx.models.family import Family
from ganx.models.modular_parts import (
    CONDITIONING,
    Heads,
    Painter,
    Source,
    Stack,
    Transformer,
    Trunk,
    channels_of,
    check_size,
    critic_depth,
    value_code,
)
from ganx.models.staged import Context, StagedGenerator, no_more_conditions

Attributes = tuple[tuple[str, tuple[str, ...]], ...]
ENCODER, SOURCE, RECONSTRUCTOR, PREFIX = "encoder", "source", "reconstructor", "to_"


class ModularGenerator(StagedGenerator):
    """Stages `encoder` (or `source`), `to_NAME` for each attribute, `reconstructor`.

    With `classes` 0 it translates: its latent is an image `[H, W, C]` in [-1, 1]. Otherwise it generates from codes
    `[latent]` and the content, one of `classes`; its encoder then serves training only.

    Fields: `attributes` as ((name, (value, ...)), ...); `width` of the first layer, features have four times that;
    residual `blocks` of a transformer and of the encoder; the transformer's `mask` and `conditioning`; `encoder_norm`
    False leaves the encoder's instance norms out (ours), for pictures of few flat colours.
    """

    attributes: Attributes
    resolution: int = 128
    channels: int = 3
    classes: int = 0
    latent: int = 128
    width: int = 64
    blocks: int = 6
    encoder_blocks: int = 0
    mask: bool = True
    conditioning: str = "repeat"
    encoder_norm: bool = True
    dtype: str = "float32"

    @property
    def prior(self) -> str:
        """Of the latents: normal codes, or pixels."""
        return "normal" if self.classes else "uniform"

    def setup(self) -> None:
        self.encoder = Trunk(self.width, self.encoder_blocks, self.dtype, self.encoder_norm)
        if self.classes:
            self.source = Source(self.resolution // 4, 4 * self.width, self.dtype)
        for name, _ in self.attributes:
            setattr(self, PREFIX + name, Transformer(self.blocks, self.mask, self.conditioning, self.dtype))
        self.reconstructor = Painter(self.channels, self.dtype)

    def stage_names(self) -> tuple[str, ...]:
        first = SOURCE if self.classes else ENCODER
        return (first, *(PREFIX + name for name, _ in self.attributes), RECONSTRUCTOR)

    def latent_shape(self) -> tuple[int, ...]:
        return (self.latent,) if self.classes else (self.resolution, self.resolution, self.channels)

    def begin(self, z: jax.Array, label: Any = None, program: Any = None, **others: Any) -> tuple[jax.Array, Context]:
        """`label` is the content of what is generated, int32 `[n]` or mixtures; `program` int32 `[n, attributes]` says
        which value each attribute shall have, -1 to leave it. None leaves all."""
        no_more_conditions("modular", "label and program", others)
        if self.classes and label is not None:
            content = label if label.ndim == 2 else jax.nn.one_hot(label, self.classes)
            z = jnp.concatenate([z, content], -1)
        return z, {} if program is None else {"program": program}

    def run_stage(self, name: str, features: jax.Array, context: Context, train: bool) -> tuple[jax.Array, Context]:
        if not name.startswith(PREFIX):
            out = getattr(self, name)(features)
            if name == RECONSTRUCTOR and self.classes and self.is_initializing():
                self.encoder(out)
            return out, context
        at = [known for known, _ in self.attributes].index(name.removeprefix(PREFIX))
        if "program" not in context:
            if self.is_initializing():
                self.transform(self.attributes[at][0], features, jnp.zeros(len(features), jnp.int32))
            return features, context
        value = context["program"][:, at]
        changed, mask = self.transform(self.attributes[at][0], features, value)
        chosen = (value >= 0)[:, None, None, None]
        mask = jnp.where(chosen, mask, 0.0)
        return jnp.where(chosen, changed, features), {**context, f"mask {name.removeprefix(PREFIX)}": mask}

    def encode(self, x: jax.Array) -> jax.Array:
        """Images `[n, H, W, C]` to features `[n, H/4, W/4, 4 width]`."""
        return self.encoder(x)

    def generate(self, z: jax.Array, label: jax.Array) -> jax.Array:
        """Codes `[n, latent]` and contents `[n]` to features."""
        return self.source(self.begin(z, label)[0])

    def transform(self, name: str, f: jax.Array, value: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Features with one attribute set to `value` int32 `[n]`, and the mask of where, float32 `[n, h, w, 1]`."""
        return getattr(self, PREFIX + name)(f, value_code(value, len(dict(self.attributes)[name])))

    def reconstruct(self, f: jax.Array) -> jax.Array:
        """Features to images in [-1, 1]."""
        return self.reconstructor(f)

    def style_matrices(self) -> dict[str, jax.Array]:
        if not self.classes:
            raise GanxError("a modular translator takes images, not codes: there is no matrix to factorise")
        kernel = self.variables["params"][SOURCE]["kernel"][:, :, : self.latent]
        return {SOURCE: jnp.moveaxis(kernel, 2, -1).reshape(-1, self.latent)}


class ModularDiscriminator(nn.Module):
    """One D_i for each attribute, whole networks of their own, or heads on one trunk with `shared`.

    With `classes` there is one more, named "content", that knows what was generated.
    """

    attributes: Attributes
    resolution: int = 128
    classes: int = 0
    width: int = 64
    depth: int = 0
    shared: bool = False
    dtype: str = "float32"

    def setup(self) -> None:
        depth = critic_depth(self.resolution, self.depth)
        if self.shared:
            self.trunk = Stack(self.width, depth, self.dtype)
        for name, outputs in self.judges():
            if not self.shared:
                setattr(self, f"of_{name}", Stack(self.width, depth, self.dtype))
            setattr(self, f"heads_{name}", Heads(outputs))

    def judges(self) -> tuple[tuple[str, int], ...]:
        """Name and number of logits of each discriminator."""
        found = tuple((name, channels_of(len(values))) for name, values in self.attributes)
        return (*found, ("content", self.classes)) if self.classes else found

    def judge(self, name: str, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """One D_i of images `[n, H, W, C]`: scores of patches `[n, h, w]` and logits of the values `[n, k]`."""
        stack = self.trunk if self.shared else getattr(self, f"of_{name}")
        return getattr(self, f"heads_{name}")(stack(x))

    def __call__(self, x: jax.Array, train: bool = False, label: Any = None) -> jax.Array:
        """Mean score over all discriminators, `[n]`."""
        return jnp.stack([self.judge(name, x)[0].mean((1, 2)) for name, _ in self.judges()]).mean(0)


def discriminator_parts(name: str, shared: bool) -> tuple[str, ...]:
    """The entries of a discriminator's parameters that belong to one attribute alone."""
    return (f"heads_{name}",) if shared else (f"of_{name}", f"heads_{name}")


def checked_attributes(attributes: Any) -> Attributes:
    """Attributes as tuples.

    Raises:
      GanxError: none, a name twice, no identifier, or fewer than two values.
    """
    found = tuple((str(name), tuple(map(str, values))) for name, values in attributes)
    if not found:
        raise GanxError("a modular GAN needs attributes; name some, such as hair,smile")
    for name, values in found:
        if not name.isidentifier() or name == "content" or [n for n, _ in found].count(name) > 1:
            raise GanxError(f"{name!r} cannot be an attribute here; attributes are distinct words, not 'content'")
        if len(values) < 2:
            raise GanxError(f"attribute {name} has {len(values)} named values, and two are needed to change anything")
    return found


def generator(resolution: int = 128, attributes: tuple = (), **fields: Any) -> ModularGenerator:
    """The paper's network at full width by default."""
    check_size("modular", resolution)
    if fields.get("conditioning", "repeat") not in CONDITIONING:
        raise GanxError(f"conditioning is one of {', '.join(CONDITIONING)}, not {fields['conditioning']!r}")
    return ModularGenerator(checked_attributes(attributes), resolution, **fields)


def discriminator(resolution: int = 128, attributes: tuple = (), **fields: Any) -> ModularDiscriminator:
    """Separate discriminators, deep enough to leave 2 x 2."""
    check_size("modular", resolution)
    critic_depth(resolution, fields.get("depth", 0))
    return ModularDiscriminator(checked_attributes(attributes), resolution, **fields)


FAMILY = Family("modular", ModularGenerator, ModularDiscriminator, generator, discriminator)
