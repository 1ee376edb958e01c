"""StyleGAN2 layouts without a golden: variables written under their names and read again, bit for bit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from stylegan2_files import bring, gives_back, golden_source

from ganx.convert import stylegan2_genforce, stylegan2_nvlabs, stylegan2_rosinality, stylegan2_tf
from ganx.convert.keymap import Source, flat
from ganx.models.style import Mapping
from ganx.models.stylegan2 import generator as build_generator
from ganx.models.stylegan2_discriminator import discriminator as build_discriminator

SIZES = {"channel_base": 128, "channel_max": 16}
FIELDS = {"latent": 12, "style": 10, "mapping_layers": 2, **SIZES}


def random_variables(module, *inputs, **labels):
    """Variables of the right shapes, every one of them drawn."""
    shapes = jax.eval_shape(module.init, jax.random.key(0), *inputs, **labels)
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(np.float32), shapes)


def chw(kernel):
    """A dense kernel on `[4, 4, C]` maps as one on `[C, 4, 4]` maps, `[in, out]` still."""
    return kernel.reshape(4, 4, -1, kernel.shape[1]).transpose(2, 0, 1, 3).reshape(kernel.shape)


def oihw(kernel, turn=False):
    return (kernel[::-1, ::-1] if turn else kernel).transpose(3, 2, 0, 1)


def rosinality_tensors(g, d):
    """The state dicts of rosinality's `Generator` and `Discriminator` at 16 pixels, and the file's mean code."""
    params, noise, blur = g["params"], g["constants"], np.outer([1, 3, 3, 1], [1, 3, 3, 1]).astype(np.float32) / 16
    out = {f"style.{i + 1}.weight": params["map"][f"fc{i}"]["kernel"].T for i in range(2)}
    out |= {f"style.{i + 1}.bias": params["map"][f"fc{i}"]["bias"] for i in range(2)}
    out["input.input"] = params["layer0"]["const"].transpose(0, 3, 1, 2)
    layers = {"conv1": 0, **{f"convs.{i}": i + 1 for i in range(4)}}
    for name, i in layers.items():
        layer = params[f"layer{i}"]
        out[f"{name}.conv.weight"] = oihw(layer["kernel"], turn=i % 2 == 1)[None]
        out[f"{name}.noise.weight"] = layer["noise_strength"][None]
        out[f"{name}.activate.bias"] = layer["bias"]
        out[f"noises.noise_{i}"] = noise[f"layer{i}"]["noise"][None, None]
    for i, name in enumerate(("to_rgb1", "to_rgbs.0", "to_rgbs.1")):
        out[f"{name}.conv.weight"] = oihw(params[f"rgb{i}"]["kernel"])[None]
        out[f"{name}.bias"] = params[f"rgb{i}"]["bias"].reshape(1, 3, 1, 1)
        layers[name] = f"rgb{i}"
    for name, target in layers.items():
        style = params[f"layer{target}" if isinstance(target, int) else target]["style"]
        out[f"{name}.conv.modulation.weight"] = style["kernel"].T
        out[f"{name}.conv.modulation.bias"] = style["bias"]
    out |= {"convs.0.conv.blur.kernel": blur, "to_rgbs.0.upsample.kernel": blur}
    critic = d["params"]
    names = {"convs.0.0": "fromrgb", "final_conv.0": "b4/conv"}
    for j, block in ((1, "b16"), (2, "b8")):
        names |= {f"convs.{j}.conv1.0": f"{block}/conv0", f"convs.{j}.conv2.1": f"{block}/conv1"}
        names[f"convs.{j}.skip.1"] = f"{block}/skip"
    found = flat(critic)
    tensors = {"d.convs.1.conv2.0.kernel": blur / 4}
    for name, path in names.items():
        tensors[f"d.{name}.weight"] = oihw(found[f"{path}/kernel"])
        if f"{path}/bias" in found:
            head, _, last = name.rpartition(".")
            tensors[f"d.{head}.{int(last) + 1}.bias"] = found[f"{path}/bias"]
    for i, path in enumerate(("b4/fc", "b4/out")):
        kernel = found[f"{path}/kernel"]
        tensors[f"d.final_linear.{i}.weight"] = (kernel if i else chw(kernel)).T
        tensors[f"d.final_linear.{i}.bias"] = found[f"{path}/bias"]
    mean = {"latent_avg": g["averages"]["map"]["w_avg"]}
    return {f"g_ema.{k}": v for k, v in out.items()} | tensors | mean


def tensorflow_tensors(g, d, resnet):
    """Variables of the TensorFlow networks at 16 pixels: class embedding, `Gs` and `D`."""
    params, out = g["params"], {"dlatent_avg": g["averages"]["map"]["w_avg"]}
    dense = {"mapping/LabelEmbed": "map/embed", "mapping/Dense0": "map/fc0", "mapping/Dense1": "map/fc1"}
    convs = {"4x4/Conv": 0, "8x8/Conv0_up": 1, "8x8/Conv1": 2, "16x16/Conv0_up": 3, "16x16/Conv1": 4}
    rgbs = {"16x16/ToRGB": "rgb2"} if resnet else {f"{4 << i}x{4 << i}/ToRGB": f"rgb{i}" for i in range(3)}
    out["synthesis/4x4/Const/const"] = params["layer0"]["const"].transpose(0, 3, 1, 2)
    found = flat(params)
    for name, i in convs.items():
        out[f"synthesis/{name}/noise_strength"] = found[f"layer{i}/noise_strength"]
        out[f"synthesis/noise{i}"] = g["constants"][f"layer{i}"]["noise"][None, None]
    for name, path in {**{k: f"layer{i}" for k, i in convs.items()}, **rgbs}.items():
        out[f"synthesis/{name}/mod_weight"] = found[f"{path}/style/kernel"]
        out[f"synthesis/{name}/mod_bias"] = found[f"{path}/style/bias"]
        dense[f"synthesis/{name}"] = path
    if resnet:
        out |= {f"synthesis/{r}x{r}/Skip/weight": found[f"layer{i}/skip/kernel"] for r, i in ((8, 2), (16, 4))}
    for name, path in dense.items():
        out |= {f"{name}/weight": found[f"{path}/kernel"], f"{name}/bias": found[f"{path}/bias"]}
    critic, tensors = flat(d["params"]), {}
    layers = {"16x16/FromRGB": "fromrgb", "4x4/Conv": "b4/conv", "4x4/Dense0": "b4/fc", "Output": "b4/out"}
    layers |= {"LabelEmbed": "cmap/embed", "Mapping0": "cmap/fc0"}
    for r in (16, 8):
        layers |= {f"{r}x{r}/Conv0": f"b{r}/conv0", f"{r}x{r}/Conv1_down": f"b{r}/conv1", f"{r}x{r}/Skip": f"b{r}/skip"}
    for name, path in layers.items():
        kernel = critic[f"{path}/kernel"]
        tensors[f"D.{name}/weight"] = chw(kernel) if path == "b4/fc" else kernel
        if f"{path}/bias" in critic:
            tensors[f"D.{name}/bias"] = critic[f"{path}/bias"]
    return {f"Gs.{k}": v for k, v in out.items()} | tensors


def written(generator_fields, discriminator_fields, classes=0):
    """Networks at 16 pixels with random variables."""
    labels = {"label": jnp.zeros(4, jnp.int32)} if classes else {}
    g = build_generator(16, **FIELDS, classes=classes, **generator_fields)
    d = build_discriminator(16, **SIZES, classes=classes, **discriminator_fields)
    image = jnp.zeros((4, 16, 16, 3))
    return (g, random_variables(g, jnp.zeros((4, 12)), **labels)), (d, random_variables(d, image, **labels))


def read_back(layout, tensors, g, d, facts=()):
    """Reads what was written; modules and variables must be the same to the bit."""
    networks, plans = bring(layout, Source(tensors, dict(facts)))
    for network, (module, variables) in zip(networks, (g, d), strict=True):
        assert network.module == module
        jax.tree.map(np.testing.assert_array_equal, network.variables, variables)
    gives_back(networks, plans, tensors)


def test_rosinality_both_ways():
    g, d = written({}, {})
    tensors = rosinality_tensors(g[1], d[1])
    read_back(stylegan2_rosinality, tensors, g, d)


def test_a_mean_code_is_found_where_rosinality_has_none():
    g, d = written({}, {})
    tensors = rosinality_tensors(g[1], d[1])
    del tensors["latent_avg"]
    ((network,), _) = bring(stylegan2_rosinality, Source({k: v for k, v in tensors.items() if k[0] == "g"}), False)
    mapping = {"params": network.variables["params"]["map"], "averages": {"w_avg": jnp.zeros(10)}}
    w = Mapping(10, 2, layers=1).apply(mapping, jax.random.normal(jax.random.key(1), (4000, 12)))[:, 0]
    error = network.variables["averages"]["map"]["w_avg"] - w.mean(0)
    assert (np.abs(error) < 5 * w.std(0) / np.sqrt(2500)).all()


@pytest.mark.parametrize("architecture", ["skip", "resnet"])
def test_tensorflow_both_ways(architecture):
    generator = {"architecture": architecture, "style_offset": 1.0, "conv_clamp": 256.0}
    g, d = written(generator, {"cmap_layers": 1, "cmap_lr_mul": 0.1, "group": 8}, classes=3)
    tensors = tensorflow_tensors(g[1], d[1], architecture == "resnet")
    facts = {"Gs.static_kwargs.conv_clamp": 256, "D.static_kwargs.mbstd_group_size": 8}
    read_back(stylegan2_tf, tensors, g, d, facts)


def test_channels_that_follow_no_rule_are_kept():
    widths = (8, 12, 6)
    g = build_generator(16, latent=12, style=10, mapping_layers=2, widths=widths)
    d = build_discriminator(16, widths=widths)
    g_variables, d_variables = random_variables(g, jnp.zeros((4, 12))), random_variables(d, jnp.zeros((4, 16, 16, 3)))
    read_back(stylegan2_rosinality, rosinality_tensors(g_variables, d_variables), (g, g_variables), (d, d_variables))


def test_layouts_do_not_take_each_other_s_files(shared):
    ada_file, genforce_file = (
        dict(np.load(shared / "goldens" / "sefa" / f"{name}.npz")) for name in ("nv_sg2ada_c5_small", "stylegan2_small")
    )
    g, d = written({}, {})
    sources = {
        stylegan2_nvlabs: golden_source(ada_file, "G_ema", "D"),
        stylegan2_genforce: golden_source(genforce_file, "generator_smooth", "discriminator"),
        stylegan2_rosinality: Source(rosinality_tensors(g[1], d[1])),
    }
    for layout in (*sources, stylegan2_tf):
        for owner, source in sources.items():
            assert bool(layout.generator_roots(source)) == (layout is owner)
            assert (layout.discriminator_root(source) is not None) == (layout is owner)
