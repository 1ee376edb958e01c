"""VGG-16, LPIPS and ResNets: PyTorch's numbers from PyTorch's tensors, on random weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganx import GanxError
from ganx.convert.keymap import Source
from ganx.convert.resnet_torch import resnet
from ganx.convert.vgg_torch import _rows_in_hwc, lpips, vgg16
from ganx.models.lpips import _unit
from ganx.models.vgg import STAGES, TAPS

WIDTHS = [width for stage in STAGES for width in stage]
PLACES = [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]


def run(module, variables, *images):
    with jax.default_matmul_precision("highest"):
        return jax.jit(module.apply)(variables, *images)


def close(found, want):
    assert found.shape == want.shape
    assert np.abs(found - want).max() < 1e-5 * np.abs(want).max()


@pytest.fixture(scope="module")
def vgg_tensors():
    random, tensors, entering = np.random.default_rng(0), {}, 3
    for place, width in zip(PLACES, WIDTHS, strict=True):
        scale = np.sqrt(2 / (9 * entering))
        tensors[f"features.{place}.weight"] = random.normal(0, scale, (width, entering, 3, 3)).astype(np.float32)
        tensors[f"features.{place}.bias"] = random.normal(0, 0.1, width).astype(np.float32)
        entering = width
    return tensors


@pytest.fixture(scope="module")
def heads():
    random = np.random.default_rng(1)
    return {
        f"lin{i}.model.1.weight": random.uniform(0, 1, (1, stage[-1], 1, 1)).astype(np.float32)
        for i, stage in enumerate(STAGES)
    }


def torch_taps(torch, tensors, x):
    """Activations by name of VGG-16's convolutions, with PyTorch's own functions."""
    f, found, places = torch.nn.functional, {}, iter(PLACES)
    for tap, stage in zip(TAPS, STAGES, strict=True):
        x = f.max_pool2d(x, 2) if found else x
        for _ in stage:
            place = next(places)
            weight, bias = (torch.tensor(tensors[f"features.{place}.{name}"]) for name in ("weight", "bias"))
            x = f.relu(f.conv2d(x, weight, bias, padding=1))
        found[tap] = x
    return found


def test_vgg_activations_and_lpips_equal_torch(vgg_tensors, heads):
    torch = pytest.importorskip("torch")
    a, b = np.random.default_rng(2).uniform(-1, 1, (2, 1, 16, 16, 3)).astype(np.float32)
    module, variables = lpips(Source(vgg_tensors), Source(heads))
    shift, scale = (torch.tensor(v)[:, None, None] for v in ((-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)))
    with torch.no_grad():
        sides = [torch_taps(torch, vgg_tensors, (torch.tensor(x).permute(0, 3, 1, 2) - shift) / scale) for x in (a, b)]
        want = torch.zeros(1)
        for i, tap in enumerate(TAPS):
            x, y = (side[tap] / (side[tap].square().sum(1, keepdim=True).sqrt() + 1e-10) for side in sides)
            want += ((x - y) ** 2 * torch.tensor(heads[f"lin{i}.model.1.weight"])).sum(1).mean((1, 2))
    close(np.asarray(run(module, variables, a, b)), want.numpy())
    np.testing.assert_array_equal(run(module, variables, a, a), 0)


def test_lpips_has_a_finite_gradient_where_all_channels_are_zero():
    slopes = [jax.grad(lambda x, s=smooth: _unit(x, s).sum())(jnp.zeros((1, 2, 2, 4))) for smooth in (True, False)]
    assert np.isfinite(slopes[0]).all()
    assert np.isnan(slopes[1]).any()  # the authors' form, kept for evaluation
    x = jnp.asarray(np.random.default_rng(4).normal(size=(1, 2, 2, 4)), jnp.float32)
    np.testing.assert_allclose(_unit(x, True), _unit(x, False), atol=1e-6)


def test_the_first_dense_layer_reads_a_map_in_our_order():
    theirs, image = np.random.default_rng(5).normal(size=(98, 3)), np.random.default_rng(6).normal(size=(2, 7, 7))
    np.testing.assert_allclose(image.transpose(1, 2, 0).ravel() @ _rows_in_hwc(theirs), image.ravel() @ theirs)


def test_files_that_do_not_fit_are_refused(vgg_tensors, heads):
    with pytest.raises(GanxError, match=r"missing: classifier\.0\.weight"):
        vgg16(Source(vgg_tensors))
    with pytest.raises(GanxError, match=r"no VGG-16: there is no tensor 'features\.0\.weight'"):
        vgg16(Source(heads))
    with pytest.raises(GanxError, match="negative weights"):
        lpips(Source(vgg_tensors), Source({**heads, "lin2.model.1.weight": -heads["lin2.model.1.weight"]}))
    with pytest.raises(GanxError, match=r"features\.5\.weight has shape \[1\]"):
        vgg16(Source({**vgg_tensors, "features.5.weight": np.zeros(1)}), head=False)


def resnet_tensors(depth, classes):
    """Random tensors under the public names."""
    random, tensors = np.random.default_rng(depth), {}

    def conv_norm(conv, norm, out, entering, size):
        tensors[f"{conv}.weight"] = random.normal(0, np.sqrt(2 / (entering * size**2)), (out, entering, size, size))
        tensors[f"{norm}.weight"], tensors[f"{norm}.bias"] = random.uniform(0.5, 1, out), random.normal(0, 0.1, out)
        tensors[f"{norm}.running_mean"] = random.normal(0, 0.1, out)
        tensors[f"{norm}.running_var"] = random.uniform(0.5, 1.5, out)
        tensors[f"{norm}.num_batches_tracked"] = np.array(5)

    conv_norm("conv1", "bn1", 64, 3, 7)
    entering, grow = 64, 4 if depth == 50 else 1
    for i, count in enumerate({18: (2, 2, 2, 2), 50: (3, 4, 6, 3)}[depth]):
        for j in range(count):
            name, width = f"layer{i + 1}.{j}", 64 * 2**i
            sizes = [(width, 1), (width, 3), (4 * width, 1)] if depth == 50 else [(width, 3), (width, 3)]
            inner = entering
            for k, (out, size) in enumerate(sizes):
                conv_norm(f"{name}.conv{k + 1}", f"{name}.bn{k + 1}", out, inner, size)
                inner = out
            if entering != width * grow:
                conv_norm(f"{name}.downsample.0", f"{name}.downsample.1", width * grow, entering, 1)
            entering = width * grow
    tensors["fc.weight"], tensors["fc.bias"] = random.normal(0, 0.05, (classes, entering)), random.normal(0, 1, classes)
    return {name: np.asarray(t, np.float32) for name, t in tensors.items()}


def torch_resnet(torch, t, x, depth):
    """The same network with PyTorch's own functions."""
    f, t = torch.nn.functional, {name: torch.tensor(value) for name, value in t.items()}

    def conv_norm(x, conv, norm, stride, padding):
        x = f.conv2d(x, t[f"{conv}.weight"], stride=stride, padding=padding)
        stats = (t[f"{norm}.running_mean"], t[f"{norm}.running_var"])
        return f.batch_norm(x, *stats, t[f"{norm}.weight"], t[f"{norm}.bias"], eps=1e-5)

    x = f.max_pool2d(f.relu(conv_norm(x, "conv1", "bn1", 2, 3)), 3, 2, 1)
    for i in range(4):
        for j in range({18: (2, 2, 2, 2), 50: (3, 4, 6, 3)}[depth][i]):
            name, stride, y = f"layer{i + 1}.{j}", 2 if i and not j else 1, x
            plan = [(1, 0), (stride, 1), (1, 0)] if depth == 50 else [(stride, 1), (1, 1)]
            for k, (step, padding) in enumerate(plan):
                y = conv_norm(y, f"{name}.conv{k + 1}", f"{name}.bn{k + 1}", step, padding)
                y = f.relu(y) if k < len(plan) - 1 else y
            if f"{name}.downsample.0.weight" in t:
                x = conv_norm(x, f"{name}.downsample.0", f"{name}.downsample.1", stride, 0)
            x = f.relu(x + y)
    features = x.mean((2, 3))
    return features, features @ t["fc.weight"].T + t["fc.bias"]


@pytest.mark.parametrize("depth", [18, 50])
def test_resnets_equal_torch(depth):
    torch = pytest.importorskip("torch")
    tensors = resnet_tensors(depth, 10)
    module, variables = resnet(Source({f"module.{name}": t for name, t in tensors.items()}))
    assert (module.depth, module.classes) == (depth, 10)
    x = np.random.default_rng(3).normal(size=(2, 40, 33, 3)).astype(np.float32)
    with torch.no_grad():
        features, logits = torch_resnet(torch, tensors, torch.tensor(x).permute(0, 3, 1, 2), depth)
    found = run(module, variables, x)
    close(np.asarray(found["features"]), features.numpy())
    close(np.asarray(found["logits"]), logits.numpy())


def test_a_resnet_that_lacks_a_tensor_names_it():
    tensors = resnet_tensors(18, 3)
    del tensors["layer3.0.downsample.1.running_var"]
    with pytest.raises(GanxError, match=r"missing: layer3\.0\.downsample\.1\.running_var"):
        resnet(Source(tensors))
