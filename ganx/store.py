"""A `Gan` on disk, and `ganx.load`.

    DIR/ganx.json        what rebuilds the networks: family, module fields, data, versions
    DIR/generator/       variables (Orbax)
    DIR/discriminator/   variables, if there is one
    DIR/live/            variables of the generator before averaging, if there are any: training goes on from them

A training run's folder opens the same way: its `ganx.json` is of kind "run", and the newest checkpoint's averaged
generator is taken. Nothing is ever executed from a file.
"""

from __future__ import annotations

import dataclasses
import json
import uuid
from typing import Any

import jax
from etils import epath
from orbax.checkpoint import v1 as ocp

from ganx.errors import GanxError, one_line, unknown
from ganx.gan import Gan
from ganx.models import FAMILIES, init_discriminator, init_generator, make_gan, module_fields, module_from_fields

FORMAT = 1
MANIFEST = "ganx.json"
CHECKPOINTS = "checkpoints"  # a run's folder of checkpoints, one a step, each with the same two parts


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What `ganx.json` says. `generator` and `discriminator` are module fields; `kind` is "gan" or "run"."""

    kind: str
    family: str
    data: str
    generator: dict[str, Any]
    discriminator: dict[str, Any] | None = None
    discriminator_family: str = ""
    licence: str = ""
    format: int = FORMAT

    def write(self, directory: epath.PathLike) -> None:
        """Writes the manifest; the folder must exist."""
        (epath.Path(directory) / MANIFEST).write_text(json.dumps(dataclasses.asdict(self), indent=1) + "\n")


def read_manifest(directory: epath.PathLike) -> Manifest:
    """The manifest of a saved GAN or run.

    Raises:
      GanxError: nothing there, not a ganx folder, damaged, of another format version or an unknown family.
    """
    path = epath.Path(directory)
    if not path.exists():
        raise GanxError(f"no GAN at {path}; train one (ganx train) or bring one in (ganx import FILE --out DIR)")
    if path.is_file():
        raise GanxError(f"{path} is a file, not a ganx checkpoint; bring it in with: ganx import {path} --out DIR")
    if not (path / MANIFEST).exists():
        raise GanxError(f"{path} is not a ganx checkpoint: it has no {MANIFEST}; give the folder that holds it")
    try:
        fields = json.loads((path / MANIFEST).read_text())
        version = fields["format"]
    except (ValueError, KeyError, TypeError, UnicodeDecodeError):
        raise GanxError(f"{path / MANIFEST} is damaged; restore it from a copy or import the model again") from None
    if version != FORMAT:
        raise GanxError(f"{path} has checkpoint format {version}, this ganx reads {FORMAT}; use the ganx that wrote it")
    try:
        manifest = Manifest(**fields)
    except TypeError:
        raise GanxError(f"{path / MANIFEST} is damaged; restore it from a copy or import the model again") from None
    if manifest.family not in FAMILIES:
        raise unknown("family", manifest.family, FAMILIES)
    return manifest


def save(
    gan: Gan, directory: epath.PathLike, discriminator: tuple[Any, Any] | None = None, live: Any = None
) -> epath.Path:
    """Writes a `Gan` as a folder that `load` opens.

    Args:
      gan: the generator, its averaged weights where there are any.
      directory: a folder, made if need be.
      discriminator: `(module, variables)`.
      live: variables of the generator as it was being trained, for training to go on from.

    Raises:
      GanxError: the folder cannot be written, or already holds a GAN.
    """
    path = absolute(directory)
    if (path / MANIFEST).exists():
        raise GanxError(f"{path} already holds a GAN; give another folder or delete it first")
    writable_folder(path)
    save_tree(path / "generator", gan.variables)
    fields = None
    if discriminator is not None:
        save_tree(path / "discriminator", discriminator[1])
        fields = module_fields(discriminator[0])
    if live is not None:
        save_tree(path / "live", live)
    Manifest("gan", gan.spec.family, gan.spec.data, module_fields(gan.module), fields).write(path)
    return path


def load(path: epath.PathLike, family: str | None = None) -> Gan:
    """Opens a saved GAN, a training run's newest checkpoint, or a GAN that ships with ganx, by its name.

    Args:
      path: a folder (local, or `gs://…`), or a bundled name.
      family: refuse any other family.
    """
    directory = find(path)
    manifest = read_manifest(directory)
    if family is not None and manifest.family != family:
        raise GanxError(f"{path} holds a {manifest.family}, not a {family}; give a {family} checkpoint")
    module = module_from_fields(manifest.family, "generator", manifest.generator)
    variables = _variables(directory, manifest, "generator", _abstract(module))
    return make_gan(manifest.family, module, variables, manifest.data)


def load_discriminator(path: epath.PathLike) -> tuple[Any, Any]:
    """The discriminator saved beside a GAN: `(module, variables)`; `module.apply(variables, images)` gives logits."""
    directory = find(path)
    manifest = read_manifest(directory)
    if manifest.discriminator is None:
        raise GanxError(f"{path} was saved without a discriminator; use a training run or an import that has one")
    module = module_from_fields(manifest.family, "discriminator", manifest.discriminator)
    gan = module_from_fields(manifest.family, "generator", manifest.generator)
    shape = make_gan(manifest.family, gan, _abstract(gan)).spec.shapes[-1]
    like = jax.eval_shape(lambda key: init_discriminator(module, key, shape), jax.random.key(0))
    return module, _variables(directory, manifest, "discriminator", like)


def load_live(path: epath.PathLike) -> Any:
    """Variables of the generator before averaging, as training left them; None where no single one was saved beside it.

    A run whose state has no generator `g`, such as a population's, is one of those.
    """
    directory = find(path)
    manifest = read_manifest(directory)
    like = _abstract(module_from_fields(manifest.family, "generator", manifest.generator))
    if manifest.kind == "run":
        params, stats = like["params"], {name: tree for name, tree in like.items() if name != "params"}
        net = load_tree(newest(directory), {"g": {"params": params, "stats": stats}}, "state")["g"]
        absent = any(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in jax.tree.leaves(net))
        return None if absent else {"params": net["params"], **net["stats"]}
    return load_tree(directory / "live", like) if (directory / "live").exists() else None


def bundled() -> dict[str, epath.Path]:
    """The GANs that ship with ganx, by name."""
    folder = epath.Path(__file__).parent / "bundled"
    return {p.name: p for p in sorted(folder.iterdir())} if folder.exists() else {}


def find(path: epath.PathLike) -> epath.Path:
    """The folder that a path or a bundled name stands for."""
    name, shipped = str(path), bundled()
    if name in shipped and not epath.Path(name).exists():
        return shipped[name]
    if "/" not in name and not epath.Path(name).exists():
        raise unknown("GAN", name, [*shipped, "or a folder that ganx train or ganx import wrote"])
    return absolute(name)


def absolute(path: epath.PathLike) -> epath.Path:
    """A path that stays the same when the current folder changes; a bucket's address is one already."""
    return epath.Path(path) if "://" in str(path) else epath.Path(path).absolute()


