"""Adding or upgrading modules of a trained GAN: a configuration that trains them and freezes all else."""

from __future__ import annotations

from typing import Any

from ml_collections import ConfigDict

from ganx.errors import GanxError
from ganx.models import module_fields
from ganx.models.modular import ENCODER, PREFIX, RECONSTRUCTOR
from ganx.modulargan.config import modular_config
from ganx.store import find, load, load_discriminator, read_manifest

_SET_ELSEWHERE = ("attributes", "resolution", "channels", "classes", "dtype")


def extension(
    path: Any, attributes: str, source: str | None = None, steps: int = 10_000, batch: int = 16
) -> ConfigDict:
    """The configuration that trains modules for `attributes` between the frozen parts of the GAN at `path`.

    Args:
      attributes: comma-separated; new ones are added, known ones start from their old weights. "encoder" and
        "reconstructor" name those parts, each trained against all modules as they are.
      source: images that have these attributes; old labels are not needed. By default the GAN's own source.

    Raises:
      GanxError: no attributes, a GAN of another family, or one that generates: its modules are trained together.
    """
    names = [name.strip() for name in attributes.split(",") if name.strip()]
    if not names:
        raise GanxError("which modules? name them with --attributes hair,smile")
    gan = load(path, "modular")
    module: Any = gan.module
    if module.classes:
        raise GanxError("modules of a GAN that generates are trained together; train it anew with more attributes")
    config = modular_config()
    config.data.source = source or gan.spec.data
    known = [name for name, _ in module.attributes]
    parts = [name if name in (ENCODER, RECONSTRUCTOR) else PREFIX + name for name in names]
    new = [part.removeprefix(PREFIX) for part in parts if part.startswith(PREFIX)]
    config.modulargan.attributes = ",".join(dict.fromkeys([*known, *new]))
    config.modulargan.train = ",".join(parts)
    config.init, config.steps, config.batch = str(find(path)), steps, batch
    with config.unlocked():
        config.model.generator = _options(module_fields(module))
        if read_manifest(find(path)).discriminator is not None:
            config.model.discriminator = _options(module_fields(load_discriminator(path)[0]))
    return config


def _options(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in _SET_ELSEWHERE}
