"""What a solver is: a frozen dataclass with a pair of pure functions, init and step."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

from jaxtyping import Array, Int

from jaxstyle.objective import LossTerms
from jaxstyle.types import Image, Scalar

ValueAndGrad: TypeAlias = Callable[[Image], tuple[tuple[Scalar, LossTerms], Image]]


class Info(NamedTuple):
    """Diagnostics of a step: the terms at the image that it started from, and the evaluations that it took."""

    terms: LossTerms
    evaluations: Int[Array, ""]


@runtime_checkable
class Solver(Protocol):
    """The pair of functions.

    Attributes:
      has_inner_loop: whether a step has a loop in it around the evaluation of the loss.
      usual_steps: that are taken at each scale where no number is given.
    """

    has_inner_loop: bool
    usual_steps: int

    def init(self, value_and_grad: ValueAndGrad, image: Image) -> Any:
        """The state before the first step."""

    def step(self, value_and_grad: ValueAndGrad, image: Image, state: Any) -> tuple[Image, Any, Info]:
        """A better image, the next state, and diagnostics."""
