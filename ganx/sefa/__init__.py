"""SeFa: closed-form factorisation of latent semantics (Shen & Zhou 2021)."""

from ganx.sefa.directions import Directions, random_directions
from ganx.sefa.edit import edit, move, shifted, traverse
from ganx.sefa.factorize import every_range, factorize, factorize_many
from ganx.sefa.layers import parse_layers
from ganx.sefa.weights import groups

__all__ = [
    "Directions",
    "edit",
    "every_range",
    "factorize",
    "factorize_many",
    "groups",
    "move",
    "parse_layers",
    "random_directions",
    "shifted",
    "traverse",
]
