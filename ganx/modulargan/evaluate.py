"""One table for any translator on a world: errors by attribute set, order, masks, and what stayed untouched."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
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
from ganx.modulargan.scores import Errors, Orders, Read, Translate
from ganx.modulargan.translator import Translator

FAMILIES = ("modular", "stargan", "cyclegan", "icgan")


@dataclasses.dataclass(frozen=True)
class Localisation:
    """Where one attribute's mask lies, against the counterfactual truth, and how well the pixels match it.

    Attributes:
      average_precision, iou, chance: over cells of which more than half changed (`scores.localisation`).
      by_pixel, pixel_chance: average precision over pixels (`scores.pixel_localisation`), for small changes.
      inside, outside: see `scores.region_error`.
    """

    average_precision: float
    iou: float
    chance: float
    by_pixel: float
    pixel_chance: float
    inside: float
    outside: float


@dataclasses.dataclass(frozen=True)
class Identity:
    """Mean distances of identity numbers (`AttributeReader.identity`), after a change of all attributes.

    Attributes:
      edited: between a face before and after.
      reconstructed: between a face and the translator's image of it with nothing changed.
      strangers: between two people, for scale.
    """

    edited: float
    reconstructed: float
    strangers: float


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What a translator does on test images, or a modular GAN that generates on images of its own.

    Attributes:
      classifier: the classifier's own accuracy on clean images, by attribute; read it first.
      errors: by set of attributes, changed in the order of the bank.
      held_out: errors of combinations that training never showed (the source's `exclude=`), by their text; all their
        attributes change, as in `errors` of the same set.
      orders: of all attributes.
      localisation: by attribute; empty for generated images, whose truth is not known.
      reconstruction: mean absolute difference of R(E(x)) from x; None for generated images.
      idempotence: see `scores.no_change`.
      identity: None without a reader of it.
    """

    classifier: dict[str, float]
    errors: dict[tuple[str, ...], Errors]
    held_out: dict[str, Errors]
    orders: Orders
    localisation: dict[str, Localisation]
    reconstruction: float | None
    idempotence: float
    identity: Identity | None


@dataclasses.dataclass(frozen=True)
class Case:
    """What is translated: images `[n, H, W, C]` or, for a GAN that generates, its codes; and their true values."""

    translate: Translate
    images: jax.Array
    values: dict[str, np.ndarray]


def attributes_in(gan: Gan) -> Attributes:
    """Names of a translator's attributes with those of their values."""
    return gan.module.attributes  # type: ignore[attr-defined]


def world_of(gan: Gan) -> PictureWorld:
    """The test split of the world that a GAN was trained on, without what its training held out."""
    name, options = _source(gan)
    kept = {k: v for k, v in options.items() if k in ("size", "edges", "glyphs", "jitter", "seed")}
    return world(name, **kept, split="test")  # type: ignore[return-value]


def held_out(gan: Gan) -> dict[str, dict[str, int]]:
    """Combinations of values that a GAN's training never showed, by their text."""
    name, options = _source(gan)
    known: Any = world(name, exclude=options.get("exclude", ""))
    texts = {combo: ",".join(f"{n}={known.ATTRS[n][v]}" for n, v in combo) for combo in known.exclude}
    return {text: dict(combo) for combo, text in texts.items()}


def _source(gan: Gan) -> tuple[str, dict[str, str]]:
    kind, _, rest = gan.spec.data.partition(":")
    name, _, query = rest.partition("?")
    if kind != "world":
        raise GanxError(f"only worlds know the truth, and this GAN was trained on {gan.spec.data or 'unknown data'}")
    return name, dict(pair.split("=", 1) for pair in query.split("&") if pair)


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


