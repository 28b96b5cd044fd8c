"""A transfer small enough for every test of the engine, and how two results are compared."""

import numpy as np

import jaxstyle
from jaxstyle.objective import Objective, Weights
from jaxstyle.solvers import Adam, Lbfgs, OptaxLbfgs
from tiny import network, picture

NET = network()
# Five layers, as usual, of the first two convolutions: to transfers it is one how deep a loss is, and this one compiles
# in half the time.
OBJECTIVE = Objective(("relu2_1",), ("conv1_1", "relu1_1", "pool1", "conv2_1", "relu2_1"))
CONTENT, STYLE = picture(1), picture(2)  # 32 x 40
WEIGHTS = Weights(content=1.0, style=100.0, variation=0.5)
SOLVERS = [Adam(), Lbfgs(), OptaxLbfgs()]


def transfer(content=CONTENT, styles=STYLE, **options):
    """With the tiny network, at a single scale, a few steps of Adam."""
    long_side = max(np.shape(content)[:2])
    usual = {
        "network": NET,
        "objective": OBJECTIVE,
        "weights": WEIGHTS,
        "steps": 6,
        "min_size": long_side,
        "solver": Adam(),
    }
    return jaxstyle.transfer(content, styles, **(usual | options))


def same_terms(actual, expected, rtol=2e-3):
    for name, field in actual._asdict().items():
        np.testing.assert_allclose(field, getattr(expected, name), rtol=rtol, atol=1e-10, err_msg=name)
