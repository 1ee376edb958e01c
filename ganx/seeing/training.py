"""Training the inverses: every layer's at once, then all of them together (Bau et al. 2019, §3.2)."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from ganx.errors import GanxError
from ganx.seeing.chain import Chain, Parts, forward
from ganx.seeing.inverter import Inverter, build, default_distance
from ganx.seeing.keeping import Keeper
from ganx.seeing.losses import distance
from ganx.training.loops import inner_loop, unrolled
from ganx.training.mesh import check_batch, make_mesh, replicated, shard_batch

Tree = Any
Metrics = dict[str, jax.Array]
Report = Callable[[str, int, Metrics], None]


@dataclasses.dataclass(frozen=True)
class FitOptions:
    """How the inverses are trained.

    Attributes:
      steps: of training layer by layer, all layers at once; 0 for none (the ablation that learns E directly).
      joint_steps: of training them together.
      batch: generated images a step.
      lr: learning rate of e_1 … e_n, tenfold smaller after 1/5 and 3/5 of the steps.
      lr_image: that of e_f.
      lr_joint: that of joint training, halved after each quarter.
      right: weight of the right loss, g_i(e_i(r_i)) against r_i (the paper's λ_R).
      distance: "cosine", "l1", or "" for what fits the family.
      width, hidden: see `inverter.build`.
    """

    steps: int = 10_000
    joint_steps: int = 10_000
    batch: int = 32
    lr: float = 1e-4
    lr_image: float = 0.01
    lr_joint: float = 1e-4
    right: float = 0.01
    distance: str = ""
    width: int = 64
    hidden: int = 0


@dataclasses.dataclass(frozen=True)
class FitState:
    """What a step changes. A pytree.

    Attributes:
      variables: of e_1, …, e_n, e_f.
      memory: of their optimisers.
      step: steps done, int32.
    """

    variables: tuple[Any, ...]
    memory: Any
    step: jax.Array


jax.tree_util.register_dataclass(FitState, data_fields=["variables", "memory", "step"], meta_fields=[])


def fit(
    chain: Chain,
    key: jax.Array,
    options: FitOptions = FitOptions(),
    mesh: Mesh | None = None,
    report: Report | None = None,
    keeper: Keeper | None = None,
) -> Inverter:
    """Trains the inverses of a chain's parts on what the generator itself draws.

    Args:
      chain: the generator and its cuts; it is not changed.
      key: everything random follows from it.
      options: steps, rates and losses.
      mesh: devices to share each batch; all by default.
      report: called now and then with the stage ("layers" or "joint"), the steps done and the losses.
      keeper: saves the state now and then, and training goes on from what it holds.
    """
    mesh = make_mesh() if mesh is None else mesh
    check_fit(options, mesh)
    key_init, key_layers, key_joint = jax.random.split(key, 3)
    inverter = build(chain, key_init, options.width, options.hidden)
    inverter = _run("layers", chain, inverter, options, key_layers, mesh, report, keeper)
    return _run("joint", chain, inverter, options, key_joint, mesh, report, keeper)


def check_fit(options: FitOptions, mesh: Mesh) -> None:
    """Refuses what cannot be trained."""
    if options.steps < 0 or options.joint_steps < 0:
        raise GanxError("steps of training are whole numbers from 0 up")
    check_batch(options.batch, mesh)


def optimiser(stage: str, options: FitOptions, count: int) -> optax.GradientTransformation:
    """Adam for each of the `count` inverses by itself, with its own rate and schedule; `stage` as in `fit`."""
    if stage == "joint":
        rate = _stairs(options.lr_joint, 0.5, [options.joint_steps * i // 4 for i in (1, 2, 3)])
        return _each([rate] * count)
    rate = _stairs(options.lr, 0.1, [options.steps // 5, options.steps * 3 // 5])
    return _each([rate] * (count - 1) + [options.lr_image])


def _each(rates: list[Any]) -> optax.GradientTransformation:
    chosen = {str(i): optax.adam(rate) for i, rate in enumerate(rates)}
    labels = lambda trees: tuple(jax.tree.map(lambda _, i=i: str(i), t) for i, t in enumerate(trees))  # noqa: E731
    return optax.multi_transform(chosen, labels)


def _stairs(rate: float, factor: float, edges: list[int]) -> optax.Schedule:
    return lambda count: rate * factor ** sum((count >= edge) * 1.0 for edge in edges)


def layer_losses(
    chain: Parts, modules: tuple[Any, ...], params: Tree, stats: Tree, z: jax.Array, label: Any, options: FitOptions
) -> tuple[jax.Array, tuple[Tree, Metrics]]:
    """Sum of every inverse's own loss, their new statistics, and the losses by name.

    One pass of the frozen generator serves all; since no two losses share a parameter, the gradient of the sum is that
    of each by itself. e_i: left + `right` × right; e_f: mean squared error.
    """
    apart = distance(options.distance)
    acts, images = jax.lax.stop_gradient(forward(chain, z, label))
    losses, new = {}, []
    for i, module in enumerate(modules):
        last = i == len(modules) - 1
        given, wanted = (images, acts[-1]) if last else (acts[i + 1].features, acts[i])
        found, state = module.apply({"params": params[i], **stats[i]}, given, train=True, mutable=list(stats[i]))
        new.append(state)
        if last:
            losses["image"] = jnp.square(found - wanted.features).mean()
            continue
        losses[f"left{i + 1}"] = apart(wanted.features, found)
        again = chain.step(i, wanted.with_features(found)).features
        losses[f"right{i + 1}"] = options.right * apart(given, again)
    return sum(losses.values(), jnp.zeros(())), (tuple(new), losses)


def joint_losses(
    chain: Parts, modules: tuple[Any, ...], params: Tree, stats: Tree, z: jax.Array, label: Any, options: FitOptions
) -> tuple[jax.Array, tuple[Tree, Metrics]]:
    """Loss of all inverses together: r_n by e_f, z by E, r_n and the image as drawn again from E's z."""
    apart = distance(options.distance)
    acts, images = jax.lax.stop_gradient(forward(chain, z, label))
    features, new = images, []
    middle: jax.Array | None = None
    for module, own, theirs in reversed(list(zip(modules, params, stats, strict=True))):
        features, state = module.apply({"params": own, **theirs}, features, train=True, mutable=list(theirs))
        middle = features if middle is None else middle
        new.append(state)
    assert middle is not None
    again, redrawn = forward(chain, features, label)
    losses = {
        "features": apart(acts[-1].features, middle),
        "code": apart(z, features),
        "features_again": apart(acts[-1].features, again[-1].features),
        "image": jnp.square(images - redrawn).mean(),
    }
    return sum(losses.values(), jnp.zeros(())), (tuple(reversed(new)), losses)


def train_step(
    chain: Parts,
    modules: tuple[Any, ...],
    state: FitState,
    z: jax.Array,
    label: Any,
    stage: str,
    options: FitOptions,
) -> tuple[FitState, Metrics]:
    """One step on latents `z` `[n, *latent]`; `options.distance` must be named."""
    params = tuple(v["params"] for v in state.variables)
    stats = tuple({k: tree for k, tree in v.items() if k != "params"} for v in state.variables)
    losses = layer_losses if stage == "layers" else joint_losses

    def total(params: Tree) -> tuple[jax.Array, tuple[Tree, Metrics]]:
        return losses(chain, modules, params, stats, z, label, options)

    slope, (stats, metrics) = jax.grad(total, has_aux=True)(params)
    updates, memory = optimiser(stage, options, len(modules)).update(slope, state.memory, params)
    if stage == "joint" and options.steps:
        updates = _frozen(updates)
    params = optax.apply_updates(params, updates)
    variables = tuple({"params": p, **s} for p, s in zip(params, stats, strict=True))
    return FitState(variables, memory, state.step + 1), metrics


def _frozen(updates: Tree) -> Tree:
    """No updates of the last 1 x 1 convolutions between maps: the next convolution can do all that they can."""
    inner = tuple(
        {**tree, "project": jax.tree.map(jnp.zeros_like, tree["project"])} if "conv2" in tree else tree
        for tree in updates
    )
    return inner


def start(stage: str, inverter: Inverter, options: FitOptions) -> FitState:
    """The state before the first step of a stage."""
    params = tuple(v["params"] for v in inverter.variables)
    memory = optimiser(stage, options, len(params)).init(params)
    return FitState(inverter.variables, memory, jnp.int32(0))


def _run(
    stage: str,
    chain: Chain,
    inverter: Inverter,
    options: FitOptions,
    key: jax.Array,
    mesh: Mesh,
    report: Report | None,
    keeper: Keeper | None,
) -> Inverter:
    steps = options.steps if stage == "layers" else options.joint_steps
    if not steps:
        return inverter
    options = dataclasses.replace(options, distance=options.distance or default_distance(chain))
    everywhere = replicated(mesh)
    fresh = start(stage, inverter, options)
    state, done = keeper.newest(stage, fresh) if keeper else (fresh, 0)
    chain, state, key = jax.device_put((chain, state, key), everywhere)
    state = jax.tree.map(jnp.copy, state)  # the steps give the old state's memory away
    chunk = 1 if unrolled() else 50
    while done < steps:
        length = min(chunk, steps - done)
        state, metrics = _steps(chain, inverter.modules, state, key, stage, options, length, mesh)
        done += length
        if keeper:
            keeper.keep(stage, state, done, done == steps)
        if report:
            report(stage, done, metrics)
    return dataclasses.replace(inverter, variables=state.variables)


@functools.partial(jax.jit, static_argnums=(1, 4, 5, 6, 7), donate_argnums=2)
def _steps(
    chain: Chain,
    modules: tuple[Any, ...],
    state: FitState,
    key: jax.Array,
    stage: str,
    options: FitOptions,
    length: int,
    mesh: Mesh,
) -> tuple[FitState, Metrics]:
    def body(state: FitState, _: None) -> tuple[FitState, Metrics]:
        own = jax.random.fold_in(key, state.step)
        z = shard_batch(chain.gan.latents(own, options.batch), mesh)
        label = shard_batch(chain.gan.labels(own, options.batch), mesh) if chain.gan.spec.classes else None
        return train_step(chain, modules, state, z, label, stage, options)

    state, metrics = inner_loop(body, state, length=length)
    return state, jax.tree.map(lambda m: m[-1], metrics)
