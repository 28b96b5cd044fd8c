"""Solvers: Adam against NumPy, both L-BFGS against known minima, SciPy, each other, and their own two paths."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from tiny import OBJECTIVE, network, picture, x64

from jaxstyle import defaults
from jaxstyle.objective import LossTerms, Weights, loss_terms, make_targets
from jaxstyle.solvers import SOLVERS, Adam, Lbfgs, OptaxLbfgs, Solver

SHAPE = (2, 4, 3)
SEARCHES = [
    pytest.param(kind(line_search=search), id=f"{kind.__name__}-{search}")
    for kind in (Lbfgs, OptaxLbfgs)
    for search in ("backtracking", "zoom")
]


def with_terms(function):
    """The `value_and_grad` of a function of an image, as solvers want it."""

    def loss(image):
        value = function(image)
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


def run_compiled(solver, value_and_grad, image, steps):
    """The same as one program with a `scan` in it."""

    @jax.jit
    def program(image):
        def body(carry, _):
            image, state, info = solver.step(value_and_grad, *carry)
            return (image, state), (image, info.terms.total, info.evaluations)

        return jax.lax.scan(body, (image, solver.init(value_and_grad, image)), length=steps)[1]

    return tuple(np.asarray(x) for x in program(image))


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
    image = jnp.full(SHAPE, 0.5)
    state = solver.init(value_and_grad, image)
    np.testing.assert_allclose(state.rate, defaults.ADAM_RATE)

    def first_step(rate):
        return solver.step(value_and_grad, image, state._replace(rate=rate))[0]

    moved = jax.vmap(first_step)(jnp.float32([0.0, 0.1, 0.2])) - image
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

    steps = 60
    options = {"maxcor": solver.history, "maxiter": steps, "ftol": 0, "gtol": 0}
    scipys = scipy.optimize.minimize(fun, np.float64(start()).ravel(), jac=True, method="L-BFGS-B", options=options)
    assert scipys.fun < 1e-6
    images, totals, _ = run_compiled(solver, value_and_grad, start(), steps)
    assert function(jnp.asarray(images[-1])) < scipys.fun + 1e-5 * totals[0]
    expected = np.ones(SHAPE) if function is rosenbrock else 0.1 * np.arange(1, 25).reshape(SHAPE)
    np.testing.assert_allclose(images[-1], expected, atol=0.01)


@pytest.mark.parametrize("solver", SEARCHES)
def test_losses_never_rise(solver):
    _, totals, _ = run_compiled(solver, with_terms(rosenbrock), start(2), 40)
    assert (np.diff(totals) <= 1e-6 * totals[0]).all()
    assert totals[-1] < 1e-2 * totals[0]


@pytest.mark.parametrize("solver", [Adam(), *SEARCHES])
def test_the_path_outside_jit_is_that_within(solver):
    with x64():
        image = start(3, jnp.float64) / 2 + 0.5
        value_and_grad = with_terms(rosenbrock)
        images, totals, evaluations = run(solver, value_and_grad, image, 10)
        compiled = run_compiled(solver, value_and_grad, image, 10)
    np.testing.assert_allclose(images, compiled[0], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(totals, compiled[1], rtol=1e-6)
    np.testing.assert_array_equal(evaluations, compiled[2])


@pytest.mark.parametrize("solver", [Adam(), *SEARCHES])
def test_evaluations_are_those_that_were_made(solver):
    value_and_grad, calls = counted(with_terms(rosenbrock))
    image = start(4)
    state = solver.init(value_and_grad, image)
    assert len(calls) == (1 if isinstance(solver, Lbfgs) else 0)  # jaxopt's state begins with the value
    reported = []
    for _ in range(12):
        before = len(calls)
        image, state, info = solver.step(value_and_grad, image, state)
        reported.append(int(info.evaluations))
        assert reported[-1] == len(calls) - before
    if solver.has_inner_loop:
        assert max(reported) > min(reported)  # there were searches to count
        assert max(reported) <= solver.max_evaluations + 3


@pytest.mark.parametrize("solver", SEARCHES)
def test_terms_are_those_of_the_image_that_the_step_started_from(solver):
    value_and_grad = with_terms(quadratic)
    images, totals, _ = run(solver, value_and_grad, start(5), 4)
    expected = [quadratic(x) for x in (start(5), *map(jnp.asarray, images[:3]))]
    np.testing.assert_allclose(totals, expected, rtol=1e-5)


@pytest.mark.parametrize("search", ["backtracking", "zoom"])
def test_the_path_of_lbfgs_does_not_depend_on_the_scale_of_the_loss(search):
    solver = Lbfgs(line_search=search)
    with x64():
        image = start(6, jnp.float64)
        paths = []
        for scale in (1e-4, 1.0, 1e6):
            images, totals, evaluations = run_compiled(
                solver, with_terms(lambda x, scale=scale: scale * rosenbrock(x)), image, 15
            )
            paths.append((images, totals / scale, evaluations))
    for images, totals, evaluations in paths[1:]:
        np.testing.assert_allclose(images, paths[0][0], rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(totals, paths[0][1], rtol=1e-3, atol=1e-9)
        np.testing.assert_array_equal(evaluations, paths[0][2])


def test_the_first_step_of_lbfgs_changes_pixels_by_a_hundredth():
    images, _, evaluations = run_compiled(Lbfgs(), with_terms(lambda x: 1e-3 * jnp.sum(x)), start(7), 1)
    np.testing.assert_allclose(np.sqrt(np.mean((images[0] - start(7)) ** 2)), 0.01, rtol=1e-3)
    assert evaluations[0] < 20


@pytest.mark.parametrize("solver", SEARCHES)
def test_lbfgs_at_a_minimum_stays_there(solver):
    minimum = jnp.asarray(0.1 * np.arange(1, 25).reshape(SHAPE), jnp.float32)
    images, totals, _ = run_compiled(solver, with_terms(quadratic), minimum, 3)
    np.testing.assert_allclose(images[-1], minimum, atol=1e-5)
    assert np.isfinite(totals).all() and totals[-1] < 1e-8


# ------------------------------------------------------------------------------------------------ on the objective


@pytest.fixture(scope="module")
def painting():
    """Value and gradient of the objective of a tiny network, and the picture to start from."""
    net, content = network(), picture(1)
    targets = jax.jit(lambda: make_targets(net, content, [picture(2)], objective=OBJECTIVE))()

    def loss(image):
        terms = loss_terms(image, net, targets, Weights(), objective=OBJECTIVE)
        return terms.total, terms

    return jax.jit(jax.value_and_grad(loss, has_aux=True)), content


def best_within(solver, value_and_grad, image, budget):
    """The least total among the first `budget` evaluations."""
    found = []

    def call(image):
        result = value_and_grad(image)
        found.append(float(result[0][0]))
        return result

    state = solver.init(call, image)
    while len(found) < budget:
        image, state, info = solver.step(call, image, state)
    return min(found[:budget]), info


@pytest.mark.parametrize("solver", SEARCHES)
def test_lbfgs_ends_lower_than_adam_at_as_many_evaluations(solver, painting):
    adams, _ = best_within(Adam(), *painting, 120)
    reached, info = best_within(solver, *painting, 120)
    assert reached < adams
    assert set(info.terms._fields) == {"total", "content", "style", "variation"}
    weights = Weights()
    total = weights.content * info.terms.content + weights.style * info.terms.style
    np.testing.assert_allclose(info.terms.total, total + weights.variation * info.terms.variation, rtol=1e-5)


# ------------------------------------------------------------------------------------------------------ interface


def test_solvers_are_hashable_settings_named_as_on_the_command_line():
    assert tuple(SOLVERS) == defaults.SOLVERS
    for kind in SOLVERS.values():
        assert isinstance(kind(), Solver)
        assert kind() == kind() and hash(kind()) == hash(kind())
    assert Adam(rate=0.1) != Adam() and Lbfgs(history=5) != Lbfgs()
    assert not Adam.has_inner_loop and Lbfgs.has_inner_loop and OptaxLbfgs.has_inner_loop


@pytest.mark.parametrize("solver", [Adam(), Lbfgs(), OptaxLbfgs()])
def test_lanes_of_vmap_equal_runs_alone(solver):
    value_and_grad = with_terms(rosenbrock)
    images = jnp.stack([start(8), start(9)]) / 2 + 0.5

    def steps(image):
        def body(carry, _):
            image, state, info = solver.step(value_and_grad, *carry)
            return (image, state), info.terms.total

        (image, _), totals = jax.lax.scan(body, (image, solver.init(value_and_grad, image)), length=5)
        return image, totals

    together = jax.jit(jax.vmap(steps))(images)
    for i, image in enumerate(images):
        alone = jax.jit(steps)(image)
        np.testing.assert_allclose(together[0][i], alone[0], rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(together[1][i], alone[1], rtol=1e-3)
