"""StyleGAN checkpoints in two layouts: each is recognised, fills the same network, and gives its tensors back."""

import numpy as np
import pytest

from ganx.convert import import_checkpoint, stylegan_genforce, stylegan_tf, transforms
from ganx.convert.keymap import Source, fill, flat

WIDTHS = (6, 5, 4, 4, 3, 3)  # up to 128 pixels, from where on up-sampling kernels are turned
LATENT, STYLE = 7, 8


def tensor(rng, *shape):
    return rng.normal(size=shape).astype(np.float32)


def genforce_generator(classes=0):
    rng, width = np.random.default_rng(0), WIDTHS[0]
    state = {"synthesis.lod": np.zeros((), np.float32), "truncation.w_avg": tensor(rng, STYLE)}
    for i in range(2):
        entering = STYLE if i else LATENT * (1 + bool(classes))
        state |= {
            f"mapping.dense{i}.weight": tensor(rng, STYLE, entering),
            f"mapping.dense{i}.bias": tensor(rng, STYLE),
        }
    if classes:
        state["mapping.label_weight"] = tensor(rng, classes, LATENT)
    state["synthesis.layer0.const"] = tensor(rng, 1, WIDTHS[0], 4, 4)
    for i in range(2 * len(WIDTHS)):
        name, out, size = f"synthesis.layer{i}", WIDTHS[i // 2], 4 << (i // 2)
        if i:
            state[f"{name}.weight"] = tensor(rng, out, width, 3, 3)
        if i % 2 == 0 and i:
            state[f"{name}.blur.kernel"] = np.ones((out, 1, 3, 3), np.float32)
        state |= {f"{name}.bias": tensor(rng, out), f"{name}.apply_noise.weight": tensor(rng, out)}
        state |= {f"{name}.apply_noise.noise": tensor(rng, 1, 1, size, size)}
        state |= {f"{name}.style.weight": tensor(rng, 2 * out, STYLE), f"{name}.style.bias": tensor(rng, 2 * out)}
        width = out
    for b, out in enumerate(WIDTHS):
        state |= {f"synthesis.output{b}.weight": tensor(rng, 3, out, 1, 1), f"synthesis.output{b}.bias": tensor(rng, 3)}
    return state


def tensorflow(state):
    """The same generator as its authors name it."""
    out = {"dlatent_avg": state["truncation.w_avg"], "synthesis/lod": state["synthesis.lod"]}
    for i in range(2):
        out[f"mapping/Dense{i}/weight"] = state[f"mapping.dense{i}.weight"].T
        out[f"mapping/Dense{i}/bias"] = state[f"mapping.dense{i}.bias"]
    if "mapping.label_weight" in state:
        out["mapping/LabelConcat/weight"] = state["mapping.label_weight"]
    out["synthesis/4x4/Const/const"] = state["synthesis.layer0.const"]
    for i in range(2 * len(WIDTHS)):
        name, size = f"synthesis.layer{i}", 4 << (i // 2)
        scope = ("Const", "Conv")[i] if i < 2 else ("Conv0_up", "Conv1")[i % 2]
        scope = f"synthesis/{size}x{size}/{scope}"
        if i:
            out[f"{scope}/weight"] = state[f"{name}.weight"].transpose(2, 3, 1, 0)
        out |= {f"{scope}/bias": state[f"{name}.bias"], f"{scope}/Noise/weight": state[f"{name}.apply_noise.weight"]}
        out[f"{scope}/StyleMod/weight"] = state[f"{name}.style.weight"].T
        out[f"{scope}/StyleMod/bias"] = state[f"{name}.style.bias"]
        out[f"synthesis/noise{i}"] = state[f"{name}.apply_noise.noise"]
    for b in range(len(WIDTHS)):
        scope = f"synthesis/ToRGB_lod{len(WIDTHS) - 1 - b}"
        out[f"{scope}/weight"] = state[f"synthesis.output{b}.weight"].transpose(2, 3, 1, 0)
        out[f"{scope}/bias"] = state[f"synthesis.output{b}.bias"]
    return {k: np.array(v, order="C") for k, v in out.items()}


def tf_discriminator(outputs):
    rng, out, depth = np.random.default_rng(1), {"lod": np.zeros((), np.float32)}, len(WIDTHS) - 1
    scopes = {
        "4x4/Conv": (3, 3, WIDTHS[0] + 1, WIDTHS[0]),
        "4x4/Dense0": (16 * WIDTHS[0], 9),
        "4x4/Dense1": (9, outputs),
    }
    for b, width in enumerate(WIDTHS):
        scopes[f"FromRGB_lod{depth - b}"] = (1, 1, 3, width)
        if b:
            scopes |= {f"{4 << b}x{4 << b}/Conv0": (3, 3, width, width)}
            scopes |= {f"{4 << b}x{4 << b}/Conv1_down": (3, 3, width, WIDTHS[b - 1])}
    for scope, shape in scopes.items():
        out |= {f"{scope}/weight": tensor(rng, *shape), f"{scope}/bias": tensor(rng, shape[-1])}
    return out


def filled(layout, tensors):
    return fill(layout.generator(Source(tensors), ""), tensors)


def gives_back(plan, tensors):
    leaves = flat(fill(plan, tensors).variables)
    for entry in plan.entries:
        back = transforms.backward(entry.transform, np.asarray(leaves[entry.target]), tensors[entry.source].shape)
        np.testing.assert_array_equal(back, tensors[entry.source])


@pytest.mark.parametrize("classes", [0, 4])
def test_both_layouts_are_the_same_network(classes):
    state = genforce_generator(classes)
    ours, theirs = filled(stylegan_genforce, state), filled(stylegan_tf, tensorflow(state))
    assert ours.module == theirs.module
    assert (ours.module.widths, ours.module.latent, ours.module.style, ours.module.classes) == (
        WIDTHS, LATENT, STYLE, classes
    )  # fmt: skip
    a, b = flat(ours.variables), flat(theirs.variables)
    assert a.keys() == b.keys()
    assert all(np.array_equal(a[name], b[name]) for name in a)


def test_kernels_of_fused_up_sampling_are_turned():
    state = genforce_generator()
    variables = flat(filled(stylegan_genforce, state).variables)
    for i, turned in ((8, False), (9, False), (10, True), (11, False)):
        weight = state[f"synthesis.layer{i}.weight"].transpose(2, 3, 1, 0)
        np.testing.assert_array_equal(variables[f"params/layer{i}/kernel"], weight[::-1, ::-1] if turned else weight)


def test_tensors_come_back_bit_for_bit():
    state = genforce_generator(4)
    gives_back(stylegan_genforce.generator(Source(state), ""), state)
    tf = tensorflow(state)
    gives_back(stylegan_tf.generator(Source(tf), ""), tf)
    critic = tf_discriminator(4)
    gives_back(stylegan_tf.discriminator(Source(critic), ""), critic)


def test_files_are_recognised_whole(tmp_path):
    state, critic = genforce_generator(), tf_discriminator(1)
    files = {
        "genforce": {f"models.generator_smooth.{k}": v for k, v in state.items()},
        "stylegan-tf": {f"Gs.{k}": v for k, v in tensorflow(state).items()} | {f"D.{k}": v for k, v in critic.items()},
    }
    for layout, tensors in files.items():
        np.savez(tmp_path / f"{layout}.npz", **tensors)
        found = import_checkpoint(tmp_path / f"{layout}.npz")
        assert (found.origin.layout, found.gan.spec.family, found.gan.spec.resolution) == (layout, "stylegan", 128)
        assert (found.discriminator is None) == (layout == "genforce")
