"""ModularGAN's networks: shapes, the mask law, and the traps of padding, linear heads and norms of one pixel."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganx import GanxError
from ganx.models import build_discriminator, build_generator, init_gan
from ganx.models.modular_parts import (
    Heads,
    InstanceNorm,
    Source,
    Transformer,
    Trunk,
    blend,
    channels_of,
    value_code,
)

ATTRIBUTES = (("hair", ("black", "blond", "brown")), ("smile", ("no", "yes")))
TINY = {"resolution": 16, "width": 2, "blocks": 1, "attributes": ATTRIBUTES}


@pytest.fixture(scope="module")
def gan():
    return init_gan("modular", TINY, jax.random.key(0))


@pytest.fixture(scope="module")
def images():
    return jax.random.uniform(jax.random.key(1), (2, 16, 16, 3), minval=-1.0)


@pytest.mark.parametrize("size", [32, 64, 128])
def test_encoder_source_and_transformers_share_one_feature_space(size):
    for classes in (0, 10):
        module = build_generator("modular", {"resolution": size, "attributes": ATTRIBUTES, "classes": classes})
        z = jnp.zeros((1, *module.latent_shape()))
        label = {"label": jnp.zeros(1, jnp.int32)} if classes else {}
        variables = jax.eval_shape(lambda z, m=module, k=label: m.init(jax.random.key(0), z, **k), z)
        first = jax.eval_shape(
            lambda v, z, m=module, k=label: m.apply(v, z, *k.values(), method="generate" if k else "encode"),
            variables,
            z,
        )
        assert first.shape == (1, size // 4, size // 4, 256)
        f, mask = jax.eval_shape(
            lambda v, f, m=module: m.apply(v, "hair", f, jnp.zeros(1, jnp.int32), method="transform"), variables, first
        )
        assert f.shape == first.shape
        assert (mask.shape, mask.dtype) == ((1, size // 4, size // 4, 1), jnp.float32)
        image = jax.eval_shape(lambda v, f, m=module: m.apply(v, f, method="reconstruct"), variables, f)
        assert image.shape == (1, size, size, 3)


def test_parameters_are_those_of_the_paper_at_128():
    module = build_generator("modular", {"attributes": ATTRIBUTES})
    variables = jax.eval_shape(lambda z: module.init(jax.random.key(0), z), jnp.zeros((1, 128, 128, 3)))
    count = {name: sum(leaf.size for leaf in jax.tree.leaves(p)) / 1e6 for name, p in variables["params"].items()}
    assert count["encoder"] == pytest.approx(0.67, abs=0.005)
    assert count["to_smile"] == pytest.approx(7.69, abs=0.005)
    assert count["reconstructor"] == pytest.approx(0.67, abs=0.005)
    critic = build_discriminator("modular", {"attributes": ATTRIBUTES[:1]})
    params = jax.eval_shape(lambda x: critic.init(jax.random.key(0), x), jnp.zeros((1, 128, 128, 3)))
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) / 1e6 == pytest.approx(44.75, abs=0.005)


def test_a_closed_mask_keeps_every_bit_and_an_open_one_replaces_all():
    f, changed = jax.random.normal(jax.random.key(0), (2, 2, 4, 4, 3))
    np.testing.assert_array_equal(blend(f, changed, jnp.zeros((2, 4, 4, 1)).at[:].set(0.0))[0], f[0])
    np.testing.assert_array_equal(blend(f, changed, jnp.ones((2, 4, 4, 1)))[1], changed[1])


@pytest.fixture(scope="module")
def transformer():
    module = Transformer(blocks=1)
    f = jax.random.normal(jax.random.key(0), (2, 8, 8, 4))
    return module, module.init(jax.random.key(1), f, jnp.zeros((2, 1))), f


def test_the_tanh_is_rescaled_before_the_blend(transformer):
    """The raw tanh, in (-1, 1), would give weights outside of [0, 1]."""
    module, variables, f = transformer
    (out, gate), found = module.apply(variables, f, jnp.ones((2, 1)), capture_intermediates=True)
    logit = found["intermediates"]["mask"]["__call__"][0]
    changed = found["intermediates"]["block0"]["__call__"][0]
    assert float(jnp.tanh(logit).min()) < 0
    np.testing.assert_allclose(gate, jax.nn.sigmoid(2 * logit), atol=1e-6)
    np.testing.assert_allclose(out, gate * changed + (1 - gate) * f, atol=1e-6)


def test_saturated_masks_are_exact(transformer):
    module, variables, f = transformer
    params = variables["params"]
    for huge, want in ((-1e30, f), (1e30, None)):
        # a constant logit: the head reads a channel that the block's last shift has lifted
        block = {**params["block0"], "norm1": {"scale": jnp.zeros(4), "bias": jnp.full(4, 1e3)}}
        mask = {"kernel": jnp.full((7, 7, 4, 1), huge / 1e3)}
        out, gate = module.apply({"params": {**params, "block0": block, "mask": mask}}, f, jnp.ones((2, 1)))
        assert jnp.unique(gate).tolist() == [0.0 if huge < 0 else 1.0]
        if want is not None:
            np.testing.assert_array_equal(out, want)


def test_conditions_reach_the_output_through_zero_padding_only(transformer):
    module, variables, f = transformer
    on, off = (module.apply(variables, f, jnp.full((2, 1), v))[0] for v in (1.0, 0.0))
    assert float(jnp.abs(on - off).max()) > 1e-3
    kernel = variables["params"]["conv"]["kernel"]
    plane = lambda v: jnp.concatenate([f, jnp.full((2, 8, 8, 1), v)], -1)  # noqa: E731
    reflected = [
        InstanceNorm(plain=True).apply(
            {},
            jax.lax.conv_general_dilated(
                jnp.pad(plane(v), ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect"),
                kernel,
                (1, 1),
                "VALID",
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
            ),
        )
        for v in (1.0, 0.0)
    ]
    np.testing.assert_allclose(*reflected, atol=1e-5)  # what reflect padding would leave of the condition


def test_without_a_mask_the_result_is_what_the_blocks_made(transformer):
    _, variables, f = transformer
    bare = Transformer(blocks=1, mask=False)
    params = {k: v for k, v in variables["params"].items() if k != "mask"}
    out, mask = bare.apply({"params": params}, f, jnp.ones((2, 1)))
    full, gate = Transformer(blocks=1).apply(variables, f, jnp.ones((2, 1)))
    np.testing.assert_allclose(gate * out + (1 - gate) * f, full, atol=1e-6)
    np.testing.assert_array_equal(mask, 1.0)


def test_film_conditions_everywhere(transformer):
    _, _, f = transformer
    module = Transformer(blocks=1, conditioning="film")
    variables = module.init(jax.random.key(1), f, jnp.zeros((2, 1)))
    on, off = (module.apply(variables, f, jnp.full((2, 1), v))[0] for v in (1.0, 0.0))
    assert float(jnp.abs(on - off)[:, 3:5, 3:5].max()) > 1e-3


def test_values_become_one_channel_or_one_each():
    np.testing.assert_array_equal(value_code(jnp.array([0, 1, -1]), 2), [[0], [1], [0]])
    np.testing.assert_array_equal(value_code(jnp.array([2, -1]), 3), [[0, 0, 1], [0, 0, 0]])
    assert (channels_of(2), channels_of(3)) == (1, 3)


def test_heads_are_linear():
    heads = Heads(3)
    x = jax.random.normal(jax.random.key(0), (2, 2, 2, 4))
    params = heads.init(jax.random.key(1), x)
    for one, ten in zip(heads.apply(params, x), heads.apply(params, 10 * x), strict=True):
        np.testing.assert_allclose(ten, 10 * one, rtol=1e-4)


def test_codes_survive_the_first_norm():
    """Normalised on 1 x 1, before the map is 4 x 4, every code would give the same features."""
    source = Source(8, 4)
    z = jax.random.normal(jax.random.key(0), (2, 5))
    out = source.apply(source.init(jax.random.key(1), z), z)
    assert out.shape == (2, 8, 8, 4)
    assert float(jnp.abs(out[0] - out[1]).mean()) > 0.1
    pixel = jax.random.normal(jax.random.key(2), (2, 1, 1, 4))
    np.testing.assert_array_equal(InstanceNorm(plain=True).apply({}, pixel), 0.0)


def test_the_encoders_norms_take_away_a_colour_that_fills_the_picture():
    """The paper's encoder cannot tell a light flat picture from a dark one; ours without norms can."""
    pictures = jnp.stack([jnp.full((32, 32, 3), 0.9), jnp.full((32, 32, 3), 0.2)])
    for norm, apart in ((True, False), (False, True)):
        trunk = Trunk(4, norm=norm)
        out = trunk.apply(trunk.init(jax.random.key(0), pictures), pictures)[:, 3:5, 3:5]
        assert (float(jnp.abs(out[0] - out[1]).max()) > 0.02) == apart


