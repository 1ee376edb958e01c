"""IGAN: filters that own visual concepts (Li et al., AAAI 2022, doi 10.1609/aaai.v36i2.20015).

The authors published no code. Docstrings say where each thing comes from: "paper" with a section or an equation is
what the paper states, "ours" is a choice or a derivation made where the paper is silent.

    cut → filters → partition → energy, weights, langevin          what fine-tuning is made of
          edits, swaps                                             what a user does with the result
          similarity, locality, effects, controls, monitors        what says whether it worked
"""
