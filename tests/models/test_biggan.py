"""BigGAN: its published size, what each part of z and the label reach, and a few steps of its training."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from ganx.errors import GanxError
from ganx.models import (
    biggan,
    build_discriminator,
    build_generator,
    describe,
    make_gan,
    module_fields,
    module_from_fields,
)
from ganx.models.initialise import initialise
from ganx.training.losses import loss
from ganx.training.mesh import make_mesh

LABEL = jnp.array([2, 0])
REST = ["batch_stats", "spectral"]


@pytest.fixture(scope="module")
def gan():
    module = biggan.BigGanGenerator((8, 8, 8), classes=3, embed=4, latent=6, attention=(1,))
    variables = initialise(module.init, jax.random.key(0), jnp.zeros((1, 6)), label=LABEL[:1])
    return make_gan("biggan", module, variables)


@pytest.fixture(scope="module")
def z(gan):
    return gan.latents(jax.random.key(1), 2)


def sizes(module, shape):
    label = jnp.zeros(1, jnp.int32)
    variables = jax.eval_shape(lambda key: module.init(key, jnp.zeros(shape), label=label), jax.random.key(0))
    return variables, sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))


def test_the_networks_for_imagenet_have_their_published_sizes():
    generator = build_generator("biggan", {"resolution": 128, "classes": 1000})
    variables, count = sizes(generator, (1, 120))
    assert count == 70_433_988
    spec = describe("biggan", generator, variables)
    assert spec.stages == ("linear", "block0", "block1", "block2", "block3", "block4", "rgb")
    assert spec.shapes[:2] == ((4, 4, 1536), (8, 8, 1536))
    assert spec.shapes[4:] == ((64, 64, 192), (128, 128, 96), (128, 128, 3))
    assert sizes(build_discriminator("biggan", {"classes": 1000}), (1, 128, 128, 3))[1] == 87_982_370


def test_a_chunk_of_z_reaches_its_own_block_first(gan, z):
    late = z.at[:, 4:].add(1.0)
    one, two = (gan.until("block0", latents, label=LABEL) for latents in (z, late))
    assert (one.features == two.features).all()
    assert (gan.since("block0", one) != gan.since("block0", two)).any()


def test_a_label_reaches_every_block_but_not_the_first_map(gan, z):
    one, two = (gan.until("linear", z, label=label) for label in (LABEL, LABEL[::-1]))
    assert (one.features == two.features).all()
    assert (gan.since("linear", one) != gan.since("linear", two)).any()


def test_a_mixture_of_one_class_is_that_class(gan, z):
    act, mixed = (gan.until("block0", z, label=label) for label in (LABEL, jax.nn.one_hot(LABEL, 3)))
    np.testing.assert_allclose(act.features, mixed.features, rtol=1e-5, atol=1e-6)


def test_matrices_are_what_z_enters_by(gan, z):
    matrices = gan.module.apply(gan.variables, method="style_matrices")
    assert {name: m.shape for name, m in matrices.items()} == {"linear": (128, 6), "block0": (32, 6), "block1": (32, 6)}
    reach = [np.abs(m).sum(0) > 0 for m in matrices.values()]
    np.testing.assert_array_equal(reach, np.kron(np.eye(3), [1, 1]) > 0)
    ours = (matrices["linear"] @ (z[0] - z[1])).reshape(4, 4, 8)
    theirs = jnp.subtract(*gan.until("linear", z, label=LABEL).features)
    np.testing.assert_allclose(theirs / jnp.linalg.norm(theirs), ours / jnp.linalg.norm(ours), atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resolution": 128, "latent": 128}, "use 126"),
        ({"resolution": 100}, "no BigGAN resolution named '100'"),
        ({"hierarchical": False}, "give classes"),
        ({"classes": 3, "embed": 0}, "set embed above 0"),
    ],
)
def test_what_cannot_be_built_is_one_line(options, message):
    with pytest.raises(GanxError, match=message):
        build_generator("biggan", options)


def test_a_missing_or_useless_label_is_one_line(gan, z):
    with pytest.raises(GanxError, match="knows 3 classes"):
        gan(z)
    with pytest.raises(GanxError, match="takes no label"):
        biggan.check_label(0, LABEL)


def moved(before, after):
    return jax.tree.leaves(jax.tree.map(lambda a, b: bool((a != b).any()), before, after))


@pytest.fixture(scope="module")
def trained():
    """Both networks before and after one step of the hinge game on eight devices, plain gradient descent."""
    mesh = make_mesh()
    batch = NamedSharding(mesh, P("data"))
    # an orthogonal weight has one singular value, and every u is its own: here u has somewhere to go
    g = biggan.BigGanGenerator((8, 8), classes=2, embed=4, latent=4, weight_init="normal")
    d = biggan.BigGanDiscriminator((8, 8), (True, False), classes=2, weight_init="normal")
    keys = jax.random.split(jax.random.key(0), 4)
    z, reals, label = jax.random.normal(keys[0], (8, 4)), jax.random.normal(keys[1], (8, 8, 8, 3)), jnp.arange(8) % 2
    z, reals, label = jax.device_put((z, reals, label), batch)
    first = initialise(g.init, keys[2], z, label=label), initialise(d.init, keys[3], reals, label=label)
    hinge = loss("hinge")

    @jax.jit
    def step(networks):
        def play(g_params, d_params):
            fakes, g_new = g.apply({**networks[0], "params": g_params}, z, True, label=label, mutable=REST)
            judge = {**networks[1], "params": d_params}
            both, d_new = d.apply(judge, jnp.concatenate([reals, fakes]), True, jnp.tile(label, 2), mutable=REST)
            return both[:8], both[8:], g_new, d_new

        def g_loss(params):
            _, on_fake, g_new, d_new = play(params, networks[1]["params"])
            return hinge.generator(on_fake), (g_new, d_new)

        def d_loss(params):
            return hinge.discriminator(*play(networks[0]["params"], params)[:2])

        g_grads, new = jax.grad(g_loss, has_aux=True)(networks[0]["params"])
        grads = g_grads, jax.grad(d_loss)(networks[1]["params"])
        stepped = [jax.tree.map(lambda w, s: w - 0.1 * s, v["params"], s) for v, s in zip(networks, grads, strict=True)]
        return tuple({**v, **n, "params": p} for v, n, p in zip(networks, new, stepped, strict=True))

    return first, step(first)


def test_training_moves_weights_singular_vectors_and_statistics(trained):
    for before, after in zip(*trained, strict=True):
        assert before.keys() == after.keys()
        # hinge gradients of reals and fakes cancel in the last bias while no logit has left the margin
        weights = [leaf.ndim > 1 for leaf in jax.tree.leaves(after["params"])]
        assert all(m for m, weight in zip(moved(before["params"], after["params"]), weights, strict=True) if weight)
        wide = [leaf.size > 1 for leaf in jax.tree.leaves(after["spectral"])]  # of one output, u is 1 and stays it
        stayed = [not there for there in moved(before["spectral"], after["spectral"])]
        assert not any(a and b for a, b in zip(wide, stayed, strict=True))
    assert all(moved(trained[0][0]["batch_stats"], trained[1][0]["batch_stats"]))
    for after in trained[1]:
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(after))


def test_logged_singular_values_are_those_of_the_weights(trained):
    (_, before), (_, after) = trained
    kernel, sigma = before["params"]["head"]["linear"]["kernel"], after["spectral"]["head"]["linear"]["sigma"]
    np.testing.assert_allclose(sigma, np.linalg.norm(kernel), rtol=1e-5)  # one column: the first iteration is exact


def test_a_module_is_rebuilt_from_plain_values(gan):
    fields = json.loads(json.dumps(module_fields(gan.module)))
    assert module_from_fields("biggan", "generator", fields) == gan.module
