"""What all solvers have in common: settings, ways of running, lanes, programs."""

import dataclasses
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle import defaults
from jaxstyle.solvers import SOLVERS, Adam, Lbfgs, OptaxLbfgs, Point, Solver
from marks import slow
from solver_problems import counted, rosenbrock, run_compiled, start, with_terms
from tiny import compilations

STEPS = 80
SEARCHES = [kind(line_search=search) for kind in (Lbfgs, OptaxLbfgs) for search in ("backtracking", "zoom")]


def test_solvers_are_hashable_settings_named_as_on_the_command_line():
    assert tuple(SOLVERS) == defaults.SOLVERS
    for kind in SOLVERS.values():
        assert isinstance(kind(), Solver)
        assert kind() == kind() and hash(kind()) == hash(kind())
    assert Adam(rate=0.1) != Adam() and Lbfgs(history=5) != Lbfgs()
    assert not Adam.has_inner_loop and Lbfgs.has_inner_loop and OptaxLbfgs.has_inner_loop


@pytest.mark.slow
def test_without_jaxopt_its_solver_names_the_other_which_works():
    code = """
import sys
sys.modules["jaxopt"] = None  # importing it fails
import jax.numpy as jnp, jaxstyle
from jaxstyle.errors import InputError
from jaxstyle.objective import LossTerms
def value_and_grad(x):
    value = jnp.sum(x**2)
    return (value, LossTerms(*[value] * 4)), 2 * x
solver, image = jaxstyle.OptaxLbfgs(), jnp.full((2, 2, 3), 0.5)
print(solver.step(value_and_grad, image, solver.init(value_and_grad, image))[0].max() < 0.5)
try:
    jaxstyle.Lbfgs()
except InputError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    worked, said = done.stdout.splitlines()  # a single line
    assert worked == "True" and "jaxopt" in said and "OptaxLbfgs" in said


@pytest.mark.parametrize("solver", [Adam(), SEARCHES[0], *map(slow, SEARCHES[1:])])
def test_the_path_outside_jit_is_that_within_and_every_evaluation_is_counted(solver):
    value_and_grad, calls = counted(with_terms(rosenbrock))
    image = start(3)
    images, totals, evaluations = run_compiled(solver, rosenbrock, image, STEPS)
    state = solver.init(value_and_grad, image)
    assert len(calls) == solver.init_evaluations
    for i in range(8):
        before, value = len(calls), rosenbrock(image)
        image, state, info = solver.step(value_and_grad, image, state)
        assert info.evaluations == len(calls) - before == evaluations[i]
        np.testing.assert_allclose(info.terms.total, value, rtol=1e-5)
        np.testing.assert_allclose(info.terms.total, totals[i], rtol=2e-4)
        np.testing.assert_allclose(image, images[i], rtol=2e-3, atol=1e-4)
    if solver.has_inner_loop:
        assert max(evaluations) > min(evaluations)  # there were searches to count
        assert max(evaluations) <= solver.max_evaluations


@pytest.mark.parametrize("solver", [SEARCHES[0], *map(slow, SEARCHES[1:])])
def test_steps_compiled_ahead_are_the_same_and_use_up_the_memory(solver):
    value_and_grad, image = with_terms(rosenbrock), start(3)
    shapes = jax.eval_shape(value_and_grad, image)
    ahead = solver.ahead(jax.ShapeDtypeStruct(image.shape, image.dtype), Point(*shapes[0], shapes[1]), placed=False)
    expected, found = ((parts.init(value_and_grad, image), image) for parts in (solver, ahead))
    with compilations() as counted:
        for _ in range(8):
            used, (state, image) = found[0], found
            image, state, info = ahead.step(value_and_grad, image, state)
            found = state, image
    assert counted == [0]
    for _ in range(8):
        state, image = expected
        image, state, other = solver.step(value_and_grad, image, state)
        expected = state, image
    np.testing.assert_array_equal(found[1], expected[1])
    assert info.evaluations == other.evaluations and info.terms == other.terms
    assert used.free is not None and any(x.is_deleted() for x in jax.tree.leaves(used.memory))
    assert not any(x.is_deleted() for x in jax.tree.leaves(expected))


@pytest.mark.parametrize("solver", [Adam(), Lbfgs(), OptaxLbfgs()])
def test_lanes_of_vmap_equal_runs_alone(solver):
    images = jnp.stack([start(3), start(9)])
    together = jax.vmap(lambda image: run_compiled(solver, rosenbrock, image, STEPS))(images)
    for i, image in enumerate(images):
        alone = run_compiled(solver, rosenbrock, image, STEPS)
        for lane, expected in zip(together[:2], alone[:2], strict=True):
            np.testing.assert_allclose(lane[i, :8], expected[:8], rtol=2e-3, atol=1e-4)
        np.testing.assert_array_equal(together[2][i, :8], alone[2][:8])


@pytest.mark.parametrize("solver", [Adam(), *SEARCHES])
def test_steps_outside_jit_compile_nothing_after_the_first_two(solver):
    image, value_and_grad = start(5), with_terms(rosenbrock)
    state = solver.init(value_and_grad, image)
    for _ in range(2):
        image, state, _ = solver.step(value_and_grad, image, state)
    again = dataclasses.replace(solver)  # equal settings, another object
    with compilations() as counted:
        for _ in range(5):
            image, state, _ = again.step(value_and_grad, image, state)
    assert counted == [0]
