"""Statistics and losses from sums of parts are those of all positions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle import losses
from jaxstyle.losses.sums import ADDITIVE, loss_of, statistic_of, sums_of, together
from jaxstyle.objective import FORMULAE
from marks import slow
from tiny import x64

PAIRS = {name: tuple(pair) for name, pair in losses.STYLE_LOSSES.items() if pair.distance in ADDITIVE}
PAIRS |= {name: (formula.statistic, formula.style) for name, formula in FORMULAE.items()}


def features(seed, height=14, width=11, *, mean=3.0, deviation=1.0):
    rng = np.random.default_rng(seed)
    return mean + deviation * rng.normal(size=(height, width, 5)) * np.linspace(0.2, 2, 5)


def in_parts(form, x, weights, known):
    """The sums of four parts of the positions."""
    parts = [
        sums_of(form, form.values(x[rows, columns], known), weights[rows, columns])
        for rows in (slice(0, 5), slice(5, None))
        for columns in (slice(0, 8), slice(8, None))
    ]
    return jax.tree.map(lambda a: jnp.asarray(a, x.dtype), together(form, parts))


@pytest.mark.parametrize("masked", [False, True], ids=["all", "masked"])
@pytest.mark.parametrize("name", [x if x in ("gram", "wasserstein", "neural-style") else slow(x) for x in PAIRS])
def test_a_loss_and_its_gradient_from_sums_of_parts_are_those_of_all_positions(name, masked):
    statistic, style = PAIRS[name]
    form = ADDITIVE[style]
    with x64():
        x, other = jnp.asarray(features(0)), jnp.asarray(features(1, 9, 13, mean=2.0))
        mask = jnp.asarray(np.random.default_rng(2).uniform(size=(14, 11))) if masked else None
        weights, target = jnp.ones((14, 11)) if mask is None else mask, statistic(other)
        known = form.known(target)
        sums = in_parts(form, x, weights, known)
        expected, slope = jax.value_and_grad(lambda x: style(x, target, mask=mask))(x)
        np.testing.assert_allclose(loss_of(form, sums, target), expected, rtol=1e-12)
        slopes = jax.grad(lambda sums: loss_of(form, sums, target))(sums)

        def pulled(x):
            found = sums_of(form, form.values(x, known), weights, pivot=sums.pivot)
            return jnp.sum(slopes.first * found.first) + jnp.sum(slopes.higher * found.higher)

        np.testing.assert_allclose(jax.grad(pulled)(x), slope, rtol=1e-9, atol=1e-12 * float(jnp.abs(slope).max()))


@pytest.mark.parametrize("name", PAIRS)
def test_the_statistic_of_a_style_from_sums_of_parts_is_that_of_the_whole(name):
    statistic, style = PAIRS[name]
    form = ADDITIVE[style]
    with x64():
        x, known = jnp.asarray(features(3)), None
        if form.before is not None:
            known = statistic_of(form.before, in_parts(form.before, x, jnp.ones((14, 11)), None))
        found = statistic_of(form, in_parts(form, x, jnp.ones((14, 11)), known), known=known)
        for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(statistic(x)), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def test_the_covariance_of_a_flat_picture_is_no_rounding_error():
    """Mean squares less squared means would leave 1e-7 of the mean's square, here as much as the variance."""
    form, x = ADDITIVE[losses.wasserstein_loss], features(4, mean=100.0, deviation=0.01)
    sums = in_parts(form, jnp.asarray(x, jnp.float32), jnp.ones((14, 11)), None)
    rows = np.asarray(jnp.asarray(x, jnp.float32), np.float64).reshape(-1, 5)
    np.testing.assert_allclose(statistic_of(form, sums).covariance, np.cov(rows.T, bias=True), rtol=2e-3, atol=1e-8)
