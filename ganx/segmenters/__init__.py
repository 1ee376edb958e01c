"""Segmenters: the worlds' colours, a U-Net, UPerNet, basic colours, boxes, and whatever a host function can do."""

from ganx.segmenters.boxes import Boxes
from ganx.segmenters.colours import BasicColours
from ganx.segmenters.host import CallbackSegmenter, HostSegmenter
from ganx.segmenters.joined import Joined
from ganx.segmenters.oracle import ColourOracle
from ganx.segmenters.registry import open_segmenter

__all__ = ["BasicColours", "Boxes", "CallbackSegmenter", "ColourOracle", "HostSegmenter", "Joined", "open_segmenter"]
