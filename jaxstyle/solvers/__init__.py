"""Solvers: what moves the pixels, and keeps them in [0, 1]. Each is a frozen dataclass with a pair of pure functions.

    state = solver.init(value_and_grad, image)
    image, state, info = solver.step(value_and_grad, image, state)

`value_and_grad` maps an image to ((total, terms), gradient). Each library is known to the file of its solver only.
"""

from jaxstyle.solvers.adam import Adam
from jaxstyle.solvers.base import Info, Solver, ValueAndGrad
from jaxstyle.solvers.boxed import BoxedLbfgs, Point
from jaxstyle.solvers.lbfgs import Lbfgs
from jaxstyle.solvers.optax_lbfgs import OptaxLbfgs

__all__ = ["SOLVERS", "Adam", "BoxedLbfgs", "Info", "Lbfgs", "OptaxLbfgs", "Point", "Solver", "ValueAndGrad"]

SOLVERS: dict[str, type[Solver]] = {"adam": Adam, "lbfgs": Lbfgs, "optax-lbfgs": OptaxLbfgs}