def evaluate(
    gan: Gan,
    n: int = 256,
    read: Read | None = None,
    start: int = 0,
    seed: int = 0,
    identity: Callable[[jax.Array], jax.Array] | None = None,
) -> Evaluation:
    """Measures a translator (of one of `FAMILIES`) on `n` test images of its world.

    A modular GAN that generates is measured on images that it draws: what the judge reads off them counts as true.

    Args:
      read: the judge; by default the world's fixed rules, which are exact on clean renders and strict on blur. An
        attribute that it cannot read is left out.
      start: index of the first test image.
      seed: of the requests, and of what is drawn.
      identity: images to identity numbers `[n, d]`, such as `AttributeReader.identity`.

    Raises:
      GanxError: a GAN that was not trained on a world, or of another family; a judge that reads none of its attributes.
    """
    if gan.spec.family not in FAMILIES:
        raise GanxError(f"a {gan.spec.family} is no translator; evaluate one of: {', '.join(FAMILIES)}")
    known = world_of(gan)
    judge: Read = known.read if read is None else read
    indices = np.arange(start, start + n)
    case = _real(gan, known, indices)
    seen = judge(case.images)
    classifier = {name: float((np.asarray(v) == case.values[name]).mean()) for name, v in seen.items()}
    generates = bool(getattr(gan.module, "classes", 0))
    if generates:
        case = drawn(gan, judge, n, seed)
    everything = dict(attributes_in(gan))
    names = [name for name in everything if name in seen]
    if not names:
        raise GanxError(f"the judge reads none of {', '.join(everything)}; give one that does")
    rng = np.random.default_rng(seed)
    told = (case.translate, judge, case.images, case.values, everything)
    nothing: list[Program] = [()] * n
    clean = case.translate(case.images, nothing)
    return Evaluation(
        {name: classifier[name] for name in names},
        {
            chosen: scores.errors(*told, scores.ask(case.values, everything, chosen, rng))
            for chosen in scores.subsets(names)
        },
        {} if generates else _unseen(case, judge, everything, held_out(gan)),
        scores.orders(*told, names, seed),
        {} if generates else {name: localise(gan, known, name, indices) for name in everything},
        None if generates else float(jnp.abs(clean - case.images).mean()),
        scores.no_change(case.translate, case.images, case.values, names),
        None if generates or identity is None else _identity(case, identity, everything, clean, rng),
    )


def drawn(gan: Gan, judge: Read, n: int, seed: int = 0) -> Case:
    """`n` codes of a modular GAN that generates, contents in turn; values are those that the judge reads."""
    model = Translator(gan)
    z = jax.random.normal(jax.random.key(seed), (n, model.module.latent))
    label = jnp.arange(n) % model.module.classes

    def translate(codes: jax.Array, programs: Sequence[Program]) -> jax.Array:
        return model.compose(codes, list(programs), label).image

    nothing: list[Program] = [()] * n
    return Case(translate, z, {name: np.asarray(v) for name, v in judge(translate(z, nothing)).items()})


def _real(gan: Gan, known: PictureWorld, indices: np.ndarray) -> Case:
    example = known.gather(indices)
    values = {k: np.asarray(v) for k, v in example.attrs.items()}
    return Case(_translate(gan, values), to_float(jnp.asarray(example.image)), values)


def _unseen(
    case: Case, judge: Read, everything: dict[str, tuple[str, ...]], combos: dict[str, dict[str, int]]
) -> dict[str, Errors]:
    """Errors of combinations that training held out, where there are images to ask them of."""
    found = {}
    for text, combo in combos.items():
        rows, program = scores.unseen(case.values, everything, combo)
        if program and len(rows):
            programs: list[Program] = [()] * len(case.images)
            for row in rows:
                programs[row] = program
            found[text] = scores.errors(case.translate, judge, case.images, case.values, everything, programs, rows)
    return found


def _identity(
    case: Case,
    identity: Callable[[jax.Array], jax.Array],
    everything: dict[str, tuple[str, ...]],
    clean: jax.Array,
    rng: np.random.Generator,
) -> Identity:
    edited = case.translate(case.images, scores.ask(case.values, everything, list(everything), rng))
    before, after, still = (np.asarray(identity(x)) for x in (case.images, edited, clean))
    pairs = ((before, after), (before, still), (before, np.roll(before, 1, 0)))
    return Identity(*(float(np.linalg.norm(a - b, axis=1).mean()) for a, b in pairs))


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
    changed = np.asarray(case.changed)
    found = (*scores.localisation(score, changed), *scores.pixel_localisation(score, changed))
    return Localisation(*found, inside, outside)


def _translate(gan: Gan, values: dict[str, np.ndarray]) -> Translate:
    return modular_translate(Translator(gan)) if gan.spec.family == "modular" else joint_translate(gan, values)
