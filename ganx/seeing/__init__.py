"""Seeing what a GAN cannot generate (Bau et al. 2019): what a whole distribution leaves out, what one picture loses.

Statistics: `tally` label maps, `Moments` of the tallies, `fsd` between two of them, `compare` class by class.
Pictures: `Chain` cuts a generator, `fit` trains its layer-wise inverses, `invert` reconstructs, `omissions` compares.
"""

from ganx.seeing.compare import Comparison, compare
from ganx.seeing.frechet import fsd
from ganx.seeing.moments import Moments
from ganx.seeing.tally import tally

__all__ = ["Comparison", "Moments", "compare", "fsd", "tally"]