def writable_folder(path: epath.PathLike) -> epath.Path:
    """Makes a folder and proves that files can be written in it, or raises a `GanxError`."""
    folder = epath.Path(path)
    probe = folder / f".write-test-{uuid.uuid4().hex}"  # of its own: the processes of a pod share the folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_text("")
        probe.unlink()
    except OSError as error:
        raise GanxError(f"cannot write to {folder}: {error.strerror or error}; choose another folder") from None
    return folder


def save_tree(path: epath.PathLike, tree: Any) -> None:
    """Writes a pytree of arrays, whole or not at all."""
    try:
        ocp.save(str(path), tree)
    except (OSError, ValueError) as error:
        raise GanxError(
            f"could not save {path}: {one_line(error)}; free some space or choose another folder"
        ) from error


def load_tree(path: epath.PathLike, like: Any, part: str | None = None) -> Any:
    """Reads a pytree of the shapes and dtypes of `like` to the first local device, or raises a `GanxError`.

    `part` names one item of a run's checkpoint, of which `like` may be a part again.
    """
    one = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    like = jax.tree.map(lambda s: jax.ShapeDtypeStruct(s.shape, s.dtype, sharding=one), like)
    try:
        if part:
            partly = ocp.Context()
            partly.pytree.loading.partial_load = True
            with partly:
                return ocp.load_checkpointables(str(path), {part: like})[part]
        return ocp.load(str(path), like)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise GanxError(
            f"{path} cannot be read ({one_line(error)}); the checkpoint is damaged or of another network"
        ) from error


def _abstract(generator: Any) -> Any:
    return jax.eval_shape(lambda key: init_generator(generator, key), jax.random.key(0))


def _variables(directory: epath.Path, manifest: Manifest, part: str, like: Any) -> Any:
    if manifest.kind == "run":
        return load_tree(newest(directory), like, part)
    return load_tree(directory / part, like)


def newest(run: epath.Path) -> epath.Path:
    """A run's newest complete checkpoint: a folder named by its step; unfinished ones have longer names."""
    folder = run / CHECKPOINTS
    steps = [int(p.name) for p in folder.iterdir() if p.name.isdigit()] if folder.exists() else []
    if not steps:
        raise GanxError(f"{run} has no checkpoint yet; let ganx train reach its first one")
    return folder / str(max(steps))
