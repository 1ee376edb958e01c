"""Which transforms a pipeline holds, how often each fires and how strong it is."""

from __future__ import annotations

import dataclasses

from ganx.errors import GanxError, unknown


@dataclasses.dataclass(frozen=True)
class Policy:
    """One pipeline. Each transform fires for each image with probability p times its multiplier; 0 leaves it out.

    Defaults of the strengths are those of Karras et al. 2020b, appendix B. "log2" strengths are standard deviations of
    a base-2 logarithm; shifts and the cutout are fractions of the image's size.

    Attributes:
      flip, rotate90, shift: multipliers of mirroring, quarter turns and shifts by whole pixels.
      scale, rotate, stretch, drift: multipliers of zooming, turning, anisotropic zooming and fractional shifts.
      brightness, contrast, luma_flip, hue, saturation: multipliers of the colour transforms.
      filter: multiplier of the image filter, times `bands`, one factor for each of its four bands.
      noise, cutout: multipliers of additive noise and of the square cut out.
      *_max, *_std, cutout_size: strengths.
    """

    flip: float = 0.0
    rotate90: float = 0.0
    shift: float = 0.0
    shift_max: float = 0.125
    scale: float = 0.0
    scale_std: float = 0.2  # log2
    rotate: float = 0.0
    rotate_max: float = 1.0  # of half a turn
    stretch: float = 0.0
    stretch_std: float = 0.2  # log2
    drift: float = 0.0
    drift_std: float = 0.125
    brightness: float = 0.0
    brightness_std: float = 0.2
    contrast: float = 0.0
    contrast_std: float = 0.5  # log2
    luma_flip: float = 0.0
    hue: float = 0.0
    hue_max: float = 1.0  # of half a turn
    saturation: float = 0.0
    saturation_std: float = 1.0  # log2
    filter: float = 0.0
    filter_std: float = 1.0  # log2
    bands: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    noise: float = 0.0
    noise_std: float = 0.1
    cutout: float = 0.0
    cutout_size: float = 0.5

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if min(value if isinstance(value, tuple) else (value,)) < 0:
                raise GanxError(f"augmentation {field.name}={value} is negative; multipliers and strengths start at 0")
        if len(self.bands) != 4:
            raise GanxError(f"augmentation bands={self.bands} must hold four factors, one for each band")

    @property
    def geometric(self) -> bool:
        """Whether any transform moves pixels."""
        moves = (self.flip, self.rotate90, self.shift, self.scale, self.rotate, self.stretch, self.drift)
        return any(moves)

    @property
    def colourful(self) -> bool:
        """Whether any transform changes colours."""
        return any((self.brightness, self.contrast, self.luma_flip, self.hue, self.saturation))


_PARTS = {
    "blit": ("flip", "rotate90", "shift"),
    "geom": ("scale", "rotate", "stretch", "drift"),
    "color": ("brightness", "contrast", "luma_flip", "hue", "saturation"),
    "filter": ("filter",),
    "noise": ("noise",),
    "cutout": ("cutout",),
}
_LETTERS = {"b": "blit", "g": "geom", "c": "color", "f": "filter", "n": "noise"}


def _named() -> dict[str, Policy]:
    groups: dict[str, tuple[str, ...]] = {name: (name,) for name in _PARTS}
    for word in ("bg", "bgc", "bgcf", "bgcfn"):
        groups[word] = tuple(_LETTERS[letter] for letter in word)
    groups["bgcfnc"] = (*groups["bgcfn"], "cutout")
    return {
        name: Policy(**{op: 1.0 for part in parts for op in _PARTS[part]})  # type: ignore[arg-type]
        for name, parts in groups.items()
    }


POLICIES = _named()
"""The authors' presets; "bgc" is their default."""


def get_policy(name: str) -> Policy:
    """The preset called `name`; a `GanxError` that lists them all if there is none."""
    if name not in POLICIES:
        raise unknown("augmentation policy", name, POLICIES)
    return POLICIES[name]
