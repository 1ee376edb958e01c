"""SeFa: closed-form factorisation of latent semantics (Shen & Zhou 2021)."""

from ganx.sefa.edit import edit, move
from ganx.sefa.factorize import Directions, factorize
from ganx.sefa.layers import parse_layers

__all__ = ["Directions", "edit", "factorize", "move", "parse_layers"]
