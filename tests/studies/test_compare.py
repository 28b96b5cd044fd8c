"""Traces of solvers: every evaluation counted, the loss of the picture at hand, lanes like runs alone."""

import dataclasses
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.engine import run as running
from jaxstyle.engine.steps import compile_scale
from jaxstyle.engine.transfer import transfer
from jaxstyle.errors import InputError
from jaxstyle.objective import Objective, Weights, loss_terms, make_targets
from jaxstyle.solvers import Adam, Lbfgs, OptaxLbfgs
from jaxstyle.studies.compare import Pair, trace, trace_rates
from marks import slow
from tiny import network, picture

OBJECTIVE = Objective(("relu2_1",), ("relu1_1", "relu2_1"))  # shallow ones compile soon
CONTENT, STYLE, NOISE = picture(1), picture(2), picture(7)[::-1]  # 32 x 40
PAIR = Pair(network(), CONTENT, [STYLE], Weights(1.0, 100.0, 0.5), OBJECTIVE)
SOLVERS = [Adam(rate=0.05), Lbfgs(), Lbfgs(line_search="zoom"), OptaxLbfgs()]
MOST = 12


def no_clock():
    return 0.0


@pytest.mark.parametrize(
    "solver",
    [*map(slow, SOLVERS)],
    ids=["adam", "backtracking", "zoom", "optax"],
)
def test_every_evaluation_counts_and_losses_are_those_of_the_pictures(solver, monkeypatch):
    calls = []

    def counting(program):
        return program and (lambda *arguments: calls.append(1) or program(*arguments))

    def watched(plan, number):  # `evaluate` and `step` are one evaluation each
        made = compile_scale(plan, number)
        return dataclasses.replace(made, evaluate=counting(made.evaluate), step=counting(made.step))

    monkeypatch.setattr(running, "compile_scale", watched)
    found = trace(PAIR, solver, NOISE, evaluations=MOST, clock=lambda: float(len(calls)))
    # What the clock counted between two looks is how often the compiled loss was called there.
    np.testing.assert_array_equal(found.seconds, found.evaluations)
    assert found.evaluations[0] == 0 and (np.diff(found.evaluations) >= 1).all()
    assert found.evaluations[1] > solver.init_evaluations
    assert MOST - 4 <= found.evaluations[-1] <= MOST
    assert {len(x) for x in (found.seconds, *found.losses)} == {len(found.evaluations)}

    assert found.image.shape == CONTENT.shape and found.image.min() >= 0 and found.image.max() <= 1
    targets = jax.jit(functools.partial(make_targets, objective=OBJECTIVE))(PAIR.network, CONTENT, [STYLE])
    terms = jax.jit(functools.partial(loss_terms, objective=OBJECTIVE))
    for look, image in ((0, NOISE), (-1, found.image)):
        for name, value in terms(image, PAIR.network, targets, PAIR.weights)._asdict().items():
            np.testing.assert_allclose(getattr(found.losses, name)[look], value, rtol=1e-5, err_msg=name)
    assert found.losses.total[-1] < 0.95 * found.losses.total[0]


def test_a_trace_is_the_transfer():
    """Adam's pixels are clipped at each step, so that its own losses are those of the pictures."""
    found = trace(PAIR, Adam(), CONTENT, evaluations=6, clock=no_clock)
    made = transfer(
        CONTENT,
        [STYLE],
        network=PAIR.network,
        weights=PAIR.weights,
        objective=OBJECTIVE,
        solver=Adam(),
        steps=6,
        min_size=40,
    )
    np.testing.assert_allclose(found.losses.total[:-1], made.losses.total, rtol=1e-4)
    np.testing.assert_array_equal(found.image, made.image)


def test_rates_as_lanes_are_the_runs_alone():
    rates, starts = (0.01, 0.05, 0.2), (CONTENT, NOISE)
    together = trace_rates(PAIR, rates, starts, evaluations=6, clock=no_clock)
    assert [len(row) for row in together] == [3, 3]
    for row, start in zip(together, starts, strict=True):
        for lane, rate in zip(row, rates, strict=True):
            alone = trace(PAIR, Adam(rate=rate), start, evaluations=6, clock=no_clock)
            np.testing.assert_array_equal(lane.evaluations, alone.evaluations)
            np.testing.assert_allclose(lane.losses.total, alone.losses.total, rtol=2e-3)
            np.testing.assert_allclose(lane.image, alone.image, atol=2e-3)


def test_the_clock_stands_while_a_look_is_taken():
    """A clock that goes on by one at each reading: what lies between a look and the next is one second."""
    alone = trace(PAIR, Adam(), CONTENT, evaluations=5, clock=itertools.count(10.0).__next__)
    np.testing.assert_array_equal(alone.seconds, np.arange(6.0))
    ((lane, other),) = trace_rates(PAIR, (0.01, 0.02), [CONTENT], evaluations=5, clock=itertools.count().__next__)
    np.testing.assert_array_equal(lane.seconds, np.arange(6.0) / 2)
    np.testing.assert_array_equal(other.seconds, lane.seconds)


def test_a_run_that_diverges_ends_at_its_last_good_look():
    found = trace(PAIR, Adam(rate=float("nan")), NOISE, evaluations=4, clock=no_clock)
    assert found.evaluations.tolist() == [0]
    np.testing.assert_array_equal(found.image, NOISE)
    ((good, bad),) = trace_rates(PAIR, (0.01, float("nan")), [NOISE], evaluations=4, clock=no_clock)
    assert good.losses.total[-1] < good.losses.total[0]
    np.testing.assert_array_equal(bad.losses.total, np.full(5, bad.losses.total[0]))
    np.testing.assert_array_equal(bad.image, NOISE)


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(InputError, match="evaluations is 0"):
        trace(PAIR, Adam(), CONTENT, evaluations=0, clock=no_clock)
    with pytest.raises(InputError, match="a start has shape"):
        trace(PAIR, Adam(), jnp.full((16, 16, 3), 0.5), evaluations=2, clock=no_clock)
    with pytest.raises(InputError, match="0 rates and 1 starts"):
        trace_rates(PAIR, (), [CONTENT], evaluations=2, clock=no_clock)
