"""Solvers: Adam against NumPy, both L-BFGS against known minima, SciPy, each other, and their own two paths."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from jaxstyle import defaults
from jaxstyle.objective import LossTerms, Weights, loss_terms, make_targets
from jaxstyle.solvers import SOLVERS, Adam, Lbfgs, OptaxLbfgs, Solver
from tiny import OBJECTIVE, network, picture, x64

SHAPE = (2, 4, 3)
STEPS = 60
SEARCHES = [
    pytest.param(kind(line_search=search), id=f"{kind.__name__}-{search}")
    for kind in (Lbfgs, OptaxLbfgs)
    for search in ("backtracking", "zoom")
]


@functools.cache
def with_terms(function):
    """The `value_and_grad` of a function of an image, as solvers want it; further arguments are passed on."""

    def loss(image, *arguments):
        value = function(image, *arguments)
        return value, LossTerms(value, value, value, value)

    return jax.jit(jax.value_and_grad(loss, has_aux=True))


def quadratic(image):
    """Curvatures from 1 to 100, about a minimum of 0 at 0.1, 0.2, ..."""
    flat = image.reshape(-1)
    steps = jnp.arange(1, flat.size + 1, dtype=image.dtype)
    return jnp.sum(100 ** (steps / flat.size) * (flat - 0.1 * steps) ** 2)


def rosenbrock(image):
    """Twelve valleys of two variables each; minimum 0 at ones."""
    x, y = image.reshape(-1, 2).T
    return jnp.sum(100 * (y - x**2) ** 2 + (1 - x) ** 2) / 10


def start(seed=0, dtype=jnp.float32):
    return jnp.asarray(np.random.default_rng(seed).uniform(-1, 1, SHAPE), dtype)


def run(solver, value_and_grad, image, steps):
    """Images, terms before each step, and evaluations of each."""
    state, images, totals, evaluations = solver.init(value_and_grad, image), [], [], []
    for _ in range(steps):
        image, state, info = solver.step(value_and_grad, image, state)
        images.append(np.asarray(image))
        totals.append(float(info.terms.total))
        evaluations.append(int(info.evaluations))
    return images, totals, evaluations


@functools.partial(jax.jit, static_argnums=(0, 1, 3))
def run_compiled(solver, function, image, steps, *arguments):
    """The same as one program with a `scan` in it."""

    def value_and_grad(image):
        return with_terms(function)(image, *arguments)

    def body(carry, _):
        image, state, info = solver.step(value_and_grad, *carry)
        return (image, state), (image, info.terms.total, info.evaluations)

    return jax.lax.scan(body, (image, solver.init(value_and_grad, image)), length=steps)[1]


def counted(value_and_grad):
    calls = []

    def call(image):
        calls.append(1)
        return value_and_grad(image)

    return call, calls


# --------------------------------------------------------------------------------------------------------------- Adam


def numpy_adam(gradient, x, steps, rate, b1, b2, epsilon):
    """Algorithm 1 of Kingma and Ba, and the clip."""
    x = np.asarray(x, np.float64)
    m, v, path = np.zeros_like(x), np.zeros_like(x), []
    for t in range(1, steps + 1):
        g = gradient(x)
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        x = x - rate * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + epsilon)
        x = np.clip(x, 0, 1)
        path.append(x)
    return path


@pytest.mark.parametrize("solver", [Adam(), Adam(rate=0.2, b1=0.5, b2=0.9, epsilon=1e-2)])
def test_adam_equals_the_paper_with_pixels_clipped(solver):
    image = jnp.asarray(np.random.default_rng(1).random(SHAPE), jnp.float32)
    steps = np.arange(1, image.size + 1)

    def gradient(x):
        return (2 * 100 ** (steps / steps.size) * (x.reshape(-1) - 0.1 * steps)).reshape(SHAPE)

    expected = numpy_adam(gradient, image, 12, solver.rate, solver.b1, solver.b2, solver.epsilon)
    images, totals, evaluations = run(solver, with_terms(quadratic), image, 12)
    np.testing.assert_allclose(images, expected, atol=2e-6)
    assert (expected[-1] == 1).any() and (expected[-1] < 1).any()  # the minima beyond 1 are at the wall
    assert evaluations == [1] * 12
    np.testing.assert_allclose(totals[3], quadratic(jnp.asarray(images[2])), rtol=1e-6)


def test_adam_takes_its_rate_from_the_state_so_that_lanes_may_differ_in_it():
    value_and_grad, solver = with_terms(quadratic), Adam()
    image = jnp.full(SHAPE, 0.55)
    state = solver.init(value_and_grad, image)
    np.testing.assert_allclose(state.rate, defaults.ADAM_RATE)

    def first_step(rate):
        return solver.step(value_and_grad, image, state._replace(rate=rate))[0]

    moved = jax.vmap(first_step)(jnp.float32([0.0, 0.1, 0.2])) - image[None]
    assert (moved[0] == 0).all()
    np.testing.assert_allclose(np.abs(moved[1]), 0.1, rtol=1e-4)  # Adam's first step is the rate in each pixel
    np.testing.assert_allclose(moved[2], 2 * moved[1], rtol=1e-4)


# -------------------------------------------------------------------------------------------------------------- L-BFGS


@pytest.mark.parametrize("solver", SEARCHES)
@pytest.mark.parametrize("function", [quadratic, rosenbrock], ids=lambda f: f.__name__)
def test_lbfgs_comes_as_near_the_minimum_as_scipy(solver, function):
    value_and_grad = with_terms(function)

    def fun(x):
        (value, _), gradient = value_and_grad(jnp.asarray(x.reshape(SHAPE), jnp.float32))
        return float(value), np.float64(gradient).ravel()

    steps = STEPS
    options = {"maxcor": solver.history, "maxiter": steps, "ftol": 0, "gtol": 0}
    scipys = scipy.optimize.minimize(fun, np.float64(start()).ravel(), jac=True, method="L-BFGS-B", options=options)
    assert scipys.fun < 1e-6
    images, totals, _ = run_compiled(solver, function, start(), steps)
    assert (np.diff(totals) <= 1e-6 * totals[0]).all(), "a loss rose"
    assert function(jnp.asarray(images[-1])) < scipys.fun + 1e-5 * totals[0]
    expected = np.ones(SHAPE) if function is rosenbrock else 0.1 * np.arange(1, 25).reshape(SHAPE)
    np.testing.assert_allclose(images[-1], expected, atol=0.01)


@pytest.mark.parametrize("solver", [Adam(), *SEARCHES])
def test_the_path_outside_jit_is_that_within_and_every_evaluation_is_counted(solver):
    value_and_grad, calls = counted(with_terms(rosenbrock))
    image = start(3) / 2 + 0.5
    images, totals, evaluations = run_compiled(solver, rosenbrock, image, STEPS)
    state = solver.init(value_and_grad, image)
    assert len(calls) == (1 if isinstance(solver, Lbfgs) else 0)  # jaxopt's state begins with the value
    for i in range(8):
        before, value = len(calls), rosenbrock(image)
        image, state, info = solver.step(value_and_grad, image, state)
        assert info.evaluations == len(calls) - before == evaluations[i]
        np.testing.assert_allclose(info.terms.total, value, rtol=1e-5)
        np.testing.assert_allclose(info.terms.total, totals[i], rtol=2e-4)
        np.testing.assert_allclose(image, images[i], rtol=2e-3, atol=1e-4)
    if solver.has_inner_loop:
        assert max(evaluations) > min(evaluations)  # there were searches to count
        assert max(evaluations) <= solver.max_evaluations + 3


@pytest.mark.parametrize("solver", [Adam(), Lbfgs(), OptaxLbfgs()])
def test_lanes_of_vmap_equal_runs_alone(solver):
    images = jnp.stack([start(3), start(9)]) / 2 + 0.5
    together = jax.vmap(lambda image: run_compiled(solver, rosenbrock, image, STEPS))(images)
    for i, image in enumerate(images):
        alone = run_compiled(solver, rosenbrock, image, STEPS)
        for lane, expected in zip(together[:2], alone[:2], strict=True):
            np.testing.assert_allclose(lane[i, :8], expected[:8], rtol=2e-3, atol=1e-4)
        np.testing.assert_array_equal(together[2][i, :8], alone[2][:8])


def scaled(image, scale):
    return scale * rosenbrock(image)


@pytest.mark.parametrize("search", ["backtracking", "zoom"])
def test_the_path_of_lbfgs_does_not_depend_on_the_scale_of_the_loss(search):
    solver = Lbfgs(line_search=search)
    with x64():
        image = start(6, jnp.float64)
        paths = []
        for scale in (1e-4, 1.0, 1e6):
            images, totals, evaluations = run_compiled(solver, scaled, image, 15, scale)
            paths.append((images, totals / scale, evaluations))
    for images, totals, evaluations in paths[1:]:
        np.testing.assert_allclose(images, paths[0][0], rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(totals, paths[0][1], rtol=1e-3, atol=1e-9)
        np.testing.assert_array_equal(evaluations, paths[0][2])


def test_the_first_step_of_lbfgs_changes_pixels_by_a_hundredth():
    # Without curvature there is no slope to flatten: a search that waits for that would fail.
    images, _, evaluations = run_compiled(Lbfgs(), lambda x: 1e-3 * jnp.sum(x), start(7), 1)
    np.testing.assert_allclose(start(7) - images[0], 0.01, rtol=1e-3)
    assert evaluations[0] == 1


def test_every_search_of_lbfgs_begins_at_the_full_step():
    # A first step of 0.01 is ten times too long here; from what it teaches, the second leads to the minimum.
    images, totals, evaluations = run_compiled(Lbfgs(), lambda x: 1e4 * jnp.sum(x**2), jnp.full(SHAPE, 1e-3), 3)
    assert evaluations[0] > 2 and evaluations[1] == 1
    assert totals[2] < 1e-9 * totals[0] and np.abs(images[1]).max() < 1e-7


def test_lbfgs_goes_on_through_negative_curvature():
    def hill(x):  # concave about 0, where it starts, and convex beyond 1
        return jnp.sum(jnp.cos(2 * x))

    image = start(8) / 20
    assert (np.diag(jax.hessian(lambda x: hill(x.reshape(SHAPE)))(image.reshape(-1))) < 0).all()
    images, totals, evaluations = run_compiled(Lbfgs(), hill, image, 40)
    np.testing.assert_allclose(np.abs(images[-1]) % np.pi, np.pi / 2, atol=1e-2)
    assert (np.diff(totals) < 1e-5).all() and evaluations.sum() < 120


@pytest.mark.parametrize("solver", SEARCHES)
def test_lbfgs_at_a_minimum_stays_there(solver):
    minimum = jnp.asarray(0.1 * np.arange(1, 25).reshape(SHAPE), jnp.float32)
    images, totals, _ = run_compiled(solver, quadratic, minimum, STEPS)
    np.testing.assert_allclose(images[-1], minimum, atol=1e-5)
    assert np.isfinite(totals).all() and totals[-1] < 1e-8


# ------------------------------------------------------------------------------------------------ on the objective


@pytest.fixture(scope="module")
def painting():
    """The total of the objective of a tiny network."""
    net, weights = network(), Weights(content=1.0, style=100.0, variation=0.5)
    targets = jax.jit(lambda: make_targets(net, picture(5), [picture(6)], objective=OBJECTIVE))()
    return lambda image: loss_terms(image, net, targets, weights, objective=OBJECTIVE).total


def best_within(solver, function, budget):
    """The least total among the steps that are done within as many evaluations."""
    _, totals, evaluations = run_compiled(solver, function, picture(5), budget)
    return totals[: np.searchsorted(np.cumsum(evaluations), budget) + 1].min()


@pytest.mark.slow
@pytest.mark.parametrize("solver", [Lbfgs(), OptaxLbfgs()])
def test_lbfgs_ends_lower_than_adam_at_as_many_evaluations(solver, painting):
    assert best_within(solver, painting, 200) < best_within(Adam(), painting, 200)


# ------------------------------------------------------------------------------------------------------ interface


def test_solvers_are_hashable_settings_named_as_on_the_command_line():
    assert tuple(SOLVERS) == defaults.SOLVERS
    for kind in SOLVERS.values():
        assert isinstance(kind(), Solver)
        assert kind() == kind() and hash(kind()) == hash(kind())
    assert Adam(rate=0.1) != Adam() and Lbfgs(history=5) != Lbfgs()
    assert not Adam.has_inner_loop and Lbfgs.has_inner_loop and OptaxLbfgs.has_inner_loop
