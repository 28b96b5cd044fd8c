"""Both L-BFGS within the box: known solutions, SciPy's L-BFGS-B, a naive twin, the libraries' own, each other."""

from collections import deque

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.fft
import scipy.optimize

from jaxstyle.objective import Weights, loss_terms, make_targets
from jaxstyle.solvers import Adam, Lbfgs, OptaxLbfgs
from jaxstyle.solvers.cosines import SMOOTHNESS
from solver_problems import (
    FUNCTIONS,
    SHAPE,
    SOLUTIONS,
    coupled,
    quadratic,
    rosenbrock,
    run,
    run_compiled,
    start,
    with_terms,
)
from tiny import OBJECTIVE, network, picture, x64

STEPS = 80
KINDS = [Lbfgs, OptaxLbfgs]
USUAL = ((Lbfgs, "backtracking"), (Lbfgs, "zoom"))  # the others are slow
SEARCHES = [
    pytest.param(
        kind(line_search=search),
        id=f"{kind.__name__}-{search}",
        marks=[] if (kind, search) in USUAL else [pytest.mark.slow],
    )
    for kind in KINDS
    for search in ("backtracking", "zoom")
]


def projected_gradient(function, image):
    """What a small step along the gradient would change, were it not for the box: 0 at a solution and there only."""
    image = np.float64(image)
    gradient = np.float64(with_terms(function)(jnp.asarray(image))[1])
    return image - np.clip(image - gradient, 0, 1)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("solver", SEARCHES)
