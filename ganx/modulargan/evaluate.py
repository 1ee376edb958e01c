"""One table for any translator on a world: errors by attribute set, order, masks, and what stayed untouched."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ganx.data.feed import to_float
from ganx.data.worlds import PictureWorld, world
from ganx.errors import GanxError
from ganx.gan import Gan
from ganx.models.modular import Attributes
from ganx.modulargan import scores
from ganx.modulargan.program import Program
from ganx.modulargan.scores import Errors, Read, Translate
from ganx.modulargan.translator import Translator

FAMILIES = ("modular", "stargan", "cyclegan", "icgan")


@dataclasses.dataclass(frozen=True)
class Localisation:
    """Where one attribute's mask lies, against the counterfactual truth, and how well the pixels match it."""

    average_precision: float
    iou: float
    chance: float
    inside: float
    outside: float


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What a translator does on test images.

    Attributes:
      classifier: the classifier's own accuracy on clean images, by attribute; read it first.
      errors: by set of attributes.
      order_spread, order_l1: see `scores.order_spread`, over all attributes.
      localisation: by attribute.
      reconstruction: mean absolute difference of R(E(x)) from x.
      idempotence: see `scores.no_change`.
    """

    classifier: dict[str, float]
    errors: dict[tuple[str, ...], Errors]
    order_spread: float
    order_l1: float
    localisation: dict[str, Localisation]
    reconstruction: float
    idempotence: float


def attributes_in(gan: Gan) -> Attributes:
    """Names of a translator's attributes with those of their values."""
    return gan.module.attributes  # type: ignore[attr-defined]


def world_of(gan: Gan) -> PictureWorld:
    """The test split of the world that a GAN was trained on, without what its training held out."""
    kind, _, rest = gan.spec.data.partition(":")
    name, _, query = rest.partition("?")
    if kind != "world":
        raise GanxError(f"only worlds know the truth, and this GAN was trained on {gan.spec.data or 'unknown data'}")
    options = dict(pair.split("=", 1) for pair in query.split("&") if pair)
    kept = {k: v for k, v in options.items() if k in ("size", "edges", "glyphs", "jitter", "seed")}
    return world(name, **kept, split="test")  # type: ignore[return-value]


def modular_translate(model: Translator) -> Translate:
    """A ModularGAN as the evaluation sees it."""
    return lambda images, programs: model.compose(images, list(programs)).image


def joint_translate(gan: Gan, values: dict[str, np.ndarray]) -> Translate:
    """A StarGAN, IcGAN or CycleGAN as the evaluation sees it: it must be told the values that there are, too.

    The first two change all at once, a CycleGAN chains its pairs in the order of the attributes.
    """
    names = [name for name, _ in attributes_in(gan)]
    now = np.stack([values[name] for name in names], -1)

    def translate(images: jax.Array, programs: Any) -> jax.Array:
        target = now.copy()
        for i, program in enumerate(programs):
            for where, value in program:
                target[i, where] = value
        told = {"now": jnp.asarray(now)} if gan.spec.family == "cyclegan" else {}
        return _joint(gan, images, {"target": jnp.asarray(target), **told})

    return translate


@jax.jit
def _joint(gan: Gan, images: jax.Array, told: Any) -> jax.Array:
    return gan(images, **told)


def evaluate(gan: Gan, n: int = 256, read: Read | None = None, start: int = 0, seed: int = 0) -> Evaluation:
    """Measures a translator (of one of `FAMILIES`) on `n` test images of its world.

    Args:
      read: the judge; by default the world's fixed rules, which are exact on clean renders and strict on blur. An
        attribute that it cannot read is left out.
      start: index of the first test image.

    Raises:
      GanxError: a GAN that was not trained on a world, or of another family.
    """
    if gan.spec.family not in FAMILIES:
        raise GanxError(f"a {gan.spec.family} is no translator; evaluate one of: {', '.join(FAMILIES)}")
    known = world_of(gan)
    judge: Read = known.read if read is None else read
    indices = np.arange(start, start + n)
    example = known.gather(indices)
    images, values = to_float(jnp.asarray(example.image)), {k: np.asarray(v) for k, v in example.attrs.items()}
    translate = _translate(gan, values)
    seen = judge(images)
    attributes = {name: vs for name, vs in attributes_in(gan) if name in seen}
    classifier = {name: float((np.asarray(seen[name]) == values[name]).mean()) for name in attributes}
    everything = dict(attributes_in(gan))
    rng = np.random.default_rng(seed)
    found = {
        chosen: scores.errors(translate, judge, images, values, everything, scores.ask(values, everything, chosen, rng))
        for chosen in scores.subsets(list(attributes))
    }
    spread, apart = scores.order_spread(translate, judge, images, values, everything, list(attributes), seed)
    nothing: list[Program] = [()] * n
    return Evaluation(
        classifier,
        found,
        spread,
        apart,
        {name: localise(gan, known, name, indices) for name in everything},
        float(jnp.abs(translate(images, nothing) - images).mean()),
        scores.no_change(translate, images, values, list(everything)),
    )


def localise(gan: Gan, known: PictureWorld, name: str, indices: np.ndarray) -> Localisation:
    """One attribute's change against the truth. A translator without masks is judged by where its image changed."""
    case = scores.truth(known, name, indices)
    where = [name for name, _ in attributes_in(gan)].index(name)
    programs: list[Program] = [((where, int(value)),) for value in case.target]
    if gan.spec.family == "modular":
        made = Translator(gan).compose(case.before, programs)
        image, score = made.image, np.asarray(made.masks[0])[..., 0]
    else:
        image = _translate(gan, case.values)(case.before, programs)
        change = np.asarray(jnp.abs(image - case.before).mean(-1))
        n, size = change.shape[:2]
        score = change.reshape(n, size // 4, 4, size // 4, 4).mean((2, 4))
    inside, outside = scores.region_error(image, case)
    return Localisation(*scores.localisation(score, np.asarray(case.changed)), inside, outside)


def _translate(gan: Gan, values: dict[str, np.ndarray]) -> Translate:
    return modular_translate(Translator(gan)) if gan.spec.family == "modular" else joint_translate(gan, values)
