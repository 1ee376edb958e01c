"""The lenses that need no system of their own."""

from ganx.report.lens import samples, stages, truth, walk

__all__ = ["samples", "stages", "truth", "walk"]
