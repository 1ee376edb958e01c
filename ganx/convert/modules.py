"""Stand-ins for the objects that NVIDIA's pickles hold: plain trees of tensors and facts.

`torch_utils.persistence` (stylegan2-ada-pytorch, stylegan3) writes the source code of each network beside its state,
and `dnnlib.tflib` (PGGAN, StyleGAN, StyleGAN2, ADA in TensorFlow) the code that builds the network. Both are dropped.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ganx.convert.pickles import Stub
from ganx.errors import GanxError

_TENSORS = ("_parameters", "_buffers", "_modules")
_OPTIONS = ("_init_args", "_init_kwargs")


class Node(Stub):
    """An object that is read as a tree: `arrays` lead to its tensors, `facts` to what else is worth knowing."""

    def arrays(self) -> Iterator[tuple[str, Any]]:
        """Names, joined on with a dot unless they start with "/", and subtrees."""
        return iter(())

    def facts(self) -> Iterator[tuple[str, Any]]:
        """Names and subtrees that hold no tensors of the network."""
        return iter(())


class Options(Node):
    """`argparse.Namespace`: the command line of the run that wrote the checkpoint."""

    def __init__(self, *_: Any) -> None:
        self._state: dict[Any, Any] = {}

    def set_state(self, state: Any) -> None:
        self._state = _state_dict(state)

    def facts(self) -> Iterator[tuple[str, Any]]:
        return iter(self._state.items())


class Module(Node):
    """`torch_utils.persistence._reconstruct_persistent_obj(meta)`: a torch module by its attributes."""

    def __init__(self, meta: Any) -> None:
        if not isinstance(meta, dict) or not isinstance(meta.get("class_name"), str):
            raise GanxError("a network is described in an unknown way")
        self._class = meta["class_name"]
        self._state = _state_dict(meta.get("state"))  # `module_src`, the source that its own loader runs, is dropped

    def arrays(self) -> Iterator[tuple[str, Any]]:
        for group in _TENSORS:
            yield from _state_dict(self._state.get(group, {})).items()

    def facts(self) -> Iterator[tuple[str, Any]]:
        yield "__class__", self._class
        for key, value in self._state.items():
            if isinstance(key, str) and (key in _OPTIONS or not key.startswith("_")):
                yield key, value


class TfNetwork(Node):
    """`dnnlib.tflib.network.Network`: variables by name, and the networks that it is made of.

    Tensors are named `<name of the variable>` and, of a component, `<component>/<name of the variable>`, which
    themselves contain slashes.
    """

    def __init__(self, *_: Any) -> None:
        self._state: dict[Any, Any] = {}

    def set_state(self, state: Any) -> None:
        self._state = _state_dict(state)
        if "version" not in self._state:
            raise GanxError(
                "it holds networks of the first, Theano, version of progressive GAN, which ganx does not read; "
                "use the TensorFlow version of the same model"
            )

    def arrays(self) -> Iterator[tuple[str, Any]]:
        for pair in self._state.get("variables", ()):
            if not isinstance(pair, tuple | list) or len(pair) != 2 or not isinstance(pair[0], str):
                raise GanxError("a network's variables are listed in an unknown way")
            yield pair[0], pair[1]
        for name, component in self._components():
            yield name, _Component(component)

    def facts(self) -> Iterator[tuple[str, Any]]:
        for key in ("version", "name", "static_kwargs", "build_func_name"):
            if key in self._state:
                yield key, self._state[key]
        yield from self._components()

    def _components(self) -> Iterator[tuple[str, TfNetwork]]:
        for name, component in _state_dict(self._state.get("components", {})).items():
            if not isinstance(component, TfNetwork):
                raise GanxError("a network's components are listed in an unknown way")
            yield name, component


class _Component(Node):
    """The tensors of a component, their names joined on with a slash."""

    def __init__(self, network: TfNetwork) -> None:
        self._network = network

    def arrays(self) -> Iterator[tuple[str, Any]]:
        return ((f"/{name}", child) for name, child in self._network.arrays())


def _state_dict(state: Any) -> dict[Any, Any]:
    if not isinstance(state, dict):
        raise GanxError("an object is described in an unknown way")
    return state
