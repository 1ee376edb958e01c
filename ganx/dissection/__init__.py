"""GAN Dissection: which unit draws what, shown, caused, repaired and painted (Bau et al., ICLR 2019).

found = dissect(gan, "8x8", segmenter)              units against labels
found.rank("tree")                                  best units of a class
samples = Samples(gan, "8x8", segmenter, key, 1000)
ablation_curve(samples, found.rank("tree"))         what goes when they go
optimize_ace(…)                                     which of them cause it
"""

from ganx.dissection.ace import Ace, optimize_ace
from ganx.dissection.artifacts import artifact_scores, repair, sequential
from ganx.dissection.compare import compare
from ganx.dissection.dissect import dissect
from ganx.dissection.effects import ablation_curve, context_effects, effects, single_units
from ganx.dissection.interventions import Edit, ablate, edit, insert
from ganx.dissection.paint import Stroke, paint
from ganx.dissection.pairs import class_constant, find_pairs
from ganx.dissection.result import Dissection
from ganx.dissection.samples import Samples, official_latents

__all__ = [
    "Ace",
    "Dissection",
    "Edit",
    "Samples",
    "Stroke",
    "ablate",
    "ablation_curve",
    "artifact_scores",
    "class_constant",
    "compare",
    "context_effects",
    "dissect",
    "edit",
    "effects",
    "find_pairs",
    "insert",
    "official_latents",
    "optimize_ace",
    "paint",
    "repair",
    "sequential",
    "single_units",
]