def test_lbfgs_ends_at_the_solution_in_the_box_as_soon_as_scipy(solver, function):
    solution = SOLUTIONS[function.__name__]
    with x64():
        image, least = start(dtype=jnp.float64), float(function(jnp.asarray(solution)))
        assert np.abs(projected_gradient(function, solution)).max() < 1e-12  # it is one
        images, totals, evaluations = run_compiled(solver, function, image, STEPS)

        def fun(x):
            (value, _), gradient = with_terms(function)(jnp.asarray(x.reshape(SHAPE)))
            return float(value), np.asarray(gradient).ravel()

        options = {"maxcor": solver.history, "maxfun": int(evaluations.sum()), "ftol": 0, "gtol": 0}
        start_at, bounds = np.asarray(image).ravel(), [(0, 1)] * solution.size
        scipys = scipy.optimize.minimize(fun, start_at, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
        np.testing.assert_allclose(scipys.x.reshape(SHAPE), solution, atol=1e-3)
        assert function(images[-1]) - least < max(10 * (scipys.fun - least), 1e-8 * (totals[0] - least))
        assert np.abs(projected_gradient(function, images[-1])).max() < 5e-3
    images = np.asarray(images)
    np.testing.assert_allclose(images[-1], solution, atol=2e-3)
    assert images.min() >= 0 and images.max() <= 1
    assert (np.diff(np.asarray(totals)) <= 0).all(), "a loss rose"
    if function is not rosenbrock:  # whose squares of 0 and 1 are at the bound without being pushed
        for bound in (0, 1):
            np.testing.assert_array_equal(images[-1] == bound, solution == bound)


@pytest.mark.parametrize("kind", KINDS)
def test_pixels_leave_a_bound_when_the_gradient_pulls(kind):
    for bound in (0.0, 1.0):
        with x64():
            images, _, _ = run_compiled(kind(), coupled, jnp.full(SHAPE, bound, jnp.float64), STEPS)
        np.testing.assert_allclose(images[-1], SOLUTIONS["coupled"], atol=2e-3)


def changes_of_variables():
    """The matrices that take gradients, and steps, of pixels to the variables that the libraries see."""

    def cosines(n):
        return scipy.fft.dct(np.eye(n), axis=0, norm="ortho")

    down, right = np.arange(SHAPE[0]) / (2 * SHAPE[0]), np.arange(SHAPE[1]) / (2 * SHAPE[1])
    squares = (1 / max(SHAPE)) ** 2 + down[:, None] ** 2 + right[None] ** 2
    powers = np.repeat(squares.ravel() ** (-SMOOTHNESS / 2), 3)
    to = powers[:, None] * np.kron(np.kron(cosines(SHAPE[0]), cosines(SHAPE[1])), np.eye(3))
    return to, np.linalg.inv(to).T


def naive(function, x, steps, history):
    """The method with dense matrices, in float64: cosines, the inverse Hessian by its recursion, halved steps."""
    to, along = changes_of_variables()

    def evaluate(x):
        (value, _), gradient = with_terms(function)(jnp.asarray(x.reshape(SHAPE)))
        return float(value), np.float64(gradient).ravel()

    def held(x, gradient):
        return ((x <= 0) & (gradient > 0)) | ((x >= 1) & (gradient < 0))

    def restricted(x, gradient):
        return np.where(held(x, gradient), 0.0, gradient)

    x, pairs, path = np.float64(x).ravel(), deque(maxlen=history), []
    value, gradient = evaluate(x)
    for _ in range(steps):
        inverse = np.eye(x.size)
        if pairs:
            s, y = pairs[-1]
            inverse *= (s @ y) / (y @ y)
        for s, y in pairs:
            left = np.eye(x.size) - np.outer(s, y) / (s @ y)
            inverse = left @ inverse @ left.T + np.outer(s, s) / (s @ y)
        free = restricted(x, gradient)
        direction = np.where(held(x, gradient), 0.0, -to.T @ inverse @ to @ free)
        if not pairs:
            direction *= 0.01 / np.sqrt(np.mean(direction**2))
        length = 1.0
        while True:
            moved = np.clip(x + length * direction, 0, 1)
            new_value, new_gradient = evaluate(moved)
            if new_value <= value + 1e-4 * min(gradient @ (moved - x), 0.0):
                break
            length /= 2
        s, y = along @ (moved - x), to @ (restricted(moved, new_gradient) - free)
        if s @ y <= 1e-6 * np.linalg.norm(s) * np.linalg.norm(y):
            s = np.linalg.norm(s) / np.linalg.norm(y) * y
        pairs.append((s, y))
        x, value, gradient = moved, new_value, new_gradient
        path.append(x.reshape(SHAPE))
    return path


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_lbfgs_is_the_method_written_with_dense_matrices(kind, function):
    solver = kind(history=5) if function is rosenbrock else kind()
    with x64():
        image = start(2, jnp.float64)
        images, _, _ = run_compiled(solver, function, image, STEPS)
        expected = naive(function, image, 14, history=solver.history)
        assert any(((x == 0) | (x == 1)).any() for x in expected)
        np.testing.assert_allclose(images[:14], expected, rtol=1e-7, atol=1e-9)


def interior(image):
    """A convex quadratic whose minimum, one half, is far from the bounds."""
    flat = image.reshape(-1) - 0.5
    return jnp.sum(jnp.linspace(1, 20, flat.size, dtype=image.dtype) * flat**2) + jnp.sum(flat) ** 2


@pytest.mark.parametrize("kind", KINDS)
def test_where_no_bound_is_met_it_is_plain_lbfgs(kind):
    """Optax's whole L-BFGS with steps of length 1, in the same variables, from the first step on."""
    with x64():
        image = 0.5 + 0.1 * (start(1, jnp.float64) - 0.5)
        images, _, evaluations = run_compiled(kind(), interior, image, 12)
        assert images.min() > 0 and images.max() < 1 and (evaluations == 1).all()
        to, along = map(jnp.asarray, changes_of_variables())
        gradient, plain = jax.grad(lambda u: interior((to.T @ u).reshape(SHAPE))), optax.lbfgs(1.0, 20, linesearch=None)

        @jax.jit
        def update(u, state):
            with jax.numpy_dtype_promotion("standard"):
                step, state = plain.update(gradient(u), state, u)
            return step, state

        u = along @ image.reshape(-1)
        _, state = update(u, plain.init(u))
        u = along @ images[0].reshape(-1)
        for expected in images[1:]:
            step, state = update(u, state)
            u = u + step
            np.testing.assert_allclose((to.T @ u).reshape(SHAPE), expected, rtol=1e-9)
    np.testing.assert_allclose(images[-1], 0.5, atol=1e-3)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_both_libraries_go_the_same_way(function):
    """By the other line search too."""
    with x64():
        paths = [run_compiled(kind(line_search="zoom"), function, start(4, jnp.float64), STEPS) for kind in KINDS]
    first, second = ([np.asarray(x[:14]) for x in path] for path in paths)
    np.testing.assert_allclose(second[0], first[0], rtol=1e-6, atol=1e-8)
    np.testing.assert_array_equal(second[2], first[2])


@pytest.mark.parametrize("kind", KINDS)
def test_zoom_meets_the_strong_wolfe_conditions(kind):
    """Along steps that no bound has bent, the slope at the end is at most 0.9 of that at the start."""
    with x64():
        image, value_and_grad = start(1, jnp.float64), with_terms(rosenbrock)
        images, _, evaluations = run_compiled(kind(line_search="zoom"), rosenbrock, image, STEPS)
        checked = 0
        for before, after in zip([image, *images[:-1]], images, strict=True):
            moved = after != before
            if ((after <= 0) | (after >= 1))[moved].any() or not moved.any():
                continue
            (low, _), old = value_and_grad(before)
            (end, _), new = value_and_grad(after)
            slope, left = np.vdot(old, after - before), np.vdot(new, after - before)
            assert end <= low + 1e-4 * slope and abs(left) <= 0.9 * abs(slope)
            checked += 1
        assert checked >= 5 and max(evaluations) > 1


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


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_step_of_lbfgs_changes_pixels_by_a_hundredth(kind):
    # Without curvature there is no slope to flatten: a search that waits for that would fail.
    image = 0.2 + 0.6 * start(7)
    images, _, evaluations = run(kind(), with_terms(lambda x: 1e-3 * jnp.sum(x)), image, 3)
    np.testing.assert_allclose(image - images[0], 0.01, rtol=1e-3)
    np.testing.assert_allclose(images[0] - images[2], 0.02, rtol=1e-3)  # nor is there anything to learn
    np.testing.assert_array_equal(evaluations, 1)


@pytest.mark.parametrize("kind", KINDS)
def test_every_search_of_lbfgs_begins_at_the_full_step(kind):
    # A first step of 0.01 is ten times too long here; from what it teaches, the second leads to the minimum.
    steep = with_terms(lambda x: 1e4 * jnp.sum((x - 0.5) ** 2))
    images, totals, evaluations = run(kind(), steep, jnp.full(SHAPE, 0.501), 3)
    assert evaluations[0] > 2 and evaluations[1] == 1
    assert totals[2] < 1e-7 * totals[0] and np.abs(images[1] - 0.5).max() < 1e-6


@pytest.mark.parametrize("kind", KINDS)
def test_lbfgs_goes_on_through_negative_curvature(kind):
    def hill(x):  # concave about 0.4, where it starts, and convex beyond 0.15 and 0.65
        return jnp.sum(jnp.cos(2 * jnp.pi * (x - 0.4)))

    image = 0.4 + (start(8) - 0.5) / 20
    assert (np.diag(jax.hessian(lambda x: hill(x.reshape(SHAPE)))(image.reshape(-1))) < 0).all()
    images, totals, evaluations = run(kind(), with_terms(hill), image, 40)
    np.testing.assert_allclose(images[-1], np.where(image > 0.4, 0.9, 0.0), atol=1e-2)
    assert (np.diff(totals) < 1e-5).all() and sum(evaluations) < 120


@pytest.mark.parametrize("solver", SEARCHES)
def test_lbfgs_at_a_solution_stays_there(solver):
    solution = jnp.asarray(SOLUTIONS["quadratic"], jnp.float32)
    images, totals, _ = run(solver, with_terms(quadratic), solution, 5)
    np.testing.assert_allclose(images[-1], solution, atol=1e-6)
    np.testing.assert_allclose(totals, quadratic(solution), rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_where_no_step_lowers_the_loss_the_image_stays(kind):
    """A gradient of the wrong sign: every search fails, having spent what it may."""

    def value_and_grad(image):
        (value, terms), gradient = with_terms(quadratic)(image)
        return (value, terms), -gradient

    solver, image = kind(max_evaluations=6), 0.05 + 0 * start()
    images, totals, evaluations = run(solver, value_and_grad, image, 3)
    np.testing.assert_array_equal(images, np.broadcast_to(image, (3, *SHAPE)))
    assert evaluations == [6] * 3 and len(set(totals)) == 1


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
@pytest.mark.parametrize("solver", [Lbfgs(), OptaxLbfgs(), OptaxLbfgs(line_search="zoom")])
def test_lbfgs_ends_lower_than_adam_at_as_many_evaluations(solver, painting):
    assert best_within(solver, painting, 200) < best_within(Adam(), painting, 200)
