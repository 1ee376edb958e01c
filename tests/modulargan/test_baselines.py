"""Baselines: one step of each moves every network, and their handles do what they are told."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganx.data import open_source
from ganx.data.example import SourceSpec
from ganx.models import build_discriminator, build_generator, init_gan
from ganx.models.initialise import initialise
from ganx.models.modular_cyclegan import _Conv
from ganx.modulargan.config import modular_config
from ganx.modulargan.cyclegan import Pairs, weighted
from ganx.modulargan.icgan import Inverse
from ganx.modulargan.losses import classification
from ganx.modulargan.method import method
from ganx.modulargan.stargan import all_classification, losses
from ganx.modulargan.store import fingerprint
from ganx.training import load_config

OPTIONS = {
    "stargan": ({"width": 2, "blocks": 1}, {"width": 2, "depth": 1}),
    "cyclegan": ({"width": 2, "blocks": 1}, {"width": 2}),
    "icgan": ({"width": 2, "code": 4}, {"width": 2}),
}


@pytest.mark.parametrize("system", OPTIONS)
def test_a_step_keeps_shapes_and_moves_every_network(system, small, spec, batch):
    config = small("smile")
    config.modulargan.system = config.model.family = system
    with config.unlocked():
        config.model.generator, config.model.discriminator = OPTIONS[system]
    if system == "cyclegan":
        spec = type(spec)(spec.name, (32, 32, 3), attrs=spec.attrs)
        batch = {**batch, "image": batch["image"].repeat(2, 1).repeat(2, 2)}
    trainer = method(config, spec)
    step = lambda state, batch: trainer.step(state, batch, {})  # noqa: E731
    if system != "stargan":  # compiling these takes longer than what it would show
        before = jax.eval_shape(trainer.init, jax.random.key(0))
        after, metrics = jax.eval_shape(step, before, batch)
        assert jax.tree.map(lambda a: (a.shape, a.dtype), after) == jax.tree.map(lambda a: (a.shape, a.dtype), before)
        assert all(value.shape == () for value in metrics.values())
        return
    fresh = initialise(trainer.init, jax.random.key(0))
    state, metrics = jax.jit(step)(fresh, batch)
    for now, before in ((state.g, fresh.g), (state.d, fresh.d)):
        for name, tree in now.params.items():
            assert fingerprint(tree) != fingerprint(before.params[name]), name
    assert all(np.isfinite(float(value)) for value in metrics.values())
    assert trainer.gan(state).spec.family == system


def test_stargan_is_told_all_values_and_they_reach_the_image():
    attributes = (("hair", ("a", "b", "c")), ("smile", ("no", "yes")))
    options = {"resolution": 16, "width": 2, "blocks": 1, "attributes": attributes}
    gan = init_gan("stargan", options, jax.random.key(0))
    assert gan.variables["params"]["encoder"]["conv0"]["kernel"].shape == (7, 7, 3 + 4, 2)
    x = jax.random.uniform(jax.random.key(1), (2, 16, 16, 3), minval=-1.0)
    one, other = (gan(x, target=jnp.array([[h, 0]] * 2)) for h in (0, 2))
    assert float(jnp.abs(one - other).max()) > 1e-3


def test_logits_side_by_side_are_classified_one_attribute_at_a_time():
    logits = jax.random.normal(jax.random.key(0), (5, 4))
    values = jnp.array([[0, 1], [1, 0], [2, 1], [-1, 0], [0, -1]])
    for kind in ("softmax", "bce_sum"):
        want = classification(logits[:, :3], values[:, 0], 3, kind) + classification(
            logits[:, 3:], values[:, 1], 2, kind
        )
        np.testing.assert_allclose(all_classification(logits, values, (3, 2), kind), want, rtol=1e-6)


def test_cyclegan_moves_only_from_the_value_that_there_is():
    gan = init_gan("cyclegan", {"resolution": 16, "width": 2, "blocks": 1, "attributes": (("smile", ("no", "yes")),)},
                   jax.random.key(0))  # fmt: skip
    assert gan.stages == ("smile_0_1", "smile_1_0")
    x = jax.random.uniform(jax.random.key(1), (3, 16, 16, 3), minval=-1.0)
    out = gan(x, now=jnp.array([[0], [1], [1]]), target=jnp.array([[1], [1], [0]]))
    moved = jnp.abs(out - x).max((1, 2, 3)) > 0
    assert moved.tolist() == [True, False, True]


def test_weights_pick_the_samples_of_a_value():
    values = jnp.array([[1.0, 3.0], [10.0, 10.0], [5.0, 7.0]])
    assert float(weighted(values, jnp.array([1.0, 0.0, 1.0]))) == 4.0
    assert float(weighted(values, jnp.zeros(3))) == 0.0


@pytest.mark.parametrize(
    ("system", "size", "sizes"),
    [("stargan", 128, (8.43, 44.76)), ("cyclegan", 128, (2 * 7.838, 2 * 2.765)), ("icgan", 64, (None, 2.78))],
)
def test_networks_are_as_large_as_the_published_ones(system, size, sizes):
    """In millions: StarGAN's table; CycleGAN's 6 blocks with patches of 70 pixels, once a direction."""
    smile = ("smile", ("no", "yes"))
    attributes = (smile,) if system == "cyclegan" else (("hair", ("a", "b", "c")), ("male", ("no", "yes")), smile)
    options = {"resolution": size, "attributes": attributes}
    for build, want in zip((build_generator, build_discriminator), sizes, strict=True):
        module = build(system, options)
        made = jax.eval_shape(lambda m=module: m.init(jax.random.key(0), jnp.zeros((1, size, size, 3))))
        count = sum(leaf.size for leaf in jax.tree.leaves(made["params"])) / 1e6
        assert want is None or count == pytest.approx(want, abs=0.006)
        if want is None:  # the encoder of z: four conv5, a hidden layer as wide as its input, 4096
            encoder = 25 * (3 * 32 + 32 * 64 + 64 * 128 + 128 * 256) + 4096 * 4096 + 4096 * 100
            got = sum(leaf.size for leaf in jax.tree.leaves(made["params"]["encoder"]))
            assert got == pytest.approx(encoder, rel=1e-3)  # but for biases and norms


class Painted:
    """StarGAN's networks as numbers: a smile adds 0.4, none takes 0.2 away; the critic says twice the mean."""

    attributes = (("smile", ("no", "yes")),)

    def apply(self, variables, x, target=None, method=None):
        if method == "judge":
            score = jnp.broadcast_to(2 * x.mean((1, 2, 3))[:, None, None], (len(x), 2, 2))
            return score, jnp.zeros((len(x), 1))
        return x + jnp.where(target == 1, 0.4, -0.2)[:, :, None, None]


