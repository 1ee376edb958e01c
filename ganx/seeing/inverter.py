"""The inverses of a chain's parts, composed: image to features at the cut to code."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, Self

import jax
import jax.numpy as jnp
from etils import epath

from ganx.errors import GanxError
from ganx.models.encoders import ImageInverse, LayerInverse
from ganx.models.initialise import initialise
from ganx.seeing.chain import Chain
from ganx.store import absolute, load_tree, save_tree, writable_folder

NORMED = ("pggan",)
"""Families that begin every layer with pixel norm, so that the lengths of their features do not matter."""
_FILE = "inverter.json"


@dataclasses.dataclass(frozen=True)
class Inverter:
    """E = e_1 ∘ … ∘ e_n ∘ e_f. A pytree whose leaves are the variables.

    Attributes:
      modules: e_1, …, e_n and e_f.
      variables: of each, {"params", "batch_stats"}.
    """

    modules: tuple[Any, ...]
    variables: tuple[Any, ...]

    def features(self, images: jax.Array) -> jax.Array:
        """r_n for images `[n, H, W, C]` in [-1, 1], by e_f."""
        return self.modules[-1].apply(self.variables[-1], images)

    def code(self, features: jax.Array) -> jax.Array:
        """z for r_n, by e_1(… e_n(r_n))."""
        for module, variables in reversed(list(zip(self.modules[:-1], self.variables[:-1], strict=True))):
            features = module.apply(variables, features)
        return features

    def encode(self, images: jax.Array) -> jax.Array:
        """z `[n, *latent]` for images `[n, H, W, C]` in [-1, 1]."""
        return self.code(self.features(images))

    def trunk(self, images: jax.Array) -> list[jax.Array]:
        """What e_f sees on its way, four maps: a feature net trained here, for where no other is at hand."""
        return self.modules[-1].apply(self.variables[-1], images, method="trunk")

    def save(self, folder: epath.PathLike) -> None:
        """Writes a folder that `load` reads."""
        path = writable_folder(absolute(folder))
        fields = [{"kind": type(m).__name__, **_fields(m)} for m in self.modules]
        save_tree(path / "variables", {str(i): tree for i, tree in enumerate(self.variables)})
        (path / _FILE).write_text(json.dumps(fields, indent=1) + "\n")

    @classmethod
    def load(cls, folder: epath.PathLike, chain: Chain) -> Self:
        """Reads what `save` wrote for a generator cut in the same way."""
        path = absolute(folder)
        if not (path / _FILE).exists():
            raise GanxError(f"{path} holds no inverter; ganx invert trains one and leaves it in its --out folder")
        kinds = {"LayerInverse": LayerInverse, "ImageInverse": ImageInverse}
        fields = json.loads((path / _FILE).read_text())
        modules = tuple(kinds[f.pop("kind")](**{k: _tuple(v) for k, v in f.items()}) for f in fields)
        if [m.shape for m in modules] != [*chain.shapes[:-1], chain.shapes[-1]]:
            raise GanxError(f"{path} inverts a generator of other shapes or cuts; train a new one in another folder")
        like = jax.eval_shape(lambda key: init(modules, chain, key), jax.random.key(0))
        trees = load_tree(path / "variables", {str(i): tree for i, tree in enumerate(like)})
        return cls(modules, tuple(trees[str(i)] for i in range(len(modules))))


jax.tree_util.register_dataclass(Inverter, data_fields=["variables"], meta_fields=["modules"])


def build(chain: Chain, key: jax.Array, width: int = 64, hidden: int = 0) -> Inverter:
    """Fresh inverses of a chain's parts; arguments as for `modules_for`."""
    modules = modules_for(chain, width, hidden)
    return Inverter(modules, initialise(lambda key: init(modules, chain, key), key))


def modules_for(chain: Chain, width: int = 64, hidden: int = 0) -> tuple[Any, ...]:
    """e_1, …, e_n and e_f without variables; `width` is that of e_f's first stage, `hidden` that inside the others."""
    normed = chain.gan.spec.family in NORMED
    layered = [LayerInverse(tuple(s), hidden, normed, True, normed and not i) for i, s in enumerate(chain.shapes[:-1])]
    return (*layered, ImageInverse(tuple(chain.shapes[-1]), width))


def default_distance(chain: Chain) -> str:
    """ "cosine" where only directions of features matter to the generator, else "l1"."""
    return "cosine" if chain.gan.spec.family in NORMED else "l1"


def trunk_features(inverter: Inverter) -> Any:
    """`Inverter.trunk` as something that losses take."""
    return jax.tree_util.Partial(Inverter.trunk, inverter)


def init(modules: tuple[Any, ...], chain: Chain, key: jax.Array) -> tuple[Any, ...]:
    """Fresh variables of each; traceable."""
    inputs = [*chain.shapes[1:], chain.gan.spec.shapes[-1]]
    keys = jax.random.split(key, len(modules))
    return tuple(
        module.init(own, jnp.zeros((2, *shape)), train=True)
        for module, own, shape in zip(modules, keys, inputs, strict=True)
    )


def _fields(module: Any) -> dict[str, Any]:
    return {f.name: getattr(module, f.name) for f in dataclasses.fields(module) if f.name not in ("parent", "name")}


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
