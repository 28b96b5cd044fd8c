"""The style losses by name: each against a naive twin in float64, and what all of them have in common.

The twins are written from the papers, with loops over channels and positions and without `jaxstyle.losses`.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from jaxstyle import defaults, losses
from jaxstyle.losses import STYLE_LOSSES
from jaxstyle.losses.sampling import CELLS, MOST
from marks import slow
from tiny import check_gradient, x64

NAMES = list(STYLE_LOSSES)
# Each compiled once for all tests with features of a size.
COMPILED = {name: losses.StyleLoss(*map(jax.jit, pair)) for name, pair in STYLE_LOSSES.items()}
GRADIENTS = {name: jax.jit(jax.value_and_grad(loss)) for name, (_, loss) in STYLE_LOSSES.items()}


def features(seed, h=8, w=11, c=5):
    """As those behind a ReLU: correlated, some of them zero."""
    rng = np.random.default_rng(seed)
    mixing = np.linalg.qr(rng.normal(size=(c, c)))[0] * np.linspace(1, 2.5, c)
    return np.float32(np.maximum(rng.normal(size=(h, w, c)) @ mixing + 0.5, 0))


def distance(name, x, target, **masks):
    """Of features from those of the style."""
    statistic, loss = COMPILED[name]
    return loss(jnp.asarray(x), statistic(jnp.asarray(target)), **masks)


def flat(x):
    return np.float64(x).reshape(-1, x.shape[-1])


# ------------------------------------------------------------------------------------------------------------- twins


def gram(x, t):
    a, b = (flat(y).T @ flat(y) / len(flat(y)) for y in (x, t))
    return ((a - b) ** 2).sum() / (b**2).sum()


BLUR = 1e-3  # variance of each channel, over the style's mean square


def wasserstein(x, t):
    x, t = flat(x), flat(t)
    size = (t**2).mean()
    a, b = ((y - y.mean(0)).T @ (y - y.mean(0)) / len(y) + BLUR * size * np.eye(y.shape[1]) for y in (x, t))
    half = scipy.linalg.sqrtm(b).real
    cross = scipy.linalg.sqrtm(half @ a @ half).real
    return (((x.mean(0) - t.mean(0)) ** 2).sum() + np.trace(a + b - 2 * cross)) / (t**2).sum(1).mean()


def mean_std(x, t):
    x, t = flat(x), flat(t)
    error = ((x.mean(0) - t.mean(0)) ** 2 + (x.std(0) - t.std(0)) ** 2).sum()
    return error / (t.mean(0) ** 2 + t.std(0) ** 2).sum()


def parts(values):
    """Means of the 256 parts of equal weight of sorted values: each repeated so often that the parts come out whole."""
    return np.repeat(np.sort(values), 256).reshape(256, -1).mean(1)


def sliced(x, t):
    onto = losses.directions(x.shape[-1])
    pairs = [[parts(flat(y) @ onto[:, k]) for y in (x, t)] for k in range(x.shape[-1])]
    return sum(((a - b) ** 2).sum() for a, b in pairs) / sum((b**2).sum() for _, b in pairs)


def cmd(x, t):
    scale = np.sqrt((flat(t) ** 2).mean())
    x, t = (2 / (1 + np.exp(-flat(y) / scale)) - 1 for y in (x, t))
    orders = []
    for k in range(1, 6):
        a, b = (y.mean(0) if k == 1 else ((y - y.mean(0)) ** k).mean(0) for y in (x, t))
        orders.append(((a - b) ** 2).sum() / ((a**2).sum() + (b**2).sum() + len(b) * 0.03 ** (2 * k)))
    return np.mean(orders)


def nearest(x, t):
    x, t = flat(x), flat(t)

    squares = np.array([[((a - b) ** 2).sum() for b in t] for a in x])
    forth, back = squares.min(1).mean(), squares.min(0).mean()
    return max(forth, back) / (t**2).sum(1).mean() / 4


TWINS = {
    "gram": gram,
    "wasserstein": wasserstein,
    "mean-std": mean_std,
    "sliced-wasserstein": sliced,
    "cmd": cmd,
    "nearest": nearest,
}


@pytest.mark.quick
def test_every_loss_has_a_twin_and_is_known_to_the_command_line():
    assert tuple(STYLE_LOSSES) == tuple(TWINS) == tuple(defaults.STYLE_LOSSES)


@pytest.mark.quick
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(8, 11), (5, 3), (20, 30)])
def test_distances_equal_the_naive_twin_for_pictures_of_different_sizes(name, size):
    x, t = 0.7 * features(1), features(2, *size)
    found, expected = distance(name, x, t), TWINS[name](x, t)
    assert found.dtype == jnp.float32 and expected > 0.01
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    with x64():
        again = distance(name, *(jnp.asarray(y, jnp.float64) for y in (x, t)))
        np.testing.assert_allclose(again, expected, rtol=1e-9)


# ------------------------------------------------------------------------------------------- what all have in common


@pytest.mark.quick
@pytest.mark.parametrize("name", NAMES)
def test_distances_are_zero_at_the_target_about_one_at_zero_and_free_of_scale(name):
    x, t = features(3), features(4)
    assert abs(distance(name, t, t)) < 1e-5
    np.testing.assert_allclose(distance(name, 0 * t, t), 0.25 if name == "nearest" else 1, rtol=0.06)
    for scale in (2.0**-10, 2.0**8):
        np.testing.assert_allclose(distance(name, scale * x, scale * t), distance(name, x, t), rtol=2e-3)


@pytest.mark.parametrize("name", NAMES)
def test_distances_do_not_know_where(name):
    x, t = features(5), features(6)
    shuffled = np.random.default_rng(0).permutation(x.reshape(-1, 5)).reshape(11, 8, 5)
    for same in (shuffled, np.tile(x, (3, 2, 1))):
        np.testing.assert_allclose(distance(name, same, t), distance(name, x, t), rtol=1e-4)
        np.testing.assert_allclose(distance(name, t, same), distance(name, t, x), rtol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_equal_finite_differences(name):
    statistic, loss = COMPILED[name]
    x, t = features(7, 4, 5, 3), features(8, 5, 4, 3)
    with x64():
        target = statistic(jnp.asarray(t, jnp.float64))
        check_gradient(lambda x: loss(x, target), np.float64(x) + 0.01, 1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_a_small_step_against_the_gradient_is_an_improvement(name):
    statistic, loss = COMPILED[name]
    x, target = jnp.asarray(features(9)), statistic(jnp.asarray(features(10)))
    value, gradient = GRADIENTS[name](x, target)
    step = 1e-3 * value / jnp.sum(gradient**2)
    assert float(value) * 0.9985 < float(loss(x - step * gradient, target)) < float(value) * 0.9995


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("positions", "channels"), [((8, 11), 5), ((3, 4), 24)], ids=["many", "few"])
def test_near_the_target_too_values_and_gradients_are_those_of_float64(name, positions, channels):
    """With fewer positions than channels as well."""
    t = features(25, *positions, channels)
    x = np.float32(t + 0.01 * np.random.default_rng(26).normal(size=t.shape))
    statistic = COMPILED[name].statistic
    value, gradient = GRADIENTS[name](jnp.asarray(x), statistic(jnp.asarray(t)))
    with x64():
        target = statistic(jnp.asarray(t, jnp.float64))
        exact, slope = GRADIENTS[name](jnp.asarray(x, jnp.float64), target)
        slope = np.asarray(slope)
    assert 0 < float(exact) < 1e-2
    np.testing.assert_allclose(float(value), float(exact), rtol=1e-3)
    assert np.linalg.norm(np.asarray(gradient) - slope) < 5e-3 * np.linalg.norm(slope)


def awkward(seed):
    """Features with a silent channel, a constant one, and silent positions."""
    x = features(seed)
    x[..., 1], x[..., 3], x[:2] = 0, 0.5, 0
    return x


AWKWARD = {
    "at the target": lambda: (features(11), features(11)),
    "silent and constant channels": lambda: (awkward(12), awkward(13)),
    "the same at the target": lambda: (awkward(12), awkward(12)),
    "a blank picture": lambda: (0 * features(12), features(13)),
    "a blank style": lambda: (features(12), 0 * features(13)),
    "both blank": lambda: (0 * features(12), 0 * features(12)),
    "a constant picture": lambda: (np.full_like(features(1), 0.3), features(13)),
    "a constant style": lambda: (features(12), np.full_like(features(1), 0.3)),
    "one position": lambda: (features(12, 1, 1), features(13)),
    "one channel": lambda: (features(12, c=1), features(13, c=1)),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", AWKWARD)
def test_values_and_gradients_are_finite(name, kind):
    x, t = AWKWARD[kind]()
    statistic, _loss = COMPILED[name]
    value, gradient = GRADIENTS[name](jnp.asarray(x), statistic(jnp.asarray(t)))
    assert np.isfinite(value) and np.isfinite(gradient).all()
    assert np.abs(gradient).max() < 100
    if (x == t).all():
        assert abs(value) < 1e-4 and np.abs(gradient).max() < 2e-3


@pytest.mark.parametrize("name", NAMES)
def test_lanes_equal_runs_alone(name):
    statistic, loss = COMPILED[name]
    xs = jnp.stack([jnp.asarray(features(seed)) for seed in range(3)])
    ts = jnp.stack([jnp.asarray(features(seed, 6, 6)) for seed in range(3, 6)])
    together = jax.jit(jax.vmap(lambda x, t: jax.value_and_grad(loss)(x, statistic(t))))(xs, ts)
    for i in range(3):
        alone = GRADIENTS[name](xs[i], statistic(ts[i]))
        np.testing.assert_allclose(together[0][i], alone[0], rtol=1e-4)
        np.testing.assert_allclose(together[1][i], alone[1], rtol=2e-3, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_bfloat16_features_are_accumulated_in_float32(name):
    x, t = (jnp.asarray(features(seed, 48, 60), jnp.bfloat16) for seed in (14, 15))
    statistic, loss = COMPILED[name]
    target = statistic(t)
    assert {leaf.dtype for leaf in jax.tree.leaves(target)} == {jnp.dtype(jnp.float32)}
    found = loss(x, target)
    assert found.dtype == jnp.float32
    exact = loss(x.astype(jnp.float32), statistic(t.astype(jnp.float32)))
    np.testing.assert_allclose(found, exact, rtol=1e-4, atol=1e-7)


# -------------------------------------------------------------------------------------------------------------- masks


def rectangle(shape, rows, columns):
    mask = np.zeros(shape, np.float32)
    mask[rows, columns] = 1
    return jnp.asarray(mask)


def same_statistic(found, expected):
    if isinstance(found, losses.Points):  # as sets of positions: what has no weight is not there
        found, expected = (x.features[x.weights > 0] for x in (found, expected))
        np.testing.assert_array_equal(found, expected)
        return
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * np.abs(b).max())


# Positions of picture and crop: both below the number that are kept, the picture's above it, both above it.
@pytest.mark.parametrize("shape", [(9, 13), slow((91, 92)), (100, 110)])
@pytest.mark.parametrize("name", [x if x in ("gram", "wasserstein") else slow(x) for x in NAMES])
def test_a_rectangular_mask_gives_the_statistic_of_the_crop(name, shape):
    statistic, loss = COMPILED[name]
    if name == "nearest" and shape == (91, 92):
        pytest.skip("the crop has smaller cells")
    rows, columns = slice(6, shape[0] - 1), slice(6, shape[1] - 3)
    x, t = features(16, *shape), features(17, 7, 9)
    mask = rectangle(shape, rows, columns)
    crop = jnp.asarray(x[rows, columns])
    assert (crop.shape[0] * crop.shape[1] > MOST) == (shape == (100, 110))
    same_statistic(statistic(jnp.asarray(x), mask=mask), statistic(crop))
    target = statistic(jnp.asarray(t))
    np.testing.assert_allclose(loss(jnp.asarray(x), target, mask=mask), loss(crop, target), rtol=1e-4)
    np.testing.assert_allclose(
        loss(jnp.asarray(t), statistic(jnp.asarray(x), mask=mask)),
        loss(jnp.asarray(t), statistic(crop)),
        rtol=1e-4,
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_mask_of_ones_is_none_and_its_level_is_of_no_account(name):
    x, t = features(18), features(19)
    whole = distance(name, x, t)
    for level in (1.0, 0.25):
        masked = distance(name, x, t, mask=jnp.full((8, 11), level, jnp.float32))
        np.testing.assert_allclose(masked, whole, rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_a_soft_mask_weighs_positions_as_repetition_does(name):
    x, t = features(20, 6, 8), features(21)
    mask = np.where(np.arange(6) < 3, 1.0, 0.5)[:, None] * np.ones((6, 8))
    repeated = np.concatenate([x[:3], x])  # the upper half twice
    found = distance(name, x, t, mask=jnp.asarray(mask, jnp.float32))
    np.testing.assert_allclose(found, distance(name, repeated, t), rtol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_a_position_outside_the_mask_has_no_gradient_and_an_empty_mask_no_nan(name):
    statistic, _loss = COMPILED[name]
    x, target = jnp.asarray(features(22)), statistic(jnp.asarray(features(23)))
    mask = rectangle((8, 11), slice(0, 8), slice(0, 6))
    _, gradient = GRADIENTS[name](x, target, mask=mask)
    assert (gradient[:, 6:] == 0).all() and np.abs(gradient[:, :6]).max() > 0
    value, gradient = GRADIENTS[name](x, target, mask=0 * mask)
    assert np.isfinite(value) and np.isfinite(gradient).all()


# ------------------------------------------------------------------------------------------------------ several styles


@pytest.mark.parametrize("name", NAMES)
def test_a_mix_of_one_style_only_is_that_style(name):
    statistic, loss = COMPILED[name]
    x, a, b = (jnp.asarray(features(seed, w)) for seed, w in ((24, 8), (25, 9), (26, 5)))
    statistics = [statistic(a), statistic(b)]
    for shares, alone in (([1.0, 0.0], a), ([0.0, 1.0], b)):
        mix = losses.mixed(statistics, jnp.asarray(shares))
        np.testing.assert_allclose(loss(x, mix), loss(x, statistic(alone)), rtol=1e-5)


@pytest.mark.quick
@pytest.mark.parametrize("name", ["gram", "wasserstein", "nearest"])
def test_a_mix_of_two_is_that_of_their_positions_together(name):
    statistic, loss = COMPILED[name]
    x, a, b = (jnp.asarray(features(seed, 6)) for seed in (27, 28, 29))
    both = jnp.concatenate([a, b])
    mix = losses.mixed([statistic(a), statistic(b)], jnp.asarray([0.5, 0.5]))
    np.testing.assert_allclose(loss(x, mix), loss(x, statistic(both)), rtol=1e-5)


def test_a_mix_of_quantiles_is_the_barycentre_along_each_direction():
    a = jnp.asarray(features(30))
    mix = losses.mixed([losses.quantiles(a), losses.quantiles(3 * a)], jnp.asarray([0.5, 0.5]))
    np.testing.assert_allclose(mix, losses.quantiles(2 * a), rtol=1e-4, atol=1e-4)


# ----------------------------------------------------------------------------------------------- one loss or the other


@pytest.mark.quick
def test_directions_are_a_rotation_and_always_the_same():
    for channels in (1, 3, 16):
        onto = losses.directions(channels)
        np.testing.assert_allclose(onto.T @ onto, np.eye(channels), atol=1e-12)
    np.testing.assert_array_equal(losses.directions.__wrapped__(16), losses.directions(16))


def test_the_sliced_distance_is_that_of_sorted_pixels_where_there_are_as_many_as_parts():
    x, t = features(31, 16, 16), features(32, 16, 16)
    onto = losses.directions(5)
    a, b = (np.sort(flat(y) @ onto, 0) for y in (x, t))
    np.testing.assert_allclose(distance("sliced-wasserstein", x, t), ((a - b) ** 2).sum() / (b**2).sum(), rtol=1e-5)


def test_the_sliced_distance_of_shifted_features_is_the_shift():
    t, shift = features(33), np.float32([0.3, -0.2, 0.1, 0.0, 0.5])
    stretch = float(jnp.sum(losses.quantiles(jnp.asarray(t)) ** 2)) / losses.sliced.LEVELS
    np.testing.assert_allclose(distance("sliced-wasserstein", t + shift, t), (shift**2).sum() / stretch, rtol=1e-4)


@pytest.mark.quick
def test_a_single_piece_of_the_style_is_not_enough():
    t = features(34)
    piece = np.broadcast_to(t[4, 4], t.shape).copy()
    assert distance("nearest", piece, t) > 0.3 / 4  # each position has its twin, but most of the style is not there


@pytest.mark.quick
def test_of_many_positions_the_same_ones_are_taken_all_over_the_picture():
    h, w = 100, 130
    y, x = np.mgrid[:h, :w]
    places = jnp.asarray(np.float32(np.stack([y, x], -1)))
    found = losses.points(places).features
    assert found.shape == (MOST, 2) and len(np.unique(np.asarray(found), axis=0)) > 0.9 * MOST
    counts, *_ = np.histogram2d(*np.asarray(found).T, bins=(10, 10), range=((0, h), (0, w)))
    assert counts.min() > 0.5 * counts.mean() and counts.max() < 1.5 * counts.mean()


def test_cells_are_means_and_their_weights_how_much_of_them_there_is():
    x = features(36, 70, 61)
    mask = np.float32(np.random.default_rng(0).random((70, 61)))
    mask[:4, :4] = 0
    for given in (None, mask):
        found = losses.cells(jnp.asarray(x), mask=None if given is None else jnp.asarray(given))
        weights = np.ones((70, 61)) if given is None else np.float64(given)
        k = 0
        for i in range(0, 70, 2):
            for j in range(0, 61, 2):
                part, share = np.float64(x[i : i + 2, j : j + 2]), weights[i : i + 2, j : j + 2]
                np.testing.assert_allclose(found.weights[k], share.sum() / 4, rtol=1e-6)
                if share.sum():
                    mean = (share[..., None] * part).sum((0, 1)) / share.sum()
                    np.testing.assert_allclose(found.features[k], mean, rtol=1e-5, atol=1e-6)
                k += 1
        assert k == len(found.weights) <= CELLS
    assert losses.cells(jnp.asarray(features(37, 8, 256))).features.shape == (CELLS, 5)


def test_distances_of_large_pictures_are_zero_at_the_target_and_their_memory_is_bounded():
    t = jnp.asarray(features(35, 150, 200))
    statistic, loss = COMPILED["nearest"]
    assert loss(t, statistic(t)) == 0
    program = GRADIENTS["nearest"].lower(t, statistic(t)).compile()
    assert program.memory_analysis().temp_size_in_bytes < 2 * CELLS * CELLS  # half of all pairs of cells
