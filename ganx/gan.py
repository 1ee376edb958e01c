"""`Gan`: the handle that every system takes.

A generator is a list of named stages, and everything ganx does happens at a cut between two of them:

    z ──► s0 ──► s1 ──► … ──►│ r │──► … ──► image
          until(stage, z)  ▲  since(stage, r)

`Gan` knows nothing of families, files or training: it holds a staged module (`ganx.models.staged`), its
variables, and a `Spec` that describes both.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from ganx.errors import GanxError, unknown

Edit = Callable[[jax.Array], jax.Array]
Edits = Mapping[str, Edit]
_LABELS = 0x6C61626C  # keeps the classes' random numbers apart from the latents' of the same key


class StagedModule(Protocol):
    """What `Gan` asks of a module; `ganx.models.staged.StagedGenerator` provides it."""

    def apply(self, variables: Any, *args: Any, method: str, **kwargs: Any) -> Any: ...


@dataclasses.dataclass(frozen=True)
class Spec:
    """What is known about a generator without running it.

    Attributes:
      family: registered family name, such as "dcgan".
      resolution: height and width of the image in pixels.
      channels: image channels, 1 or 3.
      latent: shape of one latent code.
      prior: distribution of each latent entry, "normal" (mean 0, variance 1) or "uniform" (on [-1, 1]).
      classes: number of classes the generator is conditioned on; 0 for none.
      stages: names of the stages in the order in which they run.
      shapes: shape of one sample's features after each stage, in the same order.
      data: the source that the generator was trained on, such as "world:faces?size=32"; "" if unknown.
    """

    family: str
    resolution: int
    channels: int
    latent: tuple[int, ...]
    prior: str
    classes: int
    stages: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    data: str = ""


@dataclasses.dataclass(frozen=True)
class Activation:
    """Everything that crosses one cut of a generator. A pytree; every leaf has a leading sample axis.

    Attributes:
      features: `[n, h, w, c]` (or `[n, layers, d]` after a mapping stage): what systems read and edit.
      context: what later stages need besides `features` (style codes, the image so far, noise keys).
      stage: the stage that produced it, "" for the input of the first stage.
    """

    features: jax.Array
    context: dict[str, jax.Array]
    stage: str

    def with_features(self, features: jax.Array) -> Activation:
        """The same cut with other features, of the same shape."""
        return dataclasses.replace(self, features=features)

    def __getitem__(self, index: Any) -> Activation:
        """Some of the samples: `act[3:5]`."""
        return jax.tree.map(lambda leaf: leaf[index], self)


@dataclasses.dataclass(frozen=True)
class Gan:
    """A trained (or fresh) generator. Frozen, and a pytree whose leaves are the variables.

    All methods are pure, so they jit, vmap, differentiate and shard.
    """

    module: StagedModule
    variables: Any
    spec: Spec

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of the stages, in running order."""
        return self.spec.stages

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of one sample's features after each stage."""
        return dict(zip(self.spec.stages, self.spec.shapes, strict=True))

    def latents(self, key: jax.Array, n: int) -> jax.Array:
        """`n` latent codes from the family's own prior: float32 `[n, *spec.latent]`."""
        shape = (n, *self.spec.latent)
        if self.spec.prior == "uniform":
            return jax.random.uniform(key, shape, minval=-1.0, maxval=1.0)
        return jax.random.normal(key, shape)

    def labels(self, key: jax.Array, n: int) -> jax.Array | None:
        """`n` classes drawn uniformly, int32 `[n]`; None where the generator has none.

        So `gan(gan.latents(key, n), label=gan.labels(key, n))` draws from any GAN; the key may be the latents'.
        """
        if not self.spec.classes:
            return None
        return jax.random.randint(jax.random.fold_in(key, _LABELS), (n,), 0, self.spec.classes)

    def __call__(self, z: jax.Array, *, label: Any = None, edits: Edits | None = None, **conditions: Any) -> jax.Array:
        """Images for latents `z`.

        Args:
          z: `[n, *spec.latent]`.
          label: classes, int32 `[n]` or one for all; None for a generator without classes. Some families
            take mixtures too, float `[n, classes]`.
          edits: pure functions of a stage's features, by stage name, applied as soon as that stage has run.
          **conditions: what the family accepts besides (truncation, noise), see its module.

        Returns:
          float32 `[n, H, W, C]`, nominally in [-1, 1].
        """
        return self.until(self.stages[-1], z, label=label, edits=edits, **conditions).features.astype(jnp.float32)

    def until(
        self, stage: str, z: jax.Array, *, label: Any = None, edits: Edits | None = None, **conditions: Any
    ) -> Activation:
        """Runs the stages up to and including `stage`; arguments as for `__call__`."""
        stop = self._position(stage) + 1
        z = jnp.asarray(z)
        if z.shape[1:] != self.spec.latent:
            want = ", ".join(map(str, self.spec.latent))
            raise GanxError(
                f"latents have shape {list(z.shape)}, but this {self.spec.family} takes [n, {want}]; "
                "draw them with gan.latents(key, n)"
            )
        label = checked_label(label, self.spec.classes, len(z))
        if label is not None:
            conditions["label"] = label
        features, context = self.module.apply(self.variables, z, method="begin", **conditions)
        return self._run(Activation(features, context, ""), 0, stop, edits)

    def since(self, stage: str, act: Activation | jax.Array, *, edits: Edits | None = None) -> jax.Array:
        """Runs the stages after `stage` on what `until(stage, z)` returned, edited or not.

        A bare array of features serves where later stages need nothing else (DCGAN).

        Returns:
          float32 `[n, H, W, C]`, nominally in [-1, 1].
        """
        start = self._position(stage) + 1
        if not isinstance(act, Activation):
            act = Activation(act, {}, stage)
        if act.stage != stage:
            raise GanxError(f"this activation was taken at {act.stage!r}, not at {stage!r}; cut at the same stage")
        if act.features.shape[1:] != self.spec.shapes[start - 1]:
            want = ", ".join(map(str, self.spec.shapes[start - 1]))
            raise GanxError(f"features after {stage!r} have shape [n, {want}], not {list(act.features.shape)}")
        return self._run(act, start, len(self.stages), edits).features.astype(jnp.float32)

    def _position(self, stage: str) -> int:
        if stage not in self.stages:
            raise unknown("stage", stage, self.stages)
        return self.stages.index(stage)

    def _run(self, act: Activation, start: int, stop: int, edits: Edits | None) -> Activation:
        names = self.stages[start:stop]
        for stage in edits or {}:
            self._position(stage)
            if stage not in names:
                raise GanxError(f"an edit at {stage!r} would never run: this call runs only {', '.join(names)}")
        for name in names:
            act = _run_stage(self.module, name, _part(self.variables, name), act)
            if edits and name in edits:
                act = act.with_features(_edited(name, edits[name], act.features))
        return act


