"""The convolutional networks of E-GAN (Wang et al. 2019, as in the authors' Theano release): DCGANs without norms in G.

At 32 pixels and below G ends in a transposed convolution, at 64 and 128 in a plain 3 x 3 one. D has batch norms in all
convolutions but the first.
"""

from __future__ import annotations

from ganx.errors import GanxError
from ganx.models.dcgan import Block, DcganDiscriminator, DcganGenerator
from ganx.models.family import Family

# widths in units of the option `width`: of the first map of 4 x 4 pixels and after each doubling
_WIDTHS = {8: (1,), 16: (2, 1), 32: (4, 2, 1), 64: (8, 8, 4, 4, 2), 128: (16, 8, 8, 4, 4, 2)}


def generator(
    resolution: int = 32,
    channels: int = 3,
    width: int = 128,
    latent: int = 100,
    prior: str = "uniform",
    dtype: str = "float32",
) -> DcganGenerator:
    """The paper's generators at 32, 64 and 128 pixels, and smaller ones for trials at 8 and 16."""
    first, *rest = _widths(resolution)
    hidden = "lrelu" if resolution == 128 else "relu"
    blocks = [Block("project", width * first, 4, True, False, hidden)]
    blocks += [Block("up", width * times, 4, True, False, hidden) for times in rest]
    last = ("up", 4) if resolution <= 32 else ("conv", 3)
    blocks.append(Block(last[0], channels, last[1], True, False, "tanh"))
    return DcganGenerator(tuple(blocks), latent, prior, dtype)


def discriminator(resolution: int = 32, width: int = 128, dtype: str = "float32") -> DcganDiscriminator:
    """The paper's discriminators; a layer with a batch norm has no bias."""
    _widths(resolution)
    depth = resolution.bit_length() - 3
    norms = tuple(i > 0 for i in range(depth))
    widths = tuple(width * 2**i for i in range(depth))
    return DcganDiscriminator(widths, tuple(not norm for norm in norms), norms, True, dtype)


def _widths(resolution: int) -> tuple[int, ...]:
    if resolution not in _WIDTHS:
        raise GanxError(f"E-GAN's networks are for 8, 16, 32, 64 and 128 pixels, not {resolution}; add ?size=64")
    return _WIDTHS[resolution]


FAMILY = Family("egan", DcganGenerator, DcganDiscriminator, generator, discriminator)
