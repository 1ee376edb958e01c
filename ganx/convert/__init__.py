"""Public checkpoints in and out again, without their framework and without running anything that they name."""

from ganx.convert.checkpoint import Imported, import_checkpoint, summary_table
from ganx.convert.export import Exported, export_gan
from ganx.convert.read import read_source, read_tensors

__all__ = ["Exported", "Imported", "export_gan", "import_checkpoint", "read_source", "read_tensors", "summary_table"]
