"""ganx: train, take apart, edit and audit GANs in JAX."""

from ganx.errors import GanxError
from ganx.gan import Activation, Gan, Spec
from ganx.store import load, save

__version__ = "0.1.0"
__all__ = ["Activation", "Gan", "GanxError", "Spec", "load", "save"]
