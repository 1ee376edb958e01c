"""IGAN: filters that own visual concepts (Li et al., AAAI 2022, doi 10.1609/aaai.v36i2.20015).

The authors published no code. Docstrings say where each thing comes from: "paper" with a section or an equation is
what the paper states, "ours" is a choice or a derivation made where the paper is silent.

    cut → filters → partition → energy, weights, langevin, guidance     what fine-tuning is made of
          rules, state, smooth, update → method, config                 fine-tuning itself (`ganx train`)
          edits, swaps, files, matched → show                           what a user does with the result
          truth, pairs → evaluate                                       what says whether it worked
          similarity, locality, effects, controls, monitors             the measures that it takes
"""

from ganx.igan.cut import Cut, choose_cut
from ganx.igan.files import Concepts, open_concepts, save_concepts
from ganx.igan.swaps import Swapped, swap_parts

__all__ = ["Concepts", "Cut", "Swapped", "choose_cut", "open_concepts", "save_concepts", "swap_parts"]
