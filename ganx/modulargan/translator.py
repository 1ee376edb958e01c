"""A trained ModularGAN as users hold it: encode, transform, reconstruct, compose."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from ganx.errors import GanxError
from ganx.gan import Gan
from ganx.modulargan import bank
from ganx.modulargan.program import Plan, Program, parse_program, plan
from ganx.store import load

Steps = str | Sequence[tuple[str, Any]]


@dataclasses.dataclass(frozen=True)
class Composition:
    """What a program made of a batch of images, with everything on the way.

    Attributes:
      image: `[n, H, W, C]` in [-1, 1], after the whole program.
      reconstruction: the same with the empty program, R(E(x)).
      stages: images after each step `[K, n, H, W, C]`, decoded from features: no step starts from pixels.
      masks: float32 `[K, n, h, w, 1]` in [0, 1], in program order; 0 where a sample sat a step out.
      steps: what each step did, "hair=blond"; of a batch of different programs only the attribute.
    """

    image: jax.Array
    reconstruction: jax.Array
    stages: jax.Array
    masks: jax.Array
    steps: tuple[str, ...]

    @property
    def mask(self) -> jax.Array:
        """The masks of all steps added and clipped to [0, 1], as the paper shows them: `[n, h, w, 1]`."""
        return jnp.clip(self.masks.sum(0), 0.0, 1.0)


@dataclasses.dataclass(frozen=True)
class Translator:
    """A `Gan` of the family "modular", opened at its cuts. Everything is pure; programs are run-time data."""

    gan: Gan

    def __post_init__(self) -> None:
        if self.gan.spec.family != "modular":
            raise GanxError(f"a {self.gan.spec.family} has no modules to compose; train one with configs/modulargan/")

    @property
    def module(self) -> Any:
        """The network."""
        return self.gan.module

    @property
    def attributes(self) -> dict[str, tuple[str, ...]]:
        """Names of each module's values, in the order of the bank."""
        return dict(self.module.attributes)

    def encode(self, x: jax.Array) -> jax.Array:
        """Images `[n, H, W, C]` in [-1, 1] to features `[n, h, w, c]`."""
        self._check_images(x)
        return _encode(self.module, self.gan.variables, x)

    def generate(self, z: jax.Array, label: jax.Array) -> jax.Array:
        """Codes `[n, latent]` and contents int32 `[n]` to features (generation only)."""
        if not self.module.classes:
            raise GanxError("this modular GAN translates images and draws none from codes; give it images")
        return _generate(self.module, self.gan.variables, z, label)

    def transform(self, name: str, value: Any, f: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Features with one attribute changed, and the mask of where: `[n, h, w, c]`, `[n, h, w, 1]`."""
        ((where, index),) = parse_program([(name, value)], self.attributes)
        order, values = jnp.array([where], jnp.int32), jnp.full((1, len(f)), index, jnp.int32)
        stages, masks = _features(self.module, self.gan.variables, f, order, values)
        return stages[0], masks[0]

    def reconstruct(self, f: jax.Array) -> jax.Array:
        """Features to images `[n, H, W, C]` in [-1, 1]."""
        return _decode(self.module, self.gan.variables, f)

    def compose(self, x: jax.Array, program: Steps | Sequence[Program], label: jax.Array | None = None) -> Composition:
        """Runs a program: any subset of the modules in any order, one attribute twice if need be.

        Args:
          x: images `[n, H, W, C]` in [-1, 1]; with `label`, codes `[n, latent]`.
          program: "hair=blond,smile=1", pairs, or a parsed program, one for all; or a list of `n` parsed programs, one
            for each image, of orders of their own.
          label: contents int32 `[n]`, for a modular GAN that generates.

        Raises:
          GanxError: an unknown module or value, images of another size, programs of another number than the images.
        """
        x = jnp.asarray(x)
        f = self.encode(x) if label is None else self.generate(x, label)
        made, names = self._plan(program, len(x))
        taken = int((made.order >= 0).sum())
        stages, masks, clean = _run(
            self.module, self.gan.variables, f, jnp.asarray(made.order), jnp.asarray(made.values)
        )
        image = stages[taken - 1] if taken else clean
        return Composition(image, clean, stages[:taken], masks[:taken], names)

    def _plan(self, program: Steps | Sequence[Program], n: int) -> tuple[Plan, tuple[str, ...]]:
        known = self.attributes
        labels = list(known)
        if isinstance(program, str) or not program or (program[0] and not isinstance(program[0][0], tuple)):
            steps = parse_program(program, known)  # type: ignore[arg-type]
            made = plan([steps] * n, len(known))
            return made, tuple(f"{labels[a]}={known[labels[a]][v]}" for a, v in steps)
        if len(program) != n:
            raise GanxError(f"{len(program)} programs for {n} images; give one for all, or one for each")
        made = plan(program, len(known))  # type: ignore[arg-type]
        return made, tuple(labels[a] for a in made.order if a >= 0)

    def _check_images(self, x: jax.Array) -> None:
        want = (self.module.resolution, self.module.resolution, self.module.channels)
        if x.ndim != 4 or x.shape[1:] != want:
            size = "x".join(map(str, want))
            raise GanxError(
                f"this modular GAN takes images [n, {size}], not {list(x.shape)}; resize with ?size={want[0]}"
            )


def open_translator(path: Any) -> Translator:
    """A saved ModularGAN, or the newest checkpoint of a run."""
    return Translator(load(path, "modular"))


@functools.partial(jax.jit, static_argnums=0)
def _encode(module: Any, variables: Any, x: jax.Array) -> jax.Array:
    return module.apply(variables, x, method="encode")


@functools.partial(jax.jit, static_argnums=0)
def _generate(module: Any, variables: Any, z: jax.Array, label: jax.Array) -> jax.Array:
    return module.apply(variables, z, label, method="generate")


@functools.partial(jax.jit, static_argnums=0)
def _decode(module: Any, variables: Any, f: jax.Array) -> jax.Array:
    return module.apply(variables, f, method="reconstruct")


_features = functools.partial(jax.jit, static_argnums=0)(bank.run)


@functools.partial(jax.jit, static_argnums=0)
def _run(
    module: Any, variables: Any, f: jax.Array, order: jax.Array, values: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Images after each step, masks, and the image of the untouched features, decoded together at the end."""
    features, masks = bank.run(module, variables, f, order, values)
    every = jnp.concatenate([f[None], features])
    images = module.apply(variables, every.reshape(-1, *f.shape[1:]), method="reconstruct")
    images = images.reshape(*every.shape[:2], *images.shape[1:])
    return images[1:], masks, images[0]