def test_stargans_losses_by_hand():
    options = modular_config().modulargan
    options.classification, options.cycle_image, options.penalty = 2.0, 5.0, 3.0
    d_loss, g_loss = losses(options, Painted(), Painted())
    x = jnp.broadcast_to(jnp.array([0.5, -0.25])[:, None, None, None], (2, 2, 2, 3))
    batch = {"image": x, "values": jnp.array([[0], [1]])}  # so fakes are 0.9 and -0.45, and back they are 0.2 off
    loss, _ = g_loss({}, {"params": {}}, batch, jax.random.key(0))
    assert float(loss) == pytest.approx(-2 * (0.9 - 0.45) / 2 + 2 * np.log(2) + 5 * 0.2, rel=1e-5)
    loss, _ = d_loss({"params": {}}, {}, batch, jax.random.key(0))
    slope = 4 * 2 / np.sqrt(12)  # of the sum of four patches over twelve numbers
    assert float(loss) == pytest.approx(0.45 - 0.25 + 3 * (slope - 1) ** 2 + 2 * np.log(2), rel=1e-5)


class Shifts:
    """CycleGAN's networks as numbers: smile on adds 1, off takes 0.5 away; critics say the mean."""

    attributes = (("smile", ("no", "yes")),)

    def apply(self, variables, name, x, method):
        if method == "direct":
            return x + {"smile_0_1": 1.0, "smile_1_0": -0.5}[name]
        return x.mean((1, 2, 3))[:, None, None]


def test_cyclegans_losses_by_hand():
    pairs = Pairs(Shifts(), Shifts(), 10.0)
    x = jnp.broadcast_to(jnp.array([0.2, 0.6, -0.4])[:, None, None, None], (3, 2, 2, 3))
    batch = {"image": x, "values": jnp.array([[0], [1], [0]])}
    loss, _ = pairs.g_loss({}, {}, batch, jax.random.key(0))
    adversarial = (0.2**2 + 0.4**2) / 2 + (0.1 - 1) ** 2  # of 1.2 and 0.6, then of 0.1
    assert float(loss) == pytest.approx(adversarial + 10 * (0.5 + 0.5 + 0.5 * (1.0 + 0.5)), rel=1e-5)
    loss, _ = pairs.d_loss({}, {}, batch, jax.random.key(0))
    on = (0.6 - 1) ** 2 + (1.2**2 + 0.6**2) / 2
    off = (0.8**2 + 1.4**2) / 2 + 0.1**2
    assert float(loss) == pytest.approx(0.5 * (on + off), rel=1e-5)


