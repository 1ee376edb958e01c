"""The report's section for a GAN of unknown training pictures, beside pictures that somebody names."""

import json

import jax
import numpy as np
import pytest
from PIL import Image

from ganx import GanxError
from ganx.models import init_gan
from ganx.report import explain


def test_pictures_of_any_source_are_redrawn_beside_its_own(tmp_path):
    gan = init_gan("dcgan", {"resolution": 8, "width": 4, "latent": 4}, jax.random.key(0))
    (tmp_path / "photos").mkdir()
    for i in range(3):
        pixels = np.random.default_rng(i).integers(0, 256, (12, 10, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{i}.png")
    source = f"folder:{tmp_path / 'photos'}"
    explain(gan, tmp_path / "report", only=["omissions"], source=source)
    found = json.loads((tmp_path / "report" / "report.json").read_text())["sections"]["omissions"]
    # noise is not drawn by anything that small; what it drew itself is found again
    assert found["inversion"]["pixels"] < 0.5 < 0.9 < found["inversion_of_own_samples"]["pixels"]
    with np.load(tmp_path / "report" / "arrays.npz") as arrays:
        assert arrays["omissions/reconstructions"].shape == (3, 8, 8, 3)
    with pytest.raises(GanxError, match="nowhere"):
        explain(gan, tmp_path / "report", only=["omissions"], source=f"folder:{tmp_path / 'nowhere'}")
    with pytest.raises(GanxError, match="applies"):
        explain(gan, tmp_path / "report", only=["omissions"])
