"""BigGAN-deep: truncation tables as they should be and as published, stages, latents."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganx.errors import GanxError
from ganx.models import biggan_deep, describe, make_gan
from ganx.models.classnorm import Norm, table_row
from ganx.models.initialise import initialise


def interpolated(truncation, table, legacy):
    """pytorch-pretrained-BigGAN's look-up, with its weights the wrong way round or not."""
    place = truncation / 0.02
    i, c = int(place), place - int(place)
    if not c:
        return table[i]
    return c * table[i] + (1 - c) * table[i + 1] if legacy else (1 - c) * table[i] + c * table[i + 1]


@pytest.mark.parametrize("legacy", [True, False])
def test_statistics_follow_truncation(legacy):
    table = np.random.RandomState(0).uniform(1, 2, (51, 3))
    variables = {
        "params": {"scale": jnp.ones(3), "bias": jnp.zeros(3)},
        "batch_stats": {"mean": jnp.asarray(table), "var": jnp.ones((51, 3))},
    }
    norm = jax.jit(lambda place: Norm(51, 0.0).apply(variables, jnp.zeros((1, 1, 1, 3)), place, False))
    for truncation in (0.0, 0.4, 0.43, 0.58, 0.615, 1.0):
        mean = -norm(table_row(truncation, 51, 1, legacy))[0, 0, 0]
        np.testing.assert_allclose(mean, interpolated(truncation, table, legacy), rtol=1e-5)


def test_a_rounded_quotient_picks_the_wrong_row_in_published_code_only():
    """0.58 / 0.02 is 28.999… in double precision."""
    legacy, right = (table_row(0.58, 51, 1, legacy=legacy) for legacy in (True, False))
    assert float(legacy.row[0] + legacy.weight[0]) == pytest.approx(28)
    assert float(right.row[0] + right.weight[0]) == pytest.approx(29)


def test_each_sample_may_have_its_own_truncation():
    several = table_row(jnp.array([0.25, 0.99]), 51, 2)
    np.testing.assert_allclose(several.row + several.weight, [12.5, 49.5], rtol=1e-5)
    with pytest.raises(GanxError, match="from 0 to 1"):
        table_row(1.5, 51, 1)


def test_training_moves_every_row_alike():
    x = jax.random.normal(jax.random.key(0), (4, 2, 2, 3))
    norm = Norm(5)
    variables = norm.init(jax.random.key(1), x, None, False)
    out, new = norm.apply(variables, x, None, True, mutable=["batch_stats"])
    np.testing.assert_allclose(out.mean((0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(new["batch_stats"]["mean"], np.tile(0.1 * x.mean((0, 1, 2)), (5, 1)), rtol=1e-5)
    variance = 0.9 + 0.1 * np.asarray(x).reshape(-1, 3).var(0, ddof=1)
    np.testing.assert_allclose(new["batch_stats"]["var"], np.tile(variance, (5, 1)), rtol=1e-5)


def test_stages_are_those_of_the_published_generator():
    module = biggan_deep.generator(128, classes=1000)
    label = jnp.zeros(1, jnp.int32)
    variables = jax.eval_shape(lambda key: module.init(key, jnp.zeros((1, 128)), label=label), jax.random.key(0))
    spec = describe("biggan_deep", module, variables)
    assert spec.stages == ("gen_z", *(f"block{i}" for i in range(8)), "attn", "block8", "block9", "rgb")
    shapes = dict(zip(spec.stages, spec.shapes, strict=True))
    assert shapes["gen_z"] == (4, 4, 2048)
    assert shapes["attn"] == (64, 64, 256)
    assert shapes["block9"] == (128, 128, 128)


def test_several_attention_stages_stand_in_their_places():
    module = biggan_deep.BigGanDeepGenerator(8, ((8, True), (8, True), (8, False)), attention=(1, 3))
    assert module.stage_names() == ("gen_z", "block0", "attn", "block1", "block2", "attn2", "rgb")


def test_z_alone_is_factorised_and_edited_cuts_run_on():
    module = biggan_deep.BigGanDeepGenerator(8, ((8, True), (4, False)), classes=2, embed=3, latent=6)
    z, label = jax.random.normal(jax.random.key(1), (2, 6)), jnp.array([0, 1])
    gan = make_gan("biggan_deep", module, initialise(module.init, jax.random.key(0), z, label=label))
    matrices = gan.module.apply(gan.variables, method="style_matrices")
    assert matrices["gen_z"].shape == (16 * 8, 6)
    assert matrices["block0"].shape == (2 * (8 + 3 * 2), 6)
    images = gan.since("block0", gan.until("block0", z, label=label))
    assert images.shape == (2, 8, 8, 3)
    np.testing.assert_array_equal(images, gan(z, label=label))


def test_truncated_latents_stay_within_two_deviations():
    z = biggan_deep.truncated_latents(jax.random.key(0), 400, 8, 0.5)
    assert float(jnp.abs(z).max()) <= 1.0
    assert float(z.std()) == pytest.approx(0.5 * 0.88, abs=0.02)  # of a normal cut at 2: 0.8796
