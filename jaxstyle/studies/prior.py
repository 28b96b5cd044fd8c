"""What pixels are before any layer is asked."""

from dataclasses import dataclass

from jaxstyle.errors import InputError
from jaxstyle.losses import periodic_variation, total_variation
from jaxstyle.types import Image, Scalar


@dataclass(frozen=True)
class Prior:
    """What pixels are before any layer is asked: smooth. In place of a total variation.

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
        """The term, for an image (h, w, 3)."""
        smoothness = periodic_variation if self.periodic else total_variation
        return self.variation * smoothness(image)