def _edited(stage: str, edit: Edit, features: jax.Array) -> jax.Array:
    if not callable(edit):
        raise GanxError(f"the edit at {stage!r} is {edit!r:.40}; give a function of the features")
    edited = edit(features)
    if jnp.shape(edited) != features.shape:
        shapes = f"{list(features.shape)} into {list(jnp.shape(edited))}"
        raise GanxError(f"the edit at {stage!r} turns features {shapes}; it has to keep their shape")
    return edited


def checked_label(label: Any, classes: int, n: int) -> jax.Array | None:
    """The classes of `n` samples: int32 `[n]`, or mixtures float `[n, classes]`; None where there are none.

    Args:
      label: whole numbers in [0, classes), `[n]` or one for all samples, a mixture, or None.

    Raises:
      GanxError: missing, not wanted, of another shape or, where the numbers can be seen, out of range.
    """
    if label is None:
        if classes:
            raise GanxError(f"this GAN knows {classes} classes; say which with label=, or gan.labels(key, n) for any")
        return None
    if not classes:
        raise GanxError("this GAN has no classes; leave label out")
    label = jnp.asarray(label)
    if jnp.issubdtype(label.dtype, jnp.floating) and label.shape == (n, classes):
        return label
    if not jnp.issubdtype(label.dtype, jnp.integer) or label.shape not in ((), (n,)):
        raise GanxError(f"label is one class number or {n} of them, not {label.dtype} {list(label.shape)}")
    if not isinstance(label, jax.core.Tracer) and label.is_fully_addressable and label.size:
        known = np.asarray(label)  # under a caller's jit jnp's own minimum would be traced
        low, high = known.min(), known.max()
        if low < 0 or high >= classes:
            raise GanxError(f"there is no class {low if low < 0 else high}; this GAN knows 0 to {classes - 1}")
    return jnp.broadcast_to(label.astype(jnp.int32), (n,))


@functools.partial(jax.jit, static_argnums=(0, 1))
def _run_stage(module: StagedModule, name: str, variables: Any, act: Activation) -> Activation:
    """One stage as one program, whoever asks: that is what makes `since` after `until` equal the whole bit for bit.

    Inside a caller's own `jit` the stages fuse, and both ways agree to rounding.
    """
    features, context = module.apply(variables, (name,), act.features, act.context, method="run")
    return Activation(features, context, name)


def _part(variables: Any, name: str) -> Any:
    """The variables of one stage."""
    return {collection: {name: tree[name]} for collection, tree in variables.items() if name in tree}


jax.tree_util.register_dataclass(Activation, data_fields=["features", "context"], meta_fields=["stage"])
jax.tree_util.register_dataclass(Gan, data_fields=["variables"], meta_fields=["module", "spec"])
