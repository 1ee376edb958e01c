"""Pixels in: worlds with known truth, real sources behind one string, and the feed of a training run."""

from ganx.data.example import Example, Source, SourceSpec
from ganx.data.feed import Feed, open_feed
from ganx.data.prepare import prepare
from ganx.data.sheet import describe, preview
from ganx.data.source import open_source

__all__ = ["Example", "Feed", "Source", "SourceSpec", "describe", "open_feed", "open_source", "prepare", "preview"]
