"""PGGAN checkpoints in three layouts: each is recognised, fills the same network, and gives its tensors back."""

import numpy as np
import pytest

from ganx import GanxError
from ganx.convert import import_checkpoint, pggan_dissection, pggan_genforce, pggan_tf, transforms
from ganx.convert.keymap import Source, fill, flat

WIDTHS, LATENT = (6, 5, 4), 7


def tensor(rng, *shape):
    return rng.normal(size=shape).astype(np.float32)


def genforce_generator():
    rng, state, width = np.random.default_rng(0), {"lod": np.zeros((), np.float32)}, LATENT
    for b, out in enumerate(WIDTHS):
        for i in (2 * b, 2 * b + 1):
            size = 3 if i else 4
            state |= {f"layer{i}.weight": tensor(rng, out, width, size, size), f"layer{i}.bias": tensor(rng, out)}
            width = out
        state |= {f"output{b}.weight": tensor(rng, 3, out, 1, 1), f"output{b}.bias": tensor(rng, 3)}
    return state


def genforce_discriminator():
    rng, state = np.random.default_rng(1), {"lod": np.zeros((), np.float32)}
    widths = WIDTHS[::-1]
    for j, width in enumerate(widths):
        state |= {f"input{j}.weight": tensor(rng, width, 3, 1, 1), f"input{j}.bias": tensor(rng, width)}
        below = widths[min(j + 1, len(widths) - 1)]
        last = j == len(widths) - 1
        state |= {
            f"layer{2 * j}.weight": tensor(rng, width, width + last, 3, 3),
            f"layer{2 * j}.bias": tensor(rng, width),
        }
        if not last:
            state |= {f"layer{2 * j + 1}.weight": tensor(rng, below, width, 3, 3)}
            state |= {f"layer{2 * j + 1}.bias": tensor(rng, below)}
    state |= {"layer5.weight": tensor(rng, 9, 6 * 16), "layer5.bias": tensor(rng, 9)}
    return state | {"layer6.weight": tensor(rng, 1, 9), "layer6.bias": tensor(rng, 1)}


def dissection(state, old=False):
    """The same generator as GAN Dissection names it, without the image layers of smaller sizes."""
    out = {}
    for i in range(6):
        name = f"features.{i}" if old else f"layer{i + 1}"
        out |= {f"{name}.conv.weight": state[f"layer{i}.weight"], f"{name}.wscale.b": state[f"layer{i}.bias"]}
    name = "output" if old else "output_16x16"
    return out | {f"{name}.conv.weight": state["output2.weight"], f"{name}.wscale.b": state["output2.bias"]}


def tensorflow(state, fused):
    """The same generator as its authors name it."""
    out = {"lod": np.zeros((), np.float32), "4x4/Dense/bias": state["layer0.bias"]}
    # a dense layer has no kernel to slide: position (y, x) of the map is tap (3 - y, 3 - x) of the convolution
    out["4x4/Dense/weight"] = state["layer0.weight"][:, :, ::-1, ::-1].transpose(1, 0, 2, 3).reshape(LATENT, -1)
    scopes = ["4x4/Conv", "8x8/Conv0", "8x8/Conv1", "16x16/Conv0", "16x16/Conv1"]
    for i, scope in enumerate(scopes, 1):
        weight = state[f"layer{i}.weight"].transpose(2, 3, 1, 0)
        if fused and scope.endswith("Conv0"):  # a transposed convolution: [k, k, out, in], turned
            scope, weight = f"{scope}_up", weight[::-1, ::-1].swapaxes(2, 3)
        out |= {f"{scope}/weight": weight, f"{scope}/bias": state[f"layer{i}.bias"]}
    for b in range(3):
        weight = state[f"output{b}.weight"].transpose(2, 3, 1, 0)
        out |= {f"ToRGB_lod{2 - b}/weight": weight, f"ToRGB_lod{2 - b}/bias": state[f"output{b}.bias"]}
    return {k: np.array(v, order="C") for k, v in out.items()}


def filled(layout, tensors, root=""):
    return fill(layout.generator(Source(tensors), root), tensors)


def same(a, b, names=None):
    a, b = flat(a), flat(b)
    names = a.keys() if names is None else names
    return a.keys() >= set(names) <= b.keys() and all(np.array_equal(a[name], b[name]) for name in names)


@pytest.fixture(scope="module")
def network():
    return filled(pggan_genforce, genforce_generator())


@pytest.mark.parametrize("fused", [False, True])
def test_the_authors_layout_is_the_same_network(network, fused):
    other = filled(pggan_tf, tensorflow(genforce_generator(), fused))
    assert other.module == network.module
    assert same(other.variables, network.variables)


