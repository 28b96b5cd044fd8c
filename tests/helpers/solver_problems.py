"""What the tests of solvers share: functions of an image with known minima in the box, and ways to run a solver."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from jaxstyle.objective import LossTerms

SHAPE = (2, 4, 3)


@functools.cache
def with_terms(function):
    """The `value_and_grad` of a function of an image, as solvers want it; further arguments are passed on."""

    def loss(image, *arguments):
        value = function(image, *arguments)
        return value, LossTerms(value, value, value, value)

    return jax.jit(jax.value_and_grad(loss, has_aux=True))


def quadratic(image):
    """Curvatures from 1 to 100, about a minimum of 0 at 0.11, 0.22, ..., of which all but nine are outside the box."""
    flat = image.reshape(-1)
    steps = jnp.arange(1, flat.size + 1, dtype=image.dtype)
    return jnp.sum(100 ** (steps / flat.size) * (flat - 0.11 * steps) ** 2)


VALLEYS = np.array([-0.4, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0, 1.2, 1.5, 0.6, -0.1, 0.8])


def rosenbrock(image):
    """Twelve valleys (x, y) of two variables each, in which x = a and y = a^2 have no loss.

    In the box it is least where x is a's nearest value in [0, 1], and y its square: there the slope towards y is 0, and
    that towards x pushes outward if a is outside.
    """
    x, y = image.reshape(-1, 2).T
    return jnp.sum(100 * (y - x**2) ** 2 + (jnp.asarray(VALLEYS, image.dtype) - x) ** 2) / 10


def coupled(image):
    """A convex quadratic, each variable coupled to all others, with a minimum in the box that is known: see KEPT."""
    hessian, slope, _ = convex_problem()
    flat = image.reshape(-1)
    return flat @ (jnp.asarray(hessian, image.dtype) @ flat) / 2 + jnp.asarray(slope, image.dtype) @ flat


@functools.cache
def convex_problem():
    """(Hessian, slope at zero, solution): with the slope chosen so that the solution has a third of its variables at 0,
    pushed outward, a third at 1 likewise, and a third between, without slope."""
    rng = np.random.default_rng(5)
    root = rng.normal(size=(24, 24))
    hessian = root @ root.T / 24 + 0.05 * np.eye(24)
    solution = np.repeat([0.0, 1.0, 0.5], 8) + np.repeat([0.0, 0.0, 1.0], 8) * rng.uniform(-0.4, 0.4, 24)
    outward = np.repeat([1.0, -1.0, 0.0], 8) * rng.uniform(0.1, 1.0, 24)
    return hessian, outward - hessian @ solution, solution.reshape(SHAPE)


SOLUTIONS = {
    "quadratic": np.clip(0.11 * np.arange(1, 25), 0, 1).reshape(SHAPE),
    "rosenbrock": np.stack([np.clip(VALLEYS, 0, 1), np.clip(VALLEYS, 0, 1) ** 2], axis=1).reshape(SHAPE),
    "coupled": convex_problem()[2],
}
FUNCTIONS = [quadratic, rosenbrock, coupled]


def start(seed=0, dtype=jnp.float32):
    return jnp.asarray(np.random.default_rng(seed).random(SHAPE), dtype)


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
