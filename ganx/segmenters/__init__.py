"""Segmenters: the worlds' colour oracle, a U-Net, UPerNet, fixed boxes, and whatever a host function can do."""

from ganx.segmenters.boxes import Boxes
from ganx.segmenters.host import CallbackSegmenter, HostSegmenter
from ganx.segmenters.joined import Joined
from ganx.segmenters.oracle import ColourOracle
from ganx.segmenters.registry import open_segmenter

__all__ = ["Boxes", "CallbackSegmenter", "ColourOracle", "HostSegmenter", "Joined", "open_segmenter"]
