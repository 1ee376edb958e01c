"""What the layouts of StyleGAN2 share: from a key map and the shapes in it to the architecture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ganx.convert import transforms
from ganx.convert.keymap import Entry, Plan, Source, Tensors, join, plain_number
from ganx.errors import GanxError
from ganx.models import stylegan2, stylegan2_discriminator

Shapes = Mapping[str, tuple[int, ...]]
# Of one kind of layer: the end of a tensor's name -> (the end of the variable's path, transform)
Ends = Mapping[str, tuple[str, str]]

_FILTER = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 64


def layer(prefix: str, target: str, ends: Ends) -> list[Entry]:
    """The entries of one layer: `prefix` + an end of `ends` becomes `params/target/…`."""
    return [Entry(prefix + end, f"params/{target}/{path}", how) for end, (path, how) in ends.items()]


def generator_plan(source: Source, entries: Sequence[Entry], **fields: Any) -> Plan:
    """The plan of a generator whose key map is known: sizes from shapes, `fields` from the layout.

    Raises:
      GanxError: the map lacks a layer that every StyleGAN2 has, or describes another network.
    """
    shapes = _shapes(entries, source.tensors)
    layers = _count(shapes, "params/layer{}/kernel")
    if layers < 3 or layers % 2 == 0:
        raise GanxError(f"a StyleGAN2 generator has an odd number of layers from 3 up; this one has {layers}")
    resolution = 4 * 2 ** ((layers - 1) // 2)
    depth = _count(shapes, "params/map/fc{}/kernel")
    if depth < 1:
        raise GanxError("a StyleGAN2 generator has a mapping network; this file holds none")
    style = _shape(shapes, "params/layer0/style/kernel")[0]
    embed = shapes.get("params/map/embed/kernel", (0, 0))
    first = _shape(shapes, "params/map/fc0/kernel")
    joint = bool(embed[0]) and "params/map/embed/bias" not in {entry.target for entry in entries}
    module = stylegan2.generator(
        resolution,
        channels=_colours(_shape(shapes, f"params/rgb{(layers - 1) // 2}/kernel")[-1]),
        latent=first[0] - embed[1],
        style=style,
        mapping_layers=depth,
        mapping_width=first[1] if depth > 1 and first[1] != style else 0,
        classes=embed[0],
        embedding="joint" if joint else "separate",
        embed_width=embed[1] if not joint and embed[1] != style else 0,
        **_channels([_shape(shapes, f"params/layer{i}/kernel")[-1] for i in range(0, layers, 2)], resolution),
        **fields,
    )
    return Plan(module, jax.ShapeDtypeStruct((1, module.latent), jnp.float32), entries)


def discriminator_plan(source: Source, entries: Sequence[Entry], resolution: int, **fields: Any) -> Plan:
    """The plan of a discriminator whose key map is known; arguments and errors as for `generator_plan`."""
    shapes = _shapes(entries, source.tensors)
    sides = [resolution >> k for k in range(resolution.bit_length() - 3)]
    head, out = _shape(shapes, "params/b4/conv/kernel"), _shape(shapes, "params/b4/out/kernel")
    embed = shapes.get("params/cmap/embed/kernel")
    conditioning = {"classes": out[1] if out[1] > 1 else 0, "conditioning": "pick"}
    if embed is not None:
        conditioning = {
            "classes": embed[0],
            "cmap": out[1] if out[1] != head[-1] else 0,
            "cmap_layers": _count(shapes, "params/cmap/fc{}/kernel"),
        }
    elif not conditioning["classes"]:
        conditioning = {}
    widths = [head[-1], *(_shape(shapes, f"params/b{r}/conv0/kernel")[-1] for r in reversed(sides))]
    module = stylegan2_discriminator.discriminator(
        resolution,
        group_channels=head[2] - head[3],
        **conditioning,
        **_channels(widths, resolution),
        **fields,
    )
    colours = _colours(_shape(shapes, "params/fromrgb/kernel")[2])
    return Plan(module, jax.ShapeDtypeStruct((4, resolution, resolution, colours), jnp.float32), entries)


def roots(source: Source, ending: str) -> list[str]:
    """The prefixes under which a tensor `ending` lies, moving averages first; "" for the top."""
    found = [name.removesuffix(ending).removesuffix(".") for name in source.tensors if _ends(name, ending)]
    return sorted(found, key=lambda root: not any(word in root.rpartition(".")[2] for word in ("ema", "smooth", "Gs")))


def sides_of(source: Source, name: str, first: str = "") -> list[int]:
    """4, 8, 16, … for as long as there is a tensor of that name, with the number for `{0}`; at 4, of the name `first`
    if given."""
    found, side = [], 4
    while (first if first and side == 4 else name.format(side)) in source.tensors:
        found.append(side)
        side *= 2
    return found


def numbers_of(source: Source, name: str) -> range:
    """0, 1, 2, … for as long as there is a tensor of that name, with the number for `{}`."""
    count = 0
    while name.format(count) in source.tensors:
        count += 1
    return range(count)


def number(source: Source, root: str, name: str, default: float) -> float:
    """A number that stands beside the tensors, `default` where it does not or is none; errors as for `plain_number`."""
    value = source.facts.get(join(root, name))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return default
    return plain_number(value, name)


def group_size(source: Source, root: str, name: str) -> int:
    """Samples in a minibatch-stddev group: 4 where nothing is said, 0 (the whole batch) where it says None."""
    if source.facts.get(join(root, name), 4) is None:
        return 0
    return int(plain_number(number(source, root, name, 4), name, 0))


def check_activations(source: Source, root: str, names: Iterable[str]) -> None:
    """Refuses networks whose facts name another activation than the leaky ReLU."""
    for name in names:
        value = source.facts.get(join(root, name), "lrelu")
        if value != "lrelu":
            raise GanxError(f"its layers use the activation {value!r}; ganx's StyleGAN2 has leaky ReLUs")


def check_filters(source: Source, root: str, ending: str) -> None:
    """Refuses networks that resample through another filter than [1, 3, 3, 1], whatever its scale."""
    for name in source.under(root):
        if not name.endswith(ending):
            continue
        taps = np.squeeze(source.tensors[name]).astype(np.float64)
        if taps.shape != (4, 4) or not np.allclose(taps / taps.sum(), _FILTER, atol=1e-4):
            raise GanxError(f"{name} is another filter than [1, 3, 3, 1], the one that ganx's StyleGAN2 resamples with")


def _ends(name: str, ending: str) -> bool:
    return name == ending or name.endswith(f".{ending}")


def _shapes(entries: Sequence[Entry], tensors: Tensors) -> dict[str, tuple[int, ...]]:
    """The shapes of the kernels that a map makes; tensors of a shape that cannot be are left for `fill` to refuse."""
    found = {}
    for entry in entries:
        if entry.source in tensors and entry.target.endswith("/kernel"):
            probe = np.broadcast_to(np.zeros((), np.uint8), tensors[entry.source].shape)
            try:
                found[entry.target] = transforms.forward(entry.transform, probe, ()).shape
            except (ValueError, IndexError):
                raise GanxError(f"tensor {entry.source!r} has shape {list(probe.shape)}, no StyleGAN2's") from None
    return found


def _shape(shapes: Shapes, target: str) -> tuple[int, ...]:
    if target not in shapes:
        raise GanxError(f"no tensor of the file becomes {target}, which every StyleGAN2 has")
    return shapes[target]


def _count(shapes: Shapes, target: str) -> int:
    count = 0
    while target.format(count) in shapes:
        count += 1
    return count


def _colours(channels: int) -> int:
    if channels not in (1, 3):
        raise GanxError(f"its images have {channels} channels; ganx draws 1 or 3")
    return channels


def _channels(widths: Sequence[int], resolution: int) -> dict[str, Any]:
    """The rule min(base / r, max) that gives the channels, from 4 pixels up, or else the channels themselves."""
    base, limit = widths[-1] * resolution, max(widths)
    if all(min(base // (4 << k), limit) == width for k, width in enumerate(widths)):
        return {"channel_base": base, "channel_max": limit}
    return {"widths": tuple(widths)}
