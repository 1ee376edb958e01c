"""What a configuration says of E-GAN: defaults, presets, and what is refused."""

from __future__ import annotations

import math
from typing import Any

from jax.sharding import Mesh
from ml_collections import ConfigDict

from ganx.egan.mapping import MAPPINGS
from ganx.egan.mutations import chosen
from ganx.errors import GanxError, unknown
from ganx.training.config import check_choice

DEFAULTS: dict[str, Any] = {
    "parents": 1,  # mu: members that survive a generation
    "mutations": ("minimax", "heuristic", "least_squares"),  # see ganx.egan.mutations; a child for each
    "gamma": 0.01,  # weight of the diversity, -log of the norm of D's gradient; keep it small
    "evaluation": 256,  # generated and real samples that a child is judged by
    "selection": "fitness",  # or "random", the control
    "variation": "independent",  # or "chain": each mutation from the best child so far (Theano release, one parent)
    "variation_noise": "independent",  # latents of each child, or "shared" by the children of one parent
    "eval_noise": "independent",  # or "shared" by all children: nothing but the weights tells them apart
    "d_fakes": "survivors",  # D learns from the samples that survivors were judged by, or from "fresh" ones
    "penalty_on": "logit",  # config.gradient_penalty on D's "logit" or "probability" (Theano release)
    "founders": "distinct",  # initial weights of the members, or "identical" (PyTorch release)
    "mapping": "auto",  # how children are computed: unroll, vmap, scan, shard (over devices)
    "islands": 1,  # populations that each have a discriminator
    "migrate_every": 0,  # generations between two migrations of the best member to the next island; 0 for never
}
_CHOICES = {
    "selection": ("fitness", "random"),
    "variation": ("independent", "chain"),
    "variation_noise": ("independent", "shared"),
    "eval_noise": ("independent", "shared"),
    "d_fakes": ("survivors", "fresh"),
    "penalty_on": ("logit", "probability"),
    "founders": ("distinct", "identical"),
    "mapping": MAPPINGS,
}
_UNUSED = ("r1.gamma", "path_length.weight", "drift", "augment.policy", "clean_gradients")


def add_egan(config: ConfigDict, **changes: Any) -> ConfigDict:
    """Makes a configuration one of E-GAN: `method` and the group `egan`, `DEFAULTS` with `changes`.

    The authors average nothing, so the moving average is turned off; turn it on with `ema_kimg`.

    Raises:
      GanxError: a change that is none of the defaults' names.
    """
    for name in changes:
        if name not in DEFAULTS:
            raise unknown("egan option", name, DEFAULTS)
    with config.unlocked():
        config.method = "egan"
        config.ema_kimg = 0.0
        config.egan = ConfigDict({**DEFAULTS, **changes}).lock()
    return config


def theano(config: ConfigDict, beta: float) -> ConfigDict:
    """Turns a configuration into what the Theano release runs: its mutations in its order, one from the other.

    Its beta weights the logarithm of the *squared* norm, so that gamma is twice as much; D's penalty, if there is one,
    is of weight 2 and on the probability.
    """
    config.egan.mutations = ("heuristic", "minimax", "least_squares")
    config.egan.variation, config.egan.gamma, config.egan.penalty_on = "chain", 2 * beta, "probability"
    if config.gradient_penalty.weight:
        config.gradient_penalty.weight = 2.0
    return config


def check(config: ConfigDict, mesh: Mesh | None) -> None:
    """Refuses what E-GAN cannot do; see `DEFAULTS`.

    Raises:
      GanxError: saying what to set instead.
    """
    if "egan" not in config:
        raise GanxError("this configuration has no group egan; make it with ganx.egan.add_egan(config)")
    options = config.egan
    for name, choices in _CHOICES.items():
        check_choice(f"egan.{name}", options[name], choices)
    chosen(options.mutations)
    if len(set(options.mutations)) < len(options.mutations):
        raise GanxError("egan.mutations names one of them twice; a parent has one child by each")
    if not 0 <= options.gamma < math.inf:
        raise GanxError(f"egan.gamma is a finite number from 0 up, not {options.gamma}; more diversity is fitter")
    for name in ("parents", "evaluation", "islands"):
        if options[name] < 1:
            raise GanxError(f"egan.{name} is a whole number from 1 up, not {options[name]}")
    if config.batch < 1 or config.d_steps < 1:
        raise GanxError("a generation needs --config.batch and --config.d_steps of 1 or more")
    _check_samples(config)
    _check_islands(config)
    if options.variation == "chain" and options.parents > 1:
        raise GanxError("a chain of mutations has one parent; set --config.egan.parents=1")
    for name in _UNUSED:
        if _value(config, name):
            raise GanxError(f"E-GAN does not use config.{name}; it penalises D by gradient_penalty.weight alone")
    if config.accumulate != 1:
        raise GanxError("E-GAN does not cut its batches into parts; set --config.accumulate=1")
    _check_devices(config, mesh)


def _value(config: ConfigDict, name: str) -> Any:
    for part in name.split("."):
        config = config[part]
    return config


def _check_samples(config: ConfigDict) -> None:
    options, wanted = config.egan, config.batch * config.d_steps
    share = -(-wanted // options.parents)
    if options.d_fakes == "survivors" and options.evaluation < share:
        raise GanxError(
            f"D learns from {wanted} samples a generation, {share} of each survivor, but only {options.evaluation} are "
            f"drawn; set --config.egan.evaluation={share} or more, or --config.egan.d_fakes=fresh"
        )
    if config.model.conditional and config.fake_labels == "data" and options.evaluation < config.batch:
        raise GanxError(
            f"classes come from the evaluated examples; set --config.egan.evaluation={config.batch} or more"
        )


def _check_islands(config: ConfigDict) -> None:
    options = config.egan
    if options.migrate_every < 0:
        raise GanxError(f"egan.migrate_every is 0 or more, not {options.migrate_every}")
    if options.migrate_every and options.islands < 2:
        raise GanxError("migration needs islands; set --config.egan.islands=2 or more")
    if options.migrate_every and options.parents < 2:
        raise GanxError("a migrant takes the worst survivor's place; set --config.egan.parents=2 or more")


def _check_devices(config: ConfigDict, mesh: Mesh | None) -> None:
    if mesh is None:
        return
    for name, size in (("batch", config.batch), ("egan.evaluation", config.egan.evaluation)):
        if size % mesh.size:
            near = -(-size // mesh.size) * mesh.size
            raise GanxError(f"{name} {size} does not divide over {mesh.size} devices; set --config.{name}={near}")
