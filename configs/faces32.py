"""What `ganx demo` trains: a small DCGAN on the faces world at 32 pixels, a few minutes on two CPU cores."""

from ganx.demo import demo_config as get_config

__all__ = ["get_config"]
