"""Reports: every lens that applies to a GAN, on one page."""

from ganx.report.explain import explain

__all__ = ["explain"]
