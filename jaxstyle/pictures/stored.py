"""A picture in its file: what the header tells, and its samples as they are stored, a band of rows at a time.

Every format's reader gives a `Stored`. So a picture's size is known before anything is decoded, one that is too large
is refused by its header, and none is held more than once at full size.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from jaxstyle.defaults import MEGAPIXELS

MAX_PIXELS = MEGAPIXELS * 1_000_000  # of a file: a small one that unpacks to fill the memory may claim any number
REDUCED_FROM = 32_000_000  # pixels; larger pictures are decoded at a reduced size where the format knows how to
REDUCED_TO = 4  # times the wanted size at least: Lanczos from there differs by some 53 dB from that of all pixels

Model = Literal["grey", "rgb", "cmyk", "lab"]


@dataclass(frozen=True, eq=False)
class Samples:
    """What a decoder gives.

    Attributes:
      rows: (first, last + 1) -> the samples of these rows, (rows, width, channels), as uint8, uint16 or float32. They
        are asked for once each, from top to bottom.
      height, width: of the samples, less than the picture's where it is decoded at a reduced size.
      model: what the channels before alpha are: "grey", "rgb", "cmyk" (1 is ink) or "lab" (float L*, a*, b*).
      white: the value of full scale.
      alpha: whether alpha is the last channel, and whether colours are multiplied by it.
      profile: the ICC profile that colours are in; None for sRGB.
      extent: (height, width) of the picture in samples, whose last row and column it may fill in part only.
    """

    rows: Callable[[int, int], np.ndarray]
    height: int
    width: int
    model: Model
    white: float
    alpha: Literal["straight", "premultiplied"] | None = None
    profile: bytes | None = None
    extent: tuple[float, float] | None = None


@dataclass(frozen=True, eq=False)
class Stored:
    """What a header tells, and the way to the samples.

    Attributes:
      height, width: in pixels, before the picture is turned upright.
      samples: how many times as large as wanted the picture is -> its samples.
      orientation: EXIF's, 1 to 8.
      most: pixels that are read without `large`; fewer where the format's decoder takes more memory for each.
    """

    height: int
    width: int
    samples: Callable[[float], Samples]
    orientation: int = 1
    most: int = MAX_PIXELS

    def reduction(self, times: float, allowed: tuple[int, ...]) -> int:
        """By how much to divide a picture's size on decoding, of the divisors that the format has; 1 for not at all."""
        if self.height * self.width <= REDUCED_FROM:
            return 1
        return max((n for n in allowed if times / n >= REDUCED_TO), default=1)


class Layout(NamedTuple):
    """What the channels of an array are, by their number."""

    model: Model
    alpha: Literal["straight"] | None


LAYOUTS = {
    1: Layout("grey", None),
    2: Layout("grey", "straight"),
    3: Layout("rgb", None),
    4: Layout("rgb", "straight"),
}


def samples_of(array: np.ndarray, *, white: float, profile: bytes | None = None) -> Samples:
    """The samples of a picture that a decoder gave whole: grey or RGB, with or without alpha, (h, w) or (h, w, c)."""
    array = array.reshape(*array.shape[:2], -1)
    layout = LAYOUTS[array.shape[2]]
    return Samples(
        rows=lambda first, last: array[first:last],
        height=array.shape[0],
        width=array.shape[1],
        model=layout.model,
        white=white,
        alpha=layout.alpha,
        profile=profile,
    )
