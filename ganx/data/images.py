"""Pictures in: decoding any image file to uint8, then crop, resize and channels."""

from __future__ import annotations

import dataclasses
import io
import logging
import struct
import zlib

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ganx.errors import GanxError

log = logging.getLogger("ganx")

FILTERS = ("lanczos", "bilinear", "box")
RESIZES = ("squash", "shorter-side")
CROPS = ("none", "center-square", "center-crop", "center-crop-wide")
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")

_RESAMPLE = {
    "lanczos": Image.Resampling.LANCZOS,
    "bilinear": Image.Resampling.BILINEAR,  # widens with the scale, so it antialiases
    "box": Image.Resampling.BOX,
}
_GREY_BITS = ("I;16", "I;16B", "I;16L", "I;16N", "I")
_ORIENTATION = 0x0112
_said: set[str] = set()


class DecodeError(GanxError):
    """An image that cannot be decoded; the message names its file."""


class SizeError(GanxError):
    """A picture of another size than the source has, or too small for the crop."""


@dataclasses.dataclass(frozen=True)
class Preparation:
    """What is done to every picture after decoding, in this order: crop, resize, channels.

    Attributes:
      size: width and height to bring pictures to; None keeps theirs. A grey 28x28 picture (MNIST) asked to be
        32x32 is padded with zeros rather than enlarged.
      crop: "none"; N, the centred NxN pixels; "center-square" or its other name "center-crop", the largest
        centred square; "center-crop-wide", the largest centred piece of the shape of `size`, resized to it and
        put on a black square as wide as it (StyleGAN2-ADA's dataset tool).
      resize: "squash" changes the aspect if it must; "shorter-side" scales until the shorter side
        fits and keeps the centre.
      filter: "lanczos", "bilinear" or "box", all antialiased.
      channels: 1 or 3; None keeps grey pictures grey.
    """

    size: tuple[int, int] | None = None
    crop: str | int = "none"
    resize: str = "squash"
    filter: str = "lanczos"
    channels: int | None = None

    def __post_init__(self) -> None:
        if self.crop == "center-crop-wide" and self.size is None:
            raise GanxError("crop=center-crop-wide needs a size; add size=WIDTHxHEIGHT, such as size=512x384")

    @property
    def fixes_size(self) -> bool:
        """Whether pictures of different sizes come out alike."""
        return self.size is not None or isinstance(self.crop, int)

    def image(self, pixels: np.ndarray) -> np.ndarray:
        """A picture, uint8 `[h, w, 1 or 3]`, prepared."""
        if self.size == (32, 32) and pixels.shape == (28, 28, 1) and self.crop == "none":
            pixels = np.pad(pixels, ((2, 2), (2, 2), (0, 0)))
        pixels = self._shape(pixels, self.filter, fill=0)
        return _channels(pixels, self.channels)

    def batch(self, pixels: np.ndarray) -> np.ndarray | None:
        """Pictures of one size, uint8 `[n, h, w, 1 or 3]`, prepared at once; None if they need resampling."""
        height, width, channels = pixels.shape[1:]
        if self.crop != "none" or (channels == 3 and self.channels == 1):
            return None
        if self.size == (32, 32) and (height, width, channels) == (28, 28, 1):
            pixels = np.pad(pixels, ((0, 0), (2, 2), (2, 2), (0, 0)))
        elif self.size not in (None, (width, height)):
            return None
        return _channels(pixels, self.channels)

    def mask(self, classes: np.ndarray) -> np.ndarray:
        """A mask, uint8 `[h, w]`, cropped and resized as its picture is, by nearest neighbour; 255 around it."""
        return self._shape(classes[..., None], "nearest", fill=255)[..., 0]

    def _shape(self, pixels: np.ndarray, resample: str, fill: int) -> np.ndarray:
        if self.crop == "center-crop-wide" and self.size:
            wide = _resize(_centre(pixels, *_fit(pixels, self.size)), self.size, resample)
            side = max(self.size)
            canvas = np.full((side, side, pixels.shape[-1]), fill, np.uint8)
            top, left = (side - wide.shape[0]) // 2, (side - wide.shape[1]) // 2
            canvas[top : top + wide.shape[0], left : left + wide.shape[1]] = wide
            return canvas
        if isinstance(self.crop, int):
            if min(pixels.shape[:2]) < self.crop:
                raise SizeError(
                    f"is {_sides(pixels)}, too small for crop={self.crop}; ask for a smaller crop or crop=center-square"
                )
            pixels = _centre(pixels, self.crop, self.crop)
        elif self.crop != "none":
            pixels = _centre(pixels, min(pixels.shape[:2]), min(pixels.shape[:2]))
        if self.size is None:
            return pixels
        if self.resize == "squash":
            return _resize(pixels, self.size, resample)
        return _centre(_resize(pixels, _cover(pixels, self.size), resample), *self.size[::-1])


MEND = "replace the file, or leave such files out with ?on_error=skip in the source"


def decode(data: bytes, name: str) -> np.ndarray:
    """Decodes an encoded picture of any common kind.

    16-bit, palette, CMYK and transparent pictures become 8-bit RGB or grey, transparency over white; each kind is
    said once. The camera's orientation is applied.

    Returns:
      uint8 `[h, w, 1]` for grey pictures, `[h, w, 3]` for all others.

    Raises:
      DecodeError: naming `name`, if the data is no picture, truncated or corrupt.
    """
    try:
        with Image.open(io.BytesIO(data)) as picture:
            return _to_array(_upright(picture), name)
    except _BROKEN as error:
        raise DecodeError(f"cannot decode {name}: {reason(error)}; {MEND}") from None


