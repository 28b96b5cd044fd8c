"""L-BFGS with jaxopt's memory of the curvature."""

import functools
import importlib.util
import warnings
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from jaxstyle.errors import InputError
from jaxstyle.solvers.boxed import BoxedLbfgs
from jaxstyle.solvers.cosines import Coefficients


@dataclass(frozen=True)
class Lbfgs(BoxedLbfgs):
    """Limited-memory BFGS (Liu and Nocedal 1989) within [0, 1], with jaxopt's product of the inverse Hessian.

    What surrounds the product is this package's, see `boxed`. `jaxopt.LBFGS` knows no bounds, and `jaxopt.LBFGSB` cuts
    each step where the first pixel meets its bound, which in a picture is soon: after 100 evaluations it stood at a
    loss of 1.40 where this one was at 0.80.

    The first step tried changes pixels by 0.01 (root mean square): the path is that of any multiple of the loss.

    Attributes:
      history: pairs of steps and gradients that are kept.
      line_search: "backtracking" asks for a decrease (Armijo's condition), "zoom" for the strong Wolfe conditions.
        Both begin at the full step.
      max_evaluations: of one line search.

    Raises:
      InputError: jaxopt is not installed.
    """

    def __post_init__(self) -> None:
        if importlib.util.find_spec("jaxopt") is None:
            raise InputError("Lbfgs needs jaxopt, which is not installed; OptaxLbfgs, --optimizer optax-lbfgs, works")

    def _begin(self, gradient: Coefficients) -> Any:
        return _memory().begin(gradient, self.history)

    def _direction(self, memory: Any) -> Coefficients:
        return _memory().direction(memory, self.history)

    def _remember(self, memory: Any, step: Coefficients, gradient: Coefficients) -> Any:
        return _memory().remember(memory, self.history, step, gradient)


@functools.cache
def _memory() -> ModuleType:
    """`jaxopt_memory`, imported when it is needed: jaxopt may be missing."""
    with warnings.catch_warnings():
        # jaxopt announces on import that it is no longer maintained; `docs/design.md` says so to whoever needs to know.
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        from jaxstyle.solvers import jaxopt_memory
    return jaxopt_memory
