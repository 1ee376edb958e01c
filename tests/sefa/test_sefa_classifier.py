"""A classifier under torchvision's names reads pictures."""

import jax
import numpy as np
import pytest

from ganx import GanxError, cli
from ganx.metrics.features import IMAGENET_DEVIATION, IMAGENET_MEAN
from ganx.metrics.resize import resize
from ganx.models import init_gan
from ganx.sefa.classifier import classifier_predictor
from ganx.sefa.predictors import find_predictor
from ganx.store import save

SIZE = 32


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A ResNet-18 that passes its three colours through: what it should say can be worked out by hand."""
    tensors = {}

    def conv_norm(conv, norm, weight):
        out = len(weight)
        tensors[f"{conv}.weight"] = weight
        tensors[f"{norm}.weight"] = np.full(out, np.sqrt(1 + 1e-5))
        tensors[f"{norm}.bias"] = tensors[f"{norm}.running_mean"] = np.zeros(out)
        tensors[f"{norm}.running_var"] = np.ones(out)

    stem, entering = np.zeros((64, 3, 7, 7)), 64
    stem[range(3), range(3), 3, 3], stem[range(3, 6), range(3), 3, 3] = 1, -1  # both signs, for what ReLU takes away
    conv_norm("conv1", "bn1", stem)
    for i, j in np.ndindex(4, 2):
        name, width = f"layer{i + 1}.{j}", 64 * 2**i
        conv_norm(f"{name}.conv1", f"{name}.bn1", np.zeros((width, entering, 3, 3)))
        conv_norm(f"{name}.conv2", f"{name}.bn2", np.zeros((width, width, 3, 3)))
        if entering != width:
            conv_norm(f"{name}.downsample.0", f"{name}.downsample.1", np.eye(width, entering)[:, :, None, None])
        entering = width
    tensors["fc.weight"] = np.zeros((4, 512))
    tensors["fc.weight"][:, :6] = np.random.default_rng(0).normal(size=(4, 6))
    tensors["fc.bias"] = np.array([0.1, -0.2, 0.3, 0.0])
    path = tmp_path_factory.mktemp("resnet") / "attributes.npz"
    np.savez(path, **{name: value.astype(np.float32) for name, value in tensors.items()})
    return path, tensors


def by_hand(images, tensors):
    """Logits: the stem looks at every other pixel, the pool takes the largest of nine, strides leave the first."""
    x = np.asarray(resize((images + 1) / 2, (SIZE, SIZE), "torch-aa"))
    x = ((x - IMAGENET_MEAN) / IMAGENET_DEVIATION)[:, ::2, ::2]
    both = np.maximum(np.concatenate([x, -x], -1), 0)
    return both[:, :2, :2].max((1, 2)) @ tensors["fc.weight"][:, :6].T + tensors["fc.bias"]


def test_pictures_are_brought_to_the_network_and_its_outputs_read(saved):
    path, tensors = saved
    images = np.random.default_rng(1).uniform(-1, 1, (3, 16, 16, 3)).astype(np.float32)
    predictor = classifier_predictor(path, ("smile", "age"), "pairs", SIZE)
    assert (predictor.columns, predictor.side) == (("smile", "age"), SIZE)
    logits = by_hand(images, tensors)
    wanted = np.exp(logits[:, 1::2]) / (np.exp(logits[:, ::2]) + np.exp(logits[:, 1::2]))
    np.testing.assert_allclose(jax.jit(predictor.score)(images), wanted, atol=1e-5)


def test_classifiers_that_cannot_be_used_are_refused(saved, tmp_path, capsys):
    path, _ = saved
    gan = init_gan("dcgan", {"resolution": 8, "width": 4, "latent": 6}, jax.random.key(0))
    folder = str(save(gan, tmp_path / "gan"))
    for text, message in (
        (f"resnet:{path}?names=smile,age", "has 4 scores"),
        (f"resnet:{path}?names=a,a,b,c", "name each once"),
        (f"resnet:{path}?output=pairs", "did you mean 'outputs'"),
        (f"resnet:{path}?outputs=sum", "no reading of outputs named 'sum'"),
        (f"resnet:{path}?size=-1", "no side in pixels"),
        (f"resnet:{tmp_path}/none.pt", "no file"),
    ):
        assert cli.main(["rescore", folder, "--predictor", text]) == 2
        assert message in capsys.readouterr().err
    assert find_predictor(gan, f"resnet:{path}?outputs=softmax").columns == tuple(f"output {i}" for i in range(4))
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(GanxError, match="no ResNet"):
        classifier_predictor(tmp_path / "other.npz")
