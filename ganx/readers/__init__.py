"""Learned readers of the worlds: attributes, identity and parts of pictures that a network made.

The worlds' own readers go by fixed rules and exact colours; these were trained on pictures that are blurred and noisy
too, so they are fair to generated ones. A segmenter also learns from real pictures with masks. Each comes with its
accuracy on pictures that it never saw.
"""

from ganx.readers.attributes import AttributeReader, attribute_reader
from ganx.readers.keep import named
from ganx.readers.masked import masked_segmenter
from ganx.readers.parts import PartSegmenter, part_segmenter

__all__ = ["AttributeReader", "PartSegmenter", "attribute_reader", "masked_segmenter", "named", "part_segmenter"]
