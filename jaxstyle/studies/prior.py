"""What pixels are before any layer is asked."""

from dataclasses import dataclass

from jaxstyle.errors import InputError
from jaxstyle.losses import excess, periodic_variation, total_variation
from jaxstyle.types import Image, Scalar

BOUNDS = 30.0  # weight of `excess`: L-BFGS leaves pixels free, and what is cut off at the end must change little


@dataclass(frozen=True)
class Prior:
    """What pixels are before any layer is asked: within their range, and smooth. In place of a total variation.

    Part of the objective, hence static: a new value compiles a new program. Equal ones hash equal.

    Attributes:
      variation: weight of the total variation.
      periodic: whether the picture is to tile the plane.
    """

    variation: float
    periodic: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.variation < float("inf"):
            raise InputError(f"tv_weight is {self.variation}; it must be a finite number, zero or larger")

    def __call__(self, image: Image) -> Scalar:
        """The term, for an image (h, w, 3) with any values."""
        smoothness = periodic_variation if self.periodic else total_variation
        return BOUNDS * excess(image) + self.variation * smoothness(image)