def decode_mask(data: bytes, name: str) -> np.ndarray:
    """Decodes a mask of class indices, a grey or palette picture: uint8 `[h, w]`."""
    try:
        with Image.open(io.BytesIO(data)) as picture:
            if picture.mode not in ("L", "P", "1", *_GREY_BITS):
                raise GanxError(f"mask {name} is {picture.mode}; masks are grey or palette pictures of class indices")
            indices = np.asarray(picture.convert("L") if picture.mode == "1" else picture)
    except _BROKEN as error:
        raise DecodeError(f"cannot decode {name}: {reason(error)}; {MEND}") from None
    if indices.max(initial=0) > 255:
        raise GanxError(f"mask {name} has class index {indices.max()}; at most 255 are possible")
    return indices.astype(np.uint8)


def measure(data: bytes, name: str) -> tuple[int, int, int]:
    """Height, width and channels (1 or 3) of an encoded picture, from its header."""
    try:
        with Image.open(io.BytesIO(data)) as picture:
            width, height = picture.size
            if picture.format == "JPEG" and picture.getexif().get(_ORIENTATION, 1) >= 5:
                width, height = height, width
            return height, width, 1 if picture.mode in ("1", "L", "LA", *_GREY_BITS) else 3
    except _BROKEN as error:
        raise DecodeError(f"cannot decode {name}: {reason(error)}; {MEND}") from None


def encode_png(pixels: np.ndarray) -> bytes:
    """PNG file of a picture, uint8 `[h, w, 1 or 3]`."""
    out = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(out, "PNG")
    return out.getvalue()


def reason(error: BaseException) -> str:
    """One line of an exception's message; its type where there is none."""
    if isinstance(error, UnidentifiedImageError):  # whose message is about an object in memory
        return "it is no picture of a known kind"
    return " ".join(str(error).split())[:200] or type(error).__name__


_BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)
"""What Pillow raises on bad files, by format."""


def _upright(picture: Image.Image) -> Image.Image:
    if picture.format != "JPEG" or picture.getexif().get(_ORIENTATION, 1) == 1:
        return picture
    return ImageOps.exif_transpose(picture)


def _to_array(picture: Image.Image, name: str) -> np.ndarray:
    mode = picture.mode
    if mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info:
        _say_once("transparent", name)
        pixels = _over_white(picture.convert("RGBA"), grey=mode in ("LA", "La", "L"))
    elif mode == "L" or mode == "RGB":
        pixels = np.asarray(picture)
    elif mode in _GREY_BITS:
        _say_once("16-bit", name)
        deep = np.asarray(picture).astype(np.int64)
        pixels = (np.clip(deep, 0, 65535) // 257).astype(np.uint8)
    elif mode == "1":
        pixels = np.asarray(picture.convert("L"))
    elif mode in ("P", "CMYK", "YCbCr", "LAB", "HSV"):
        _say_once("palette" if mode == "P" else mode, name)
        pixels = np.asarray(picture.convert("RGB"))
    else:
        raise ValueError(f"pictures of kind {mode} are not supported")
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _over_white(picture: Image.Image, grey: bool) -> np.ndarray:
    white = Image.new("RGBA", picture.size, "white")
    return np.asarray(Image.alpha_composite(white, picture).convert("L" if grey else "RGB"))


def _say_once(kind: str, name: str) -> None:
    if kind not in _said:
        _said.add(kind)
        over = ", over white" if kind == "transparent" else ""
        log.warning("%s is a %s picture: such pictures are converted to 8 bits a channel%s", name, kind, over)


def _channels(pixels: np.ndarray, want: int | None) -> np.ndarray:
    have = pixels.shape[-1]
    if want is None or want == have:
        return pixels
    if want == 3:
        return np.repeat(pixels, 3, axis=-1)
    return np.asarray(Image.fromarray(pixels).convert("L"))[..., None]


def _centre(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    return pixels[top : top + height, left : left + width]


def _fit(pixels: np.ndarray, size: tuple[int, int]) -> tuple[int, int]:
    """Height and width of the largest piece of a picture that has the aspect of `size` (width, height)."""
    height, width = pixels.shape[:2]
    scale = min(width / size[0], height / size[1])
    return max(1, round(size[1] * scale)), max(1, round(size[0] * scale))


def _cover(pixels: np.ndarray, size: tuple[int, int]) -> tuple[int, int]:
    """Width and height of a picture scaled until it just covers `size`."""
    height, width = pixels.shape[:2]
    scale = max(size[0] / width, size[1] / height)
    return max(size[0], int(width * scale)), max(size[1], int(height * scale))


def _resize(pixels: np.ndarray, size: tuple[int, int], resample: str) -> np.ndarray:
    if pixels.shape[:2] == size[::-1]:
        return np.ascontiguousarray(pixels)
    grey = pixels.shape[-1] == 1
    picture = Image.fromarray(np.ascontiguousarray(pixels[..., 0] if grey else pixels))
    method = _RESAMPLE.get(resample, Image.Resampling.NEAREST)
    resized = np.asarray(picture.resize(size, method))
    return resized[..., None] if grey else resized


def _sides(pixels: np.ndarray) -> str:
    return f"{pixels.shape[1]}x{pixels.shape[0]}"
