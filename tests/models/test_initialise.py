"""Fresh variables, an operation at a time: the same values as from one program, and only the work that they need."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganx.models import build_generator, init_generator
from ganx.models.initialise import initialise


@pytest.mark.parametrize("family", ["dcgan", "stylegan2"])
def test_it_gives_what_one_compiled_program_gives(family):
    options = {"dcgan": {"width": 4, "width_max": 8}, "stylegan2": {"channel_base": 64, "channel_max": 4}}[family]
    module = build_generator(family, {"resolution": 8, "channels": 3, **options})
    init = lambda key: init_generator(module, key, n=2)  # noqa: E731
    ours, theirs = initialise(init, jax.random.key(3)), jax.jit(init)(jax.random.key(3))
    chex.assert_trees_all_close(ours, theirs, rtol=1e-5, atol=1e-7)
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    leaves = [leaf for leaf in jax.tree.leaves(ours) if leaf.ndim > 1]
    assert len(leaves) > 1
    assert all(leaf.std() > 0 for leaf in leaves)


def test_what_the_result_does_not_need_is_not_computed():
    seen = []

    def costly(x):
        return jax.pure_callback(lambda x: seen.append("costly") or x, jax.ShapeDtypeStruct((), jnp.float32), x)

    def init(x):
        unused = costly(x)
        return {"a": x + 1, "shape": jnp.zeros(unused.shape)}

    assert initialise(init, jnp.float32(2))["a"] == 3
    assert not seen


def test_arguments_by_name_constants_and_keys():
    table = jnp.arange(3.0)

    def init(key, unused, *, scale):
        return jax.random.split(key)[0], scale * table, table, scale

    key, scaled, same, given = initialise(init, jax.random.key(0), jnp.ones(2), scale=jnp.float32(2))
    assert jax.random.key_data(key).tolist() == jax.random.key_data(jax.random.split(jax.random.key(0))[0]).tolist()
    np.testing.assert_array_equal(scaled, [0, 2, 4])
    np.testing.assert_array_equal(same, table)
    assert given == 2
