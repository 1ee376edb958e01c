"""Numbers of the reference implementations: pytorch-fid, StyleGAN2-ADA, torch-fidelity, prdc, clean-fid."""

import json

import numpy as np
import pytest

from ganx.metrics import frechet, kid, kid_full, manifold, moments
from ganx.metrics.presets import prepare, preset
from ganx.metrics.resize import resize

KINDS = {"tf1": "tf", "torch": "torch", "torch_aa": "torch-aa", "clean": "pil-cubic"}


@pytest.fixture(scope="module")
def golden(shared):
    folder = shared / "goldens" / "metrics"
    return json.loads((folder / "metrics.json").read_text()), np.load(folder / "metrics.npz")


@pytest.mark.parametrize(("ddof", "name"), [(1, "fid_pytorchfid_sqrtm"), (0, "fid_stylegan2ada_biased_cov")])
def test_frechet(golden, ddof, name):
    a, b = (moments(golden[1][side], ddof, batch=256) for side in ("real", "fake"))
    assert frechet(a, b).value == pytest.approx(golden[0][name], rel=1e-6)
    assert frechet(a.with_ddof(1), b.with_ddof(1)).value == pytest.approx(golden[0]["fid_pytorchfid_sqrtm"], rel=1e-6)


def test_kid_of_given_subsets_and_of_all_pairs(golden):
    real, fake = golden[1]["real"], golden[1]["fake"]
    assert kid_full(real, fake, block=500) == pytest.approx(golden[0]["kid_full_unbiased"], abs=1e-7)
    indices = golden[1]["kid_idx_real"], golden[1]["kid_idx_fake"]
    want = [naive_kid(real[i], fake[j]) for i, j in zip(*indices, strict=True)]
    np.testing.assert_allclose(kid(real, fake, indices=indices), (np.mean(want), np.std(want)), atol=1e-6)


def naive_kid(x, y):
    x, y = x.astype(np.float64), y.astype(np.float64)
    m, inner = len(x), lambda a, b: (a @ b.T / a.shape[1] + 1) ** 3
    within = sum(inner(a, a).sum() - np.trace(inner(a, a)) for a in (x, y))
    return within / (m * (m - 1)) - 2 * inner(x, y).mean()


def test_precision_recall_density_coverage(golden):
    found = manifold(golden[1]["real"], golden[1]["fake"], k=3, block=500)
    for name, want in golden[0]["prdc_k3"].items():
        assert getattr(found, name) == pytest.approx(want, abs=1e-12), name


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("where", ["up", "down", "sq299"])
def test_resizing(golden, name, where):
    want = golden[1][f"resize_{name}_{where}"]
    size, step = ((299, 299), 7) if where == "sq299" else (want.shape[1:3], 1)
    found = np.asarray(resize(golden[1]["resize_in"], size, KINDS[name]))[:, ::step, ::step]
    found = found.clip(0, 255) if name == "clean" else found
    assert np.abs(found - want).max() < 1e-3
    if where == "sq299":
        how = preset({"tf1": "tf", "torch": "pytorch_fid", "torch_aa": "torchmetrics", "clean": "clean"}[name])
        seen = np.asarray(prepare(golden[1]["resize_in"], how, 299))[:, ::7, ::7]
        np.testing.assert_allclose(seen, want / 127.5 - 1 if how.mapping == "unit" else want / 128 - 1, atol=1e-5)
