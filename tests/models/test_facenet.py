"""FaceNet: PyTorch's embeddings from PyTorch's tensors, on random weights, through the public file's names."""

import re

import jax
import numpy as np
import pytest

from ganx import GanxError
from ganx.convert.facenet_torch import facenet
from ganx.convert.keymap import Source
from ganx.metrics import load_recogniser
from ganx.metrics import weights as weight_files

SCALES = {"repeat_1": 0.17, "repeat_2": 0.10, "repeat_3": 0.20, "block8": 1.0}
COUNTS = {"repeat_1": 5, "repeat_2": 10, "repeat_3": 5}


class Twin:
    """The network written out with PyTorch's functions; it draws its tensors as it goes."""

    def __init__(self, torch):
        self.torch, self.t, self.random = torch, {}, torch.Generator().manual_seed(0)

    def tensor(self, name, shape, low, high):
        self.t[name] = low + (high - low) * self.torch.rand(shape, generator=self.random)
        return self.t[name]

    def norm(self, name, width):
        bounds = {"running_mean": (-0.1, 0.1), "running_var": (0.7, 1.3), "weight": (0.8, 1.2), "bias": (-0.1, 0.1)}
        return {part: self.tensor(f"{name}.{part}", (width,), *pair) for part, pair in bounds.items()}

    def conv(self, name, x, out, kernel=(1, 1), stride=1, padding=(0, 0)):
        f, size = self.torch.nn.functional, x.shape[1] * kernel[0] * kernel[1]
        weight = self.tensor(f"{name}.conv.weight", (out, x.shape[1], *kernel), -((6 / size) ** 0.5), (6 / size) ** 0.5)
        n = self.norm(f"{name}.bn", out)
        x = f.conv2d(x, weight, stride=stride, padding=padding)
        return f.relu(f.batch_norm(x, n["running_mean"], n["running_var"], n["weight"], n["bias"], eps=1e-3))

    def residual(self, name, x, branches, relu=True):
        width = sum(b.shape[1] for b in branches)
        weight = self.tensor(f"{name}.conv2d.weight", (x.shape[1], width, 1, 1), -(width**-0.5), width**-0.5)
        bias = self.tensor(f"{name}.conv2d.bias", (x.shape[1],), -0.1, 0.1)
        y = self.torch.nn.functional.conv2d(self.torch.cat(branches, 1), weight, bias)
        x = x + SCALES[name.partition(".")[0]] * y
        return self.torch.relu(x) if relu else x

    def three(self, name, x):
        c, n = self.conv, f"{name}.branch"
        one = c(f"{n}0", x, 32)
        two = c(f"{n}1.1", c(f"{n}1.0", x, 32), 32, (3, 3), 1, (1, 1))
        far = c(f"{n}2.1", c(f"{n}2.0", x, 32), 32, (3, 3), 1, (1, 1))
        return self.residual(name, x, [one, two, c(f"{n}2.2", far, 32, (3, 3), 1, (1, 1))])

    def two(self, name, x, out, k, relu=True):
        c, n = self.conv, f"{name}.branch"
        long = c(f"{n}1.1", c(f"{n}1.0", x, out), out, (1, k), 1, (0, k // 2))
        return self.residual(name, x, [c(f"{n}0", x, out), c(f"{n}1.2", long, out, (k, 1), 1, (k // 2, 0))], relu)

    def __call__(self, x):
        f, c = self.torch.nn.functional, self.conv
        x = c("conv2d_2a", c("conv2d_1a", x, 32, (3, 3), 2), 32, (3, 3))
        x = f.max_pool2d(c("conv2d_2b", x, 64, (3, 3), 1, (1, 1)), 3, 2)
        x = c("conv2d_4b", c("conv2d_4a", c("conv2d_3b", x, 80), 192, (3, 3)), 256, (3, 3), 2)
        for i in range(COUNTS["repeat_1"]):
            x = self.three(f"repeat_1.{i}", x)
        inner = c("mixed_6a.branch1.1", c("mixed_6a.branch1.0", x, 192), 192, (3, 3), 1, (1, 1))
        inner = c("mixed_6a.branch1.2", inner, 256, (3, 3), 2)
        x = self.torch.cat([c("mixed_6a.branch0", x, 384, (3, 3), 2), inner, f.max_pool2d(x, 3, 2)], 1)
        for i in range(COUNTS["repeat_2"]):
            x = self.two(f"repeat_2.{i}", x, 128, 7)
        n = "mixed_7a.branch"
        zero = c(f"{n}0.1", c(f"{n}0.0", x, 256), 384, (3, 3), 2)
        one = c(f"{n}1.1", c(f"{n}1.0", x, 256), 256, (3, 3), 2)
        far = c(f"{n}2.2", c(f"{n}2.1", c(f"{n}2.0", x, 256), 256, (3, 3), 1, (1, 1)), 256, (3, 3), 2)
        x = self.torch.cat([zero, one, far, f.max_pool2d(x, 3, 2)], 1)
        for i in range(COUNTS["repeat_3"]):
            x = self.two(f"repeat_3.{i}", x, 192, 3)
        x = self.two("block8", x, 192, 3, relu=False)
        x = x.mean((2, 3)) @ self.tensor("last_linear.weight", (512, 1792), -0.05, 0.05).T
        n = self.norm("last_bn", 512)
        x = f.batch_norm(x, n["running_mean"], n["running_var"], n["weight"], n["bias"], eps=1e-3)
        return f.normalize(x, p=2, dim=1)


@pytest.fixture(scope="module")
def twin():
    """Images in [-1, 1], the embeddings that PyTorch gives them, and the tensors under the public file's names."""
    torch = pytest.importorskip("torch")
    made = Twin(torch)
    images = np.random.default_rng(0).uniform(-1, 1, (2, 160, 160, 3)).astype(np.float32)
    with torch.no_grad():
        want = made(torch.tensor(images * (127.5 / 128)).permute(0, 3, 1, 2)).numpy()
    more = {"logits.weight": torch.zeros(9, 512), "logits.bias": torch.zeros(9)}
    return images, want, made.t | more | {"conv2d_1a.bn.num_batches_tracked": torch.tensor(3)}


def test_embeddings_equal_torch(twin, tmp_path):
    torch = pytest.importorskip("torch")
    images, want, tensors = twin
    learned = [t.numel() for name, t in tensors.items() if not re.search("logits|bn.running|tracked", name)]
    assert sum(learned) == 27_910_327 - 8631 * 513  # the published count, without its classifier of 8631 people
    torch.save(tensors, tmp_path / "faces.pt")
    found = np.asarray(jax.jit(load_recogniser(tmp_path / "faces.pt"))(images))
    assert np.abs(found - want).max() < 1e-5 * np.abs(want).max()
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-5)


def test_missing_and_unexpected_tensors_are_named(twin):
    tensors = {name: t.numpy() for name, t in twin[2].items() if name != "repeat_2.3.branch1.1.bn.weight"}
    with pytest.raises(GanxError, match=r"missing: repeat_2\.3\.branch1\.1\.bn\.weight; unexpected: more\.bias"):
        facenet(Source({**tensors, "more.bias": np.zeros(3)}))


def test_a_missing_recogniser_is_named_with_its_hash(tmp_path, monkeypatch):
    monkeypatch.setenv("GANX_WEIGHTS", str(tmp_path))
    with pytest.raises(GanxError) as caught:
        load_recogniser()
    wanted = weight_files.FILES["facenet"]
    for text in (wanted.file, wanted.sha256, str(tmp_path), "downloads nothing"):
        assert text in str(caught.value)