class Plain:
    """IcGAN's networks as numbers: it draws 2y, finds codes of 0, reads the mean; the critic adds mean and y."""

    attributes = (("smile", ("no", "yes")),)
    code = 3

    def apply(self, variables, *args, method="judge", mutable=()):
        if method == "draw":
            out = jnp.broadcast_to(2 * args[1][:, :, None, None], (len(args[1]), 2, 2, 3))
        elif method == "coded":
            out = jnp.zeros((len(args[0]), 3))
        else:
            out = args[0].mean((1, 2, 3))[:, None]
            out = out[:, 0] + args[2][:, 0] if method == "judge" else out
        return out, {}


def test_icgans_losses_by_hand():
    """Fakes and real pictures under wrong values count half each; encoders learn by mean squared error."""
    game = Inverse(Plain(), Plain(), None)
    x = jnp.broadcast_to(jnp.array([0.5, -0.25])[:, None, None, None], (2, 2, 2, 3))
    batch = {"image": x, "values": jnp.array([[1], [0]])}  # y is 1 and -1
    softplus = lambda *each: np.log1p(np.exp(each)).mean()  # noqa: E731
    loss, _ = game.d_loss({}, {}, batch, jax.random.key(0))
    wanted = softplus(-1.5, 1.25) + 0.5 * (softplus(3.0, -3.0) + softplus(-0.5, 0.75))
    assert float(loss) == pytest.approx(wanted, rel=1e-5)
    loss, (metrics, _) = game.g_loss({}, {}, batch, jax.random.key(1))
    codes = jax.random.normal(jax.random.key(1), (2, 3))
    assert float(metrics["code"]) == pytest.approx(float(jnp.square(codes).mean()), rel=1e-5)
    names = (0.5**2 + 0.75**2) / 2
    assert float(loss) == pytest.approx(softplus(-3.0, 3.0) + float(metrics["code"]) + names, rel=1e-5)


def test_the_transposed_conv3_is_the_strided_ones_transpose():
    """`ConvTranspose2d(3, 2, 1, output_padding=1)` by its definition: every input lands at 2i - 1 + k."""
    module = _Conv(1, 3, up=True)
    x = jnp.zeros((1, 3, 3, 1)).at[0, 1, 1, 0].set(1.0)
    variables = module.init(jax.random.key(0), x)
    params = {**variables["params"], "bias": jnp.zeros(1)}
    out = module.apply({"params": params}, x)[0, ..., 0]
    kernel = params["kernel"][::-1, ::-1, 0, 0]  # ours is the canonical one: it correlates with the spread-out input
    want = np.zeros((6, 6), np.float32)
    want[1:4, 1:4] = kernel
    np.testing.assert_allclose(out, want, atol=1e-6)


ROOT = Path(__file__).parents[2] / "configs" / "modulargan"
FLAGS = ("no", "yes")
REAL = {  # what their sources would say of themselves; pictures of a world stand for theirs
    "celeba128": {"hair": ("Black_Hair", "Blond_Hair", "Brown_Hair"), "Male": FLAGS, "Smiling": FLAGS},
    "stargan_celeba128": {"hair": ("Black_Hair", "Blond_Hair", "Brown_Hair"), "Male": FLAGS, "Smiling": FLAGS},
    "utkface64": {"age": ("0-12", "13-29", "30-49", "50+"), "female": FLAGS},
}


@pytest.mark.parametrize("name", sorted(path.stem for path in ROOT.glob("*.py")))
def test_shipped_configurations_build(name):
    config = load_config(ROOT / f"{name}.py")
    if name in REAL:
        size = int(name[-3:] if name.endswith("128") else name[-2:])
        data = SourceSpec(f"world:faces?size={size}", (size, size, 3), attrs=REAL[name])
        for attribute, values in REAL[name].items():  # the source is asked for these, grouped in this order
            assert attribute in config.data.source
            assert len(values) == 2 or f"({','.join(values)})" in config.data.source
    else:
        data = open_source(config.data.source).spec
    config.samples = 1
    trainer = method(config, data)
    state = jax.eval_shape(trainer.init, jax.random.key(0))
    assert sum(leaf.size for leaf in jax.tree.leaves(state.g.params)) > 1e5
