"""BigGAN checkpoints: the reference's numbers, a plain NumPy BigGAN's, and every tensor back as it was."""

import json

import biggan_numpy as reference
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganx.convert import biggan_ajbrock, biggan_deep_ajbrock, biggan_deep_hf, transforms
from ganx.convert.keymap import Source, check, fill, flat
from ganx.errors import GanxError

Z = np.random.RandomState(5).standard_normal((2, 6)).astype(np.float32)
LABEL = np.array([2, 0])
IMAGES = np.random.RandomState(6).uniform(-1, 1, (2, 3, 16, 16)).astype(np.float32)


def imported(layout, source, part="generator"):
    """The plan, with nothing over or out, and the network that it fills."""
    root = layout.generator_roots(source)[0] if part == "generator" else layout.discriminator_root(source)
    plan = getattr(layout, part)(source, root)
    check([plan], source.tensors, source.under(root))
    return plan, fill(plan, source.tensors)


def close(ours, theirs, rtol):
    assert np.abs(np.asarray(ours) - theirs).max() <= rtol * np.abs(theirs).max()


def last(x):
    """Maps with their channels last; anything else as it is."""
    return x.transpose(0, 2, 3, 1) if x.ndim == 4 else x


@pytest.fixture(scope="module")
def golden(shared):
    arrays = dict(np.load(shared / "goldens" / "sefa" / "hf_biggan_deep_small.npz"))
    facts = {f"config.{name}": value for name, value in json.loads(str(arrays["meta"])).items()}
    source = Source({name[3:]: array for name, array in arrays.items() if name.startswith("sd/")}, facts)
    return arrays, source, *imported(biggan_deep_hf, source)


def test_published_biggan_deep_equals_the_reference(golden):
    arrays, _, _, (module, variables) = golden
    label = jnp.asarray(arrays["io/y"].argmax(1))
    draw = jax.jit(lambda truncation, z: module.apply(variables, z, label=label, truncation=truncation))
    for name, truncation in (("t0.4", 0.4), ("t0.43", 0.43), ("t1.0", 1.0)):
        theirs = last(arrays[f"io/{name}"])
        close(draw(truncation, jnp.asarray(arrays["io/z"])), theirs, 1e-5)


def returned(plan, network, tensors):
    """What export writes: each tensor in its own name and shape."""
    leaves = flat(network.variables)
    return {
        e.source: transforms.backward(e.transform, np.asarray(leaves[e.target]), tensors[e.source].shape)
        for e in plan.entries
    }


def test_every_tensor_of_published_biggan_deep_returns(golden):
    _, source, plan, network = golden
    back = returned(plan, network, source.tensors)
    assert back.keys() == source.tensors.keys()
    assert all((back[name] == array).all() for name, array in source.tensors.items())


def test_published_layers_double_alternately_without_a_configuration(golden):
    tensors = golden[1].tensors
    module = biggan_deep_hf.generator(Source(tensors), "").module
    assert [block.resize for block in module.blocks] == [False, True, False, True, False]
    with pytest.raises(GanxError, match="belong to two models"):
        biggan_deep_hf.generator(Source(tensors, {"config.layers": [[True, 16, 16]]}), "")


PAIRS = {
    "biggan": (biggan_ajbrock, reference.generator_state, reference.generate),
    "biggan-d": (biggan_ajbrock, reference.discriminator_state, reference.judge),
    "deep": (biggan_deep_ajbrock, reference.deep_generator_state, reference.generate_deep),
    "deep-d": (biggan_deep_ajbrock, reference.deep_discriminator_state, reference.judge_deep),
}


@pytest.mark.parametrize("name", PAIRS)
def test_networks_equal_plain_numpy_and_return(name):
    layout, make, run = PAIRS[name]
    tensors, part = make(), "discriminator" if name.endswith("-d") else "generator"
    plan, network = imported(layout, Source(tensors), part)
    x = IMAGES if part == "discriminator" else Z[:, : plan.example.shape[1]]
    ours = jax.jit(network.module.apply)(network.variables, jnp.asarray(last(x)), label=jnp.asarray(LABEL))
    close(ours, last(run(tensors, x, LABEL)), 1e-5)
    back = returned(plan, network, tensors)
    assert back.keys() == tensors.keys()
    assert all(back[k].shape == v.shape and (back[k] == v).all() for k, v in tensors.items())


def test_layouts_tell_each_other_apart():
    plain, deep = Source(reference.generator_state()), Source(reference.deep_generator_state())
    critic, deep_critic = Source(reference.discriminator_state()), Source(reference.deep_discriminator_state())
    assert biggan_ajbrock.generator_roots(plain) == [""]
    assert biggan_deep_ajbrock.generator_roots(deep) == [""]
    assert not biggan_ajbrock.generator_roots(deep)
    assert not biggan_deep_ajbrock.generator_roots(plain)
    assert biggan_ajbrock.discriminator_root(critic) == ""
    assert biggan_ajbrock.discriminator_root(deep_critic) is None
    assert biggan_deep_ajbrock.discriminator_root(critic) is None
    assert biggan_deep_ajbrock.discriminator_root(deep_critic) == ""
    assert not biggan_deep_hf.generator_roots(plain)


def test_prefixes_of_parallel_training_and_synchronised_norms_are_understood():
    tensors = reference.generator_state()
    renamed = {f"module.{k}".replace(".stored_", ".bn.running_"): v for k, v in tensors.items()}
    renamed["module.blocks.0.0.bn1.bn.num_batches_tracked"] = np.zeros((), np.int64)
    source = Source(renamed)
    assert biggan_ajbrock.generator_roots(source) == ["module"]
    entries = biggan_ajbrock.generator(source, "module").entries
    assert {e.source for e in entries} == set(renamed) - {"module.blocks.0.0.bn1.bn.num_batches_tracked"}


def test_ports_from_tensorflow_have_their_own_epsilon():
    """They never trained in PyTorch, so that their logged singular values are still the initial ones."""
    tensors = reference.generator_state()
    ported = {name: np.ones_like(array) if name.endswith("sv0") else array for name, array in tensors.items()}
    modules = [biggan_ajbrock.generator(Source(s), "").module for s in (tensors, ported)]
    assert [(m.norm_epsilon, m.rgb_epsilon) for m in modules] == [(1e-5, 1e-5), (1e-4, 1e-5)]


def test_a_strange_first_map_is_one_line():
    tensors = reference.generator_state()
    tensors["linear.weight"] = np.zeros((72, 2), np.float32)
    with pytest.raises(GanxError, match="must be 4 x 4"):
        biggan_ajbrock.generator(Source(tensors), "")
