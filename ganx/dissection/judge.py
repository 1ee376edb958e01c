"""What says whether pictures are good: the Fréchet distance to real ones, through the best network at hand."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import jax

from ganx.data import Source, open_source
from ganx.dissection.artifacts import Features
from ganx.errors import GanxError
from ganx.gan import Gan
from ganx.metrics import weights
from ganx.metrics.collect import collect, source_batches
from ganx.metrics.features import FeatureNet, load_features, user_features
from ganx.metrics.moments import Moments
from ganx.metrics.presets import PRESETS, Preset, to_uint8

PIXELS = "pixels"
_SIDE = 8  # pixels that are left of a picture's side where pixels are what is compared


@dataclasses.dataclass(frozen=True)
class Judge:
    """A distance to real pictures.

    Attributes:
      name: what it is called: "FID", "FD-faces" or "FD-pixels".
      features: images to features, see `Features`.
      real: moments of the real pictures' features.
    """

    name: str
    features: Features
    real: Moments


def judge(gan: Gan, source: str, count: int, net: str = "", say: Callable[[str], None] = lambda line: None) -> Judge:
    """Real pictures seen through a network.

    Args:
      gan: whose pictures are to be judged; decides the resolution.
      source: of real pictures; one that is rendered comes at the GAN's own resolution.
      count: how many real pictures, at most.
      net: "faces", "inception" or "pixels" (means of an 8 x 8 grid, for want of a network); by default the one that
        was made for the data, Inception where its weights are at hand, else pixels.

    Raises:
      GanxError: no such source or network, or pictures of another size.
    """
    real = _real(gan, source)
    name = net or _best(source)
    seen = _pixels() if name == PIXELS else load_features(name)
    how = PRESETS["tf"]
    count = min(count, len(real))
    say(f"{seen.frechet}: looking at {count} real images")
    return Judge(seen.frechet, _features(seen, how), collect(source_batches(real, count, 64), seen, how).moments)


def _real(gan: Gan, source: str) -> Source:
    if not source:
        raise GanxError("nothing is known of this GAN's data; give --real, such as folder:PHOTOS?size=64")
    side = gan.spec.resolution
    if source.startswith("world:") and "size=" not in source:
        source += f"{'&' if '?' in source else '?'}size={side}"
    real = open_source(source)
    if real.spec.shape != gan.spec.shapes[-1]:
        want, have = (" x ".join(map(str, shape)) for shape in (gan.spec.shapes[-1], real.spec.shape))
        raise GanxError(f"real images are {have} and the GAN's {want}; bring them to its size with ?size={side}")
    return real


def _best(source: str) -> str:
    if source.startswith("world:faces"):
        return "faces"
    here = weights.folder() / weights.FILES["inception"].file
    return "inception" if here.is_file() else PIXELS


def _pixels() -> FeatureNet:
    def means(images: jax.Array) -> jax.Array:
        n, h, w, c = images.shape
        if h % _SIDE or w % _SIDE:
            return images.astype("float32").reshape(n, -1)
        blocks = images.astype("float32").reshape(n, _SIDE, h // _SIDE, _SIDE, w // _SIDE, c)
        return blocks.mean((2, 4)).reshape(n, -1) / 127.5 - 1

    return user_features(PIXELS, means)


def _features(net: FeatureNet, how: Preset) -> Features:
    return lambda images: net.apply(net.variables, to_uint8(images), how)[net.layer]
