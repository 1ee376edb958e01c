"""Time and memory of importing a StyleGAN2 in NVIDIA's container, with random weights in its published widths.

    taskset -c 1 python scripts/bench/import_pkl.py                     # 1024 pixels: G_ema, G and D
    taskset -c 1 python scripts/bench/import_pkl.py --resolution 256

The file is put together byte by byte by the writer of the tests; no PyTorch is needed. What is measured is the process
of `ganx import`, from its start to its end: its processor time, and the most memory that it ever held.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
LATENT = 512
MAPPING = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--resolution", type=int, default=1024, help="of the images, a power of two")
    parser.add_argument("--write", metavar="FILE", help="only write the checkpoint")
    args = parser.parse_args()
    if args.write:
        write(Path(args.write), args.resolution)
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "network.pkl"
        # in a process of its own: a new process counts what the one before it held
        subprocess.run([sys.executable, __file__, "--resolution", str(args.resolution), "--write", file], check=True)
        began = time.perf_counter()
        command = [sys.executable, "-m", "ganx.cli", "import", file, "--out", Path(folder) / "gan"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
        _, status, used = os.wait4(child.pid, 0)
        wall = time.perf_counter() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            raise SystemExit(f"ganx import ended with {child.returncode}")
        size, peak = file.stat().st_size / 1e6, used.ru_maxrss * 1024 / 1e6
    print(
        f"{args.resolution} pixels, file of {size:.0f} MB: {used.ru_utime + used.ru_stime:.1f} s of processor time, "
        f"{wall:.1f} s on the clock, at most {peak:.0f} MB of memory ({peak / size:.2f} times the file)"
    )


def write(path: Path, resolution: int) -> None:
    """A `.pkl` with the three networks, class-free."""
    sys.path.insert(0, str(ROOT / "tests" / "convert"))
    import handmade

    networks = {"G": generator(resolution), "D": discriminator(resolution), "G_ema": generator(resolution)}
    handmade.save_nvidia(path, networks, training_set_kwargs=None, augment_pipe=None)


def drawn(*shape: int) -> Any:
    import numpy as np

    return np.random.default_rng(sum(shape)).standard_normal(shape, np.float32)


def channels(resolution: int) -> int:
    return min(32768 // resolution, 512)


def sides(resolution: int) -> list[int]:
    return [2**k for k in range(2, resolution.bit_length())]


def dense(inputs: int, outputs: int) -> bytes:
    import handmade

    return handmade.module("FullyConnectedLayer", {"weight": drawn(outputs, inputs), "bias": drawn(outputs)})


def conv(kind: str, inputs: int, outputs: int, kernel: int, bias: bool = True) -> bytes:
    import handmade

    weights = {"weight": drawn(outputs, inputs, kernel, kernel)} | ({"bias": drawn(outputs)} if bias else {})
    return handmade.module(kind, weights, conv_clamp=256)


def modulated(inputs: int, outputs: int, side: int) -> bytes:
    """A layer of the synthesis network; `side` 0 for one that makes the image."""
    import handmade
    import numpy as np

    kernel = 3 if side else 1
    weights = {"weight": drawn(outputs, inputs, kernel, kernel), "bias": drawn(outputs)}
    noise = {}
    if side:
        weights["noise_strength"] = np.zeros((), np.float32)
        noise["noise_const"] = drawn(side, side)
    kind = "SynthesisLayer" if side else "ToRGBLayer"
    return handmade.module(kind, weights, noise, {"affine": dense(LATENT, inputs)}, conv_clamp=256)


def generator(resolution: int) -> bytes:
    import handmade

    layers = {f"fc{i}": dense(LATENT, LATENT) for i in range(MAPPING)}
    mapping = handmade.module("MappingNetwork", buffers={"w_avg": drawn(LATENT)}, modules=layers)
    blocks, before = {}, channels(4)
    for side in sides(resolution):
        width = channels(side)
        parts = {"conv0": modulated(before, width, side)} if side > 4 else {}
        parts |= {"conv1": modulated(width, width, side), "torgb": modulated(width, 3, 0)}
        const = {"const": drawn(width, 4, 4)} if side == 4 else {}
        blocks[f"b{side}"] = handmade.module("SynthesisBlock", const, modules=parts, architecture="skip")
        before = width
    synthesis = handmade.module("SynthesisNetwork", modules=blocks)
    sizes = {"z_dim": LATENT, "c_dim": 0, "w_dim": LATENT, "img_resolution": resolution, "img_channels": 3}
    return handmade.module("Generator", modules={"synthesis": synthesis, "mapping": mapping}, **sizes)


def discriminator(resolution: int) -> bytes:
    import handmade

    blocks = {}
    for side in sides(resolution)[:0:-1]:
        width, after = channels(side), channels(side // 2)
        first = {"fromrgb": conv("Conv2dLayer", 3, width, 1)} if side == resolution else {}
        parts = {
            "conv0": conv("Conv2dLayer", width, width, 3),
            "conv1": conv("Conv2dLayer", width, after, 3),
            "skip": conv("Conv2dLayer", width, after, 1, bias=False),
        }
        blocks[f"b{side}"] = handmade.module("DiscriminatorBlock", modules=first | parts, architecture="resnet")
    width = channels(4)
    head = {
        "conv": conv("Conv2dLayer", width + 1, width, 3),
        "fc": dense(16 * width, width),
        "out": dense(width, 1),
        "mbstd": handmade.module("MinibatchStdLayer", group_size=4),
    }
    blocks["b4"] = handmade.module("DiscriminatorEpilogue", modules=head)
    sizes = {"c_dim": 0, "img_resolution": resolution, "img_channels": 3}
    return handmade.module("Discriminator", modules=blocks, **sizes)


if __name__ == "__main__":
    main()
