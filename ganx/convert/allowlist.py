"""The names that a checkpoint's pickle may use, and the plain data that stands in for each.

Nothing here is imported from the file's side, and every other name is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ganx.convert import tensors
from ganx.convert.modules import Module, Options, TfNetwork
from ganx.convert.pickles import hashable, put
from ganx.errors import GanxError


def globals_for(load_from_bytes: Callable[[Any], Any]) -> dict[str, Callable[..., Any]]:
    """The allow-list, as `module.name` to a function; `load_from_bytes` reads a container nested in bytes."""
    return {**_FIXED, "torch.storage._load_from_bytes": load_from_bytes}


def storage_dtype(function: Any) -> Any:
    """The dtype of a storage class named in a persistent id."""
    name = getattr(function, "name", "").removeprefix("torch.").removeprefix("storage.")
    if name not in tensors.DTYPES:
        raise GanxError("a storage has no known element type")
    return tensors.DTYPES[name]


def _mapping(items: Any = ()) -> dict:
    found: dict = {}
    put(found, items.items() if isinstance(items, dict) else items)
    return found


def _set(items: Any = ()) -> set:
    return {hashable(item) for item in items}


def _latin1(text: Any, encoding: Any = "latin1") -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise GanxError("refused: '_codecs.encode' with anything but latin-1")
    return text.encode("latin-1")


def _size(items: Any = ()) -> tuple:
    return tuple(items)


def _parameter(tensor: Any, *_: Any) -> Any:
    return tensor


def _forgotten(*_: Any) -> None:
    """Something that a checkpoint carries along and weights do not need, such as the device that they were on."""


def _not_callable(*_: Any) -> Any:
    raise GanxError("pickle calls a storage or array class directly, which no checkpoint does")


_FIXED: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": _mapping,
    "torch._utils._rebuild_tensor": tensors.rebuild_tensor,
    "torch._utils._rebuild_tensor_v2": tensors.rebuild_tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch.Size": _size,
    "numpy.dtype": tensors.NumpyDtype,
    "numpy.ndarray": _not_callable,
    "_codecs.encode": _latin1,
    "builtins.set": _set,
    "__builtin__.set": _set,
    "argparse.Namespace": Options,
    "torch.device": _forgotten,
    "torch_utils.persistence._reconstruct_persistent_obj": Module,
    "dnnlib.EasyDict": _mapping,
    "dnnlib.util.EasyDict": _mapping,
    **{f"{module}.Network": TfNetwork for module in ("dnnlib.tflib.network", "tfutil", "network")},
    **{f"numpy.{core}.numeric._frombuffer": tensors.numpy_frombuffer for core in ("core", "_core")},
    **{f"numpy.{core}.multiarray.scalar": tensors.numpy_scalar for core in ("core", "_core")},
    **{f"numpy.{core}.multiarray._reconstruct": tensors.NumpyArray for core in ("core", "_core")},
    **{f"torch.{prefix}{name}": _not_callable for name in tensors.DTYPES for prefix in ("", "storage.")},
}
