"""Adaptive discriminator augmentation (Karras et al. 2020b): the pipeline and the controller of its probability.

policy = ada.get_policy("bgc")
images = ada.augment(images, key, p, policy)      # before every call of the discriminator
controller = ada.Controller(batch=64)
state = controller.init()                         # state.p is what `augment` wants
state = controller.observe(state, logits_on_reals)
state = controller.update(state, due=step % controller.every == 0)
"""

from ganx.training.ada.controller import AdaState, Controller
from ganx.training.ada.pipe import augment
from ganx.training.ada.policy import POLICIES, Policy, get_policy

__all__ = ["POLICIES", "AdaState", "Controller", "Policy", "augment", "get_policy"]
