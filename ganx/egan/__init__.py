"""E-GAN: generators that are bred (Wang, Xu, Yao & Tao 2019, IEEE TEVC 23(6); arXiv 1803.00657).

A population of generators shares one discriminator. In every generation each parent has a child for each mutation, one
optimiser step on one adversarial objective; children are judged by the quality and the diversity of their samples, and
the fittest become parents.

    config = ganx.egan.add_egan(ganx.training.default_config(), parents=2)
    ganx.training.train(config, "runs/egan")
"""

from ganx.egan.mutations import register
from ganx.egan.options import add_egan, theano

__all__ = ["add_egan", "register", "theano"]
