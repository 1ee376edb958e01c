"""Fifty small pictures with classes, masks and attributes, and every form in which they can be stored."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

N, SIDE = 50, 8
CLASSES = ("cat", "dog", "eel")


@pytest.fixture(scope="session")
def pixels() -> np.ndarray:
    """uint8 [50, 8, 8, 3]."""
    return np.random.default_rng(0).integers(0, 256, (N, SIDE, SIDE, 3), np.uint8)


@pytest.fixture(scope="session")
def labels() -> np.ndarray:
    """int32 [50], sorted, so that class folders keep the order."""
    return np.sort(np.random.default_rng(1).integers(0, 3, N)).astype(np.int32)


@pytest.fixture(scope="session")
def folder(tmp_path_factory, pixels, labels) -> Path:
    """Class folders of PNGs."""
    root = tmp_path_factory.mktemp("pictures")
    for i, (image, label) in enumerate(zip(pixels, labels, strict=True)):
        path = root / CLASSES[label] / f"{i:03d}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(image).save(path)
    return root


@pytest.fixture(scope="session")
def forms(tmp_path_factory, folder, pixels, labels) -> dict[str, str]:
    """Source strings of the same fifty pictures, by kind."""
    from ganx.data import prepare

    root = tmp_path_factory.mktemp("forms")
    with zipfile.ZipFile(root / "plain.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*.png")):
            archive.write(path, "wrapped/" + path.relative_to(folder).as_posix())
    np.savez(root / "set.npz", images=pixels, labels=labels, label_names=np.array(CLASSES))
    prepare(f"folder:{folder}", root / "records", shard_bytes=20 * SIDE * SIDE * 3)
    prepare(f"folder:{folder}", root / "mapped", storage="npy", shard_bytes=20 * SIDE * SIDE * 3)
    prepare(f"folder:{folder}", root / "stylegan.zip")
    return {
        "folder": f"folder:{folder}",
        "zip": f"zip:{root / 'plain.zip'}",
        "npz": f"npz:{root / 'set.npz'}",
        "record": f"record:{root / 'records'}",
        "mapped": f"record:{root / 'mapped'}",
        "stylegan": f"zip:{root / 'stylegan.zip'}",
    }


@pytest.fixture
def masked(tmp_path) -> Path:
    """Four pictures with masks and a table of attributes."""
    rng = np.random.default_rng(2)
    rows = ["file,age,female,city"]
    for i in range(4):
        for name, array in (
            ("images", rng.integers(0, 256, (6, 8, 3), np.uint8)),
            ("masks", rng.integers(0, 3, (6, 8), np.uint8)),
        ):
            (tmp_path / name).mkdir(exist_ok=True)
            Image.fromarray(array).save(tmp_path / name / f"{i}.png")
        rows.append(f"images/{i}.png,{i * 20},{i % 2},{'Oslo' if i else ''}")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    return tmp_path


def stylegan_labels(path: Path) -> list:
    """Labels that a StyleGAN zip holds."""
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("dataset.json"))["labels"]