@pytest.mark.parametrize("old", [False, True])
def test_gan_dissection_has_the_same_network_at_full_detail(network, old):
    other = filled(pggan_dissection, dissection(genforce_generator(), old))
    assert other.module == network.module.clone(growing=False)
    assert same(other.variables, network.variables, flat(other.variables))
    assert len(flat(other.variables)) == 14


@pytest.mark.parametrize(
    ("layout", "tensors"),
    [
        (pggan_genforce, genforce_generator()),
        (pggan_dissection, dissection(genforce_generator())),
        (pggan_tf, tensorflow(genforce_generator(), fused=True)),
    ],
)
def test_tensors_come_back_bit_for_bit(layout, tensors):
    plan = layout.generator(Source(tensors), "")
    leaves = flat(fill(plan, tensors).variables)
    for entry in plan.entries:
        back = transforms.backward(entry.transform, np.asarray(leaves[entry.target]), tensors[entry.source].shape)
        np.testing.assert_array_equal(back, tensors[entry.source])


def test_files_are_recognised_whole(tmp_path, network):
    under = lambda root, state: {f"{root}.{k}": v for k, v in state.items()}  # noqa: E731
    live = {k: v + 1 if k != "lod" else v for k, v in genforce_generator().items()}
    files = {
        "genforce": under("generator", live)
        | under("generator_smooth", genforce_generator())
        | under("discriminator", genforce_discriminator()),
        "dissection": under("state_dict", dissection(genforce_generator())),
        "pggan-tf": under("Gs", tensorflow(genforce_generator(), fused=True)),
    }
    for layout, tensors in files.items():
        np.savez(tmp_path / f"{layout}.npz", **tensors)
        found = import_checkpoint(tmp_path / f"{layout}.npz")
        assert (found.origin.layout, found.gan.spec.family, found.gan.spec.resolution) == (layout, "pggan", 16)
        assert same(found.gan.variables, network.variables, flat(found.gan.variables))
        assert (found.discriminator is None) == (layout != "genforce")


def test_the_discriminator_is_filled_and_given_back():
    tensors = genforce_discriminator()
    plan = pggan_genforce.discriminator(Source(tensors), "")
    variables = flat(fill(plan, tensors).variables)
    assert (plan.module.widths, plan.module.hidden, plan.module.classes, plan.module.group) == (WIDTHS, 9, 0, 16)
    for entry in plan.entries:
        back = transforms.backward(entry.transform, np.asarray(variables[entry.target]), tensors[entry.source].shape)
        np.testing.assert_array_equal(back, tensors[entry.source])
    # a dense layer on a flattened map: channel c at (y, x) moves from row 16 c + 4 y + x to row 24 y + 6 x + c
    np.testing.assert_array_equal(variables["params/b4/fc/kernel"][24 * 2 + 6 * 1 + 3], tensors["layer5.weight"][:, 57])


def test_fused_discriminators_halve_before_the_leaky_relu():
    """`Conv1_down` tells them from `Conv1`; classes come after the score."""
    rng, out = np.random.default_rng(2), {}
    for j, width in enumerate(WIDTHS[::-1]):
        out |= {
            f"FromRGB_lod{j}/weight": tensor(rng, 1, 1, 3, width),
            f"FromRGB_lod{j}/bias": tensor(rng, width),
        }
    shapes = {"16x16/Conv0": (3, 3, 4, 4), "16x16/Conv1_down": (3, 3, 4, 5), "8x8/Conv0": (3, 3, 5, 5)}
    shapes |= {"8x8/Conv1_down": (3, 3, 5, 6), "4x4/Conv": (3, 3, 7, 6), "4x4/Dense0": (96, 9), "4x4/Dense1": (9, 3)}
    for scope, shape in shapes.items():
        out |= {f"{scope}/weight": tensor(rng, *shape), f"{scope}/bias": tensor(rng, shape[-1])}
    plan = pggan_tf.discriminator(Source(out), "")
    assert (plan.module.halving, plan.module.classes) == ("mean_first", 2)
    kernel = flat(fill(plan, out).variables)["params/b4/fc/kernel"]
    np.testing.assert_array_equal(kernel[24 * 2 + 6 * 1 + 3], out["4x4/Dense0/weight"][57])


def test_a_network_that_was_still_growing_is_refused():
    tensors = {**genforce_generator(), "lod": np.float32(1.25)}
    with pytest.raises(GanxError, match=r"saved while it grew \(lod 1.25\)"):
        pggan_genforce.generator(Source(tensors), "")


def test_a_missing_image_layer_is_reported(tmp_path):
    tensors = tensorflow(genforce_generator(), fused=False)
    del tensors["8x8/Conv1/weight"]
    np.savez(tmp_path / "net.npz", **{f"Gs.{k}": v for k, v in tensors.items()})
    with pytest.raises(GanxError, match="variables without a tensor: params/layer3/kernel"):
        import_checkpoint(tmp_path / "net.npz")