def test_initial_weights_are_pytorchs_default():
    trunk = Trunk(4)
    params = trunk.init(jax.random.key(0), jnp.zeros((1, 16, 16, 3)))["params"]
    kernel = params["conv1"]["kernel"]
    bound = (4 * 4 * 4) ** -0.5
    assert 0.95 * bound < float(jnp.abs(kernel).max()) <= bound
    assert "bias" not in params["conv1"]  # a norm follows


def test_the_gan_runs_a_program_in_the_banks_order(gan, images):
    assert gan.stages == ("encoder", "to_hair", "to_smile", "reconstructor")
    program = jnp.array([[2, -1], [-1, 1]])
    act = gan.until("to_smile", images, program=program)
    assert act.context["mask hair"].shape == (2, 4, 4, 1)
    assert float(jnp.abs(act.context["mask hair"][1]).max()) == 0.0
    np.testing.assert_array_equal(gan.since("to_smile", act), gan(images, program=program))
    np.testing.assert_array_equal(gan.since("encoder", gan.until("encoder", images)), gan(images))


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"attributes": ()}, "needs attributes"),
        ({"attributes": (("a", ("x",)),)}, "two are needed"),
        ({"resolution": 48}, "16, 32, 64"),
        ({"conditioning": "reflect"}, "repeat, film"),
    ],
)
def test_what_cannot_be_built_is_refused(options, match):
    with pytest.raises(GanxError, match=match):
        build_generator("modular", {**TINY, **options})
    with pytest.raises(GanxError, match="at most 3"):
        build_discriminator("modular", {"resolution": 16, "attributes": ATTRIBUTES, "depth": 5})
