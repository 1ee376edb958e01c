"""ModularGAN (Zhao et al. 2018): an image translator, or generator, put together from modules at run time.

One encoder, one reconstructor and one transformer an attribute share one feature space, so a *program*, a list of
attribute = value in any order, is something one passes to the trained model.
"""

from ganx.modulargan.program import Program, parse_program, plan
from ganx.modulargan.translator import Composition, Translator, open_translator

__all__ = ["Composition", "Program", "Translator", "open_translator", "parse_program", "plan"]
