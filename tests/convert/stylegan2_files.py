"""What the tests of StyleGAN2's layouts share."""

import numpy as np

from ganx.convert import transforms
from ganx.convert.keymap import Source, check, fill, flat
from ganx.convert.layouts import ignored


def bring(layout, source, discriminator=True):
    """Both networks of a source, with nothing left over, and their plans."""
    roots, critic = layout.generator_roots(source), layout.discriminator_root(source)
    plans = [layout.generator(source, roots[0])]
    if discriminator:
        plans.append(layout.discriminator(source, critic))
    check(plans, source.tensors, [name for name in source.tensors if not ignored(layout, name)])
    return [fill(plan, source.tensors) for plan in plans], plans


def gives_back(networks, plans, tensors):
    """Variables and names alone give the file's tensors again, bit for bit."""
    for network, plan in zip(networks, plans, strict=True):
        variables = flat(network.variables)
        for entry in plan.entries:
            tensor = tensors[entry.source]
            back = transforms.backward(entry.transform, np.asarray(variables[entry.target]), tensor.shape)
            np.testing.assert_array_equal(back, tensor, err_msg=entry.source)


def golden_source(file, generator, discriminator):
    roots = {"G/": generator, "D/": discriminator}
    return Source({f"{roots[k[:2]]}.{k[2:]}": v for k, v in file.items() if k[:2] in roots})
