"""Losses: each against a naive twin in float64, the properties it has by definition, and its gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from jaxstyle import losses
from tiny import check_gradient, x64

pytestmark = pytest.mark.quick


def features(seed, h=5, w=7, c=4):
    return np.float32(np.random.default_rng(seed).normal(0.3, 1.0, (h, w, c)))


def naive_gram(x):
    x = np.asarray(x, np.float64)
    h, w, c = x.shape
    gram = np.zeros((c, c))
    for i in range(h):
        for j in range(w):
            for a in range(c):
                for b in range(c):
                    gram[a, b] += x[i, j, a] * x[i, j, b]
    return gram / (h * w)


def naive_moments(x):
    x = np.asarray(x, np.float64)
    mean = x.mean((0, 1))
    return mean, naive_gram(x)


def neighbours(image, dy, dx, pad=False):
    """Pairs (pixel, pixel dy below and dx to the right of it), with loops."""
    image = np.asarray(image, np.float64)
    if pad:
        image = np.pad(image, ((1, 1), (1, 1), (0, 0)), mode="edge")
    h, w, _ = image.shape
    return [
        (image[y, x], image[y + dy, x + dx]) for y in range(h) for x in range(w) if 0 <= y + dy < h and 0 <= x + dx < w
    ]


def close(actual, expected, rtol=1e-6):
    assert actual.dtype == jnp.float32
    np.testing.assert_allclose(np.asarray(actual, np.float64), expected, rtol=rtol, atol=0)


# ------------------------------------------------------------------------------------------------------------- Gram


def test_gram_matrix_equals_four_loops():
    x = features(0)
    np.testing.assert_allclose(losses.gram_matrix(jnp.asarray(x)), naive_gram(x), rtol=2e-6, atol=1e-7)


def test_gram_matrix_is_symmetric_and_positive_semi_definite():
    gram = np.asarray(losses.gram_matrix(jnp.asarray(features(1, 3, 4, 20))))  # rank 12 of 20
    np.testing.assert_array_equal(gram, gram.T)
    values = np.linalg.eigvalsh(np.float64(gram))
    assert values.min() > -1e-6 * values.max()
    assert (values > 1e-4 * values.max()).sum() == 12


def test_gram_matrix_does_not_know_where_nor_how_often_a_picture_is_repeated():
    x = features(2)
    gram = losses.gram_matrix(jnp.asarray(x))
    shuffled = np.random.default_rng(0).permutation(x.reshape(-1, 4)).reshape(7, 5, 4)
    for same in (np.tile(x, (3, 2, 1)), shuffled, x.transpose(1, 0, 2), x[::-1]):
        np.testing.assert_allclose(losses.gram_matrix(jnp.asarray(same)), gram, rtol=1e-5, atol=1e-6)
    assert np.abs(losses.gram_matrix(jnp.asarray(2 * x)) - 4 * gram).max() < 1e-6


def test_gram_matrix_of_bfloat16_is_accumulated_in_float32():
    # Over 10^5 positive products a bfloat16 sum would stop growing after some hundred of them.
    x = jnp.asarray(np.random.default_rng(3).uniform(0, 4, (250, 400, 16)), jnp.bfloat16)
    gram = losses.gram_matrix(x)
    flat = np.asarray(x, np.float64).reshape(-1, 16)
    close(gram, flat.T @ flat / len(flat), rtol=1e-5)
    close(losses.moments(x).mean, flat.mean(0), rtol=1e-5)


def test_a_wrong_shape_is_refused():
    with pytest.raises(Exception, match="features"):
        losses.gram_matrix(jnp.zeros((4, 4)))


# --------------------------------------------------------------------------------------------------- relative terms


def test_content_loss_equals_its_formula():
    x, p = features(4), features(5)
    expected = ((np.float64(x) - p) ** 2).sum() / (np.float64(p) ** 2).sum()
    close(losses.content_loss(jnp.asarray(x), jnp.asarray(p)), expected)


def test_style_loss_equals_its_formula_for_pictures_of_different_sizes():
    x, s = features(6), features(7, 9, 3)
    g, a = naive_gram(x), naive_gram(s)
    expected = ((g - a) ** 2).sum() / (a**2).sum()
    close(losses.style_loss(jnp.asarray(x), losses.gram_matrix(jnp.asarray(s))), expected, rtol=1e-5)


def test_relative_terms_are_zero_at_the_target_one_at_zero_and_free_of_scale():
    x, p = jnp.asarray(features(8)), jnp.asarray(features(9))
    gram = losses.gram_matrix(p)
    assert losses.content_loss(p, p) == 0
    assert losses.style_loss(p, gram) == 0
    close(losses.content_loss(0 * p, p), 1.0)
    close(losses.style_loss(0 * p, gram), 1.0)
    for scale in (2.0**-20, 2.0**-3, 2.0**12):  # powers of two, so that rounding is the same
        assert losses.content_loss(scale * x, scale * p) == losses.content_loss(x, p)
        assert losses.style_loss(scale * x, scale**2 * gram) == losses.style_loss(x, gram)


def test_a_blank_target_gives_zero_at_itself_and_stays_finite_elsewhere():
    x = jnp.asarray(1e3 * features(10))
    blank = jnp.zeros_like(x)
    for value in (x, blank):
        for loss, target in ((losses.content_loss, blank), (losses.style_loss, losses.gram_matrix(blank))):
            number, gradient = jax.value_and_grad(loss)(value, target)
            assert np.isfinite(number) and np.isfinite(gradient).all()
            assert (number == 0) == (value is blank)
    faint = jnp.full_like(x, 1e-22)  # its squares are no normal float32
    assert np.isfinite(losses.content_loss(x, faint))


def test_losses_of_bfloat16_features_are_float32():
    x, p = (jnp.asarray(features(seed, 40, 40), jnp.bfloat16) for seed in (11, 12))
    a, b = (np.asarray(v, np.float64) for v in (x, p))
    close(losses.content_loss(x, p), ((a - b) ** 2).sum() / (b**2).sum(), rtol=1e-5)
    close(losses.mean_squared_error(x, p), ((a - b) ** 2).mean(), rtol=1e-5)
    close(losses.half_squared_error(x, p), 0.5 * ((a - b) ** 2).sum(), rtol=1e-5)
    assert losses.style_loss(x, losses.gram_matrix(p)).dtype == jnp.float32


# ---------------------------------------------------------------------------------------------------------- variation


def picture(seed=0, h=6, w=5):
    return np.float32(np.random.default_rng(seed).random((h, w, 3)))


def test_total_variation_equals_loops():
    image = picture(13)
    below = np.mean([(b - a) ** 2 for a, b in neighbours(image, 1, 0)])
    right = np.mean([(b - a) ** 2 for a, b in neighbours(image, 0, 1)])
    close(losses.total_variation(jnp.asarray(image)), below + right)


@pytest.mark.parametrize("size", [(5, 9), (16, 4)])
def test_total_variation_of_a_ramp_is_its_squared_slopes_whatever_the_size(size):
    y, x = np.mgrid[: size[0], : size[1]]
    ramp = np.float32(np.stack([y / 16 + x / 32, y / 8, x / 4], -1))
    expected = np.mean([1 / 16**2 + 1 / 32**2, 1 / 8**2, 1 / 4**2])
    close(losses.total_variation(jnp.asarray(ramp)), expected)


def test_periodic_variation_is_that_of_a_picture_repeated_wherever_it_is_cut():
    image = picture(16)
    below, right = np.roll(image, -1, 0) - image, np.roll(image, -1, 1) - image
    close(losses.periodic_variation(jnp.asarray(image)), np.mean(below**2) + np.mean(right**2))
    rolled = jnp.roll(jnp.asarray(image), (2, 3), (0, 1))
    np.testing.assert_allclose(losses.periodic_variation(rolled), losses.periodic_variation(jnp.asarray(image)), 1e-6)
    large = jnp.asarray(np.tile(image, (30, 30, 1)))
    np.testing.assert_allclose(losses.total_variation(large), losses.periodic_variation(jnp.asarray(image)), 0.02)


@pytest.mark.parametrize(
    "variation",
    [losses.total_variation, losses.nine_point_variation, losses.absolute_variation_255, losses.periodic_variation],
)
def test_variations_are_zero_on_constants_and_blind_to_a_shift(variation):
    assert variation(jnp.full((6, 7, 3), 0.3)) == 0
    image = jnp.asarray(np.round(picture(14) * 64) / 64)
    assert variation(image) > 0
    np.testing.assert_allclose(variation(image + 0.25), variation(image), rtol=1e-6)
    np.testing.assert_allclose(variation(image[::-1]), variation(image), rtol=1e-6)
    np.testing.assert_allclose(variation(image.transpose(1, 0, 2)), variation(image), rtol=1e-6)


def test_absolute_variation_equals_loops():
    image = picture(15)
    expected = 255 * sum(np.abs(b - a).sum() for dy, dx in ((1, 0), (0, 1)) for a, b in neighbours(image, dy, dx))
    close(losses.absolute_variation_255(jnp.asarray(image)), expected)


def test_nine_point_variation_is_one_sixth_of_all_eight_neighbours():
    # Squares of the differences to all eight neighbours, edges replicated: the straight ones weigh 1/3, the diagonal
    # ones 1/12, in each of the two directions. Means over as many pairs as there are.
    image = picture(16)
    h, w, _ = image.shape
    padded = np.pad(np.float64(image), ((1, 1), (1, 1), (0, 0)), mode="edge")
    right = sum(((padded[y, x + 1] - padded[y, x]) ** 2).sum() for y in range(1, h + 1) for x in range(1, w + 1))
    below = sum(((padded[y + 1, x] - padded[y, x]) ** 2).sum() for y in range(1, h + 1) for x in range(1, w + 1))
    falling = np.mean([(b - a) ** 2 for a, b in neighbours(image, 1, 1, pad=True)])
    rising = np.mean([(b - a) ** 2 for a, b in neighbours(image, 1, -1, pad=True)])
    expected = 2 / 3 * (right + below) / image.size + (falling + rising) / 6
    close(losses.nine_point_variation(jnp.asarray(image)), expected)


def test_no_variation_is_zero():
    assert losses.no_variation(jnp.asarray(picture(17))) == 0


# ------------------------------------------------------------------------------------------------ published formulae


def test_gatys_terms_equal_the_paper_written_with_sums():
    f, p = features(18), features(19)
    n, m = f.shape[2], f.shape[0] * f.shape[1]
    rows, targets = (np.float64(x).reshape(-1, n).T for x in (f, p))  # F_ik as in the paper: N filters, M positions
    content = 0.5 * sum((rows[i, j] - targets[i, j]) ** 2 for i in range(n) for j in range(m))
    close(losses.half_squared_error(jnp.asarray(f), jnp.asarray(p)), content)
    g = [[sum(rows[i, k] * rows[j, k] for k in range(m)) for j in range(n)] for i in range(n)]
    a = [[sum(targets[i, k] * targets[j, k] for k in range(m)) for j in range(n)] for i in range(n)]
    style = sum((g[i][j] - a[i][j]) ** 2 for i in range(n) for j in range(n)) / (4 * n**2 * m**2)
    close(losses.gatys_style(jnp.asarray(f), losses.gram_matrix(jnp.asarray(p))), style, rtol=1e-5)


def test_means_of_squares_equal_torch():
    torch = pytest.importorskip("torch")
    f, p = features(20), features(21)
    planes, targets = (torch.from_numpy(x.transpose(2, 0, 1)).double()[None] for x in (f, p))
    mse = torch.nn.functional.mse_loss
    close(losses.mean_squared_error(jnp.asarray(f), jnp.asarray(p)), float(mse(planes, targets)))

    def gram(x):  # neural-style and the tutorial
        _, c, h, w = x.shape
        flat = x.reshape(c, h * w)
        return flat @ flat.T / (c * h * w)

    found = losses.mean_squared_style(jnp.asarray(f), losses.gram_matrix(jnp.asarray(p)))
    close(found, float(mse(gram(planes), gram(targets))), rtol=1e-5)


# -------------------------------------------------------------------------------------------------------- Wasserstein


def correlated(seed, c=6, h=12, w=10):
    """Features whose covariance has a condition number of some ten."""
    rng = np.random.default_rng(seed)
    mixing = np.linalg.qr(rng.normal(size=(c, c)))[0] * np.linspace(1, 2.5, c)
    return np.float32(rng.normal(size=(h, w, c)) @ mixing + rng.normal(size=c))


def naive_wasserstein2(x, t, epsilon=1e-4):
    (mean, second), (mean_t, second_t) = naive_moments(x), naive_moments(t)
    c = len(mean)
    s = second - np.outer(mean, mean) + epsilon * np.eye(c)
    s_t = second_t - np.outer(mean_t, mean_t) + epsilon * np.eye(c)
    root = scipy.linalg.sqrtm(s_t)
    cross = scipy.linalg.sqrtm(root @ s @ root)
    return ((mean - mean_t) ** 2).mean() + np.trace(s + s_t - 2 * cross.real) / c


def moments(x):
    return losses.moments(jnp.asarray(x))


@pytest.mark.parametrize("seed", range(4))
def test_wasserstein2_equals_its_closed_form_with_exact_roots(seed):
    x, t = correlated(seed), 0.7 * correlated(seed + 10, h=9)
    np.testing.assert_allclose(losses.wasserstein2(moments(x), moments(t)), naive_wasserstein2(x, t), rtol=1e-3)


def test_wasserstein2_is_a_squared_distance():
    x, t = correlated(0), correlated(1)
    there, back = losses.wasserstein2(moments(x), moments(t)), losses.wasserstein2(moments(t), moments(x))
    np.testing.assert_allclose(there, back, rtol=1e-3)
    # At the target the traces cancel: what is left is rounding, against variances of some ten.
    assert abs(losses.wasserstein2(moments(t), moments(t))) < 1e-4
    # Equal covariances: the distance of the means alone. Equal means and 1 channel: that of the deviations.
    np.testing.assert_allclose(losses.wasserstein2(moments(t + 0.5), moments(t)), 0.25, rtol=1e-3)
    line = t[..., :1] - t[..., :1].mean()
    expected = (3 * line.std() - line.std()) ** 2
    np.testing.assert_allclose(losses.wasserstein2(moments(3 * line), moments(line)), expected, rtol=1e-3)


def test_wasserstein2_of_silent_channels_is_finite_with_a_finite_gradient():
    x, t = correlated(2), correlated(3)
    x[..., 2], t[..., 4] = 0, 0  # a channel that never fires makes the covariance singular

    def loss(x):
        return losses.wasserstein2(losses.moments(x), moments(t))

    number, gradient = jax.value_and_grad(loss)(jnp.asarray(x))
    np.testing.assert_allclose(number, naive_wasserstein2(x, t), rtol=0.02)
    assert np.isfinite(gradient).all() and np.abs(gradient).max() < 10


def test_newton_schulz_gives_the_root_and_its_inverse():
    rng = np.random.default_rng(4)
    matrix = np.float32(np.cov(rng.normal(size=(8, 60))) * 37)
    root, inverse = losses.newton_schulz(jnp.asarray(matrix))
    expected = scipy.linalg.sqrtm(np.float64(matrix))
    np.testing.assert_allclose(root, expected, atol=1e-4 * np.abs(expected).max())
    np.testing.assert_allclose(inverse, np.linalg.inv(expected), atol=1e-4 * np.abs(np.linalg.inv(expected)).max())


def test_newton_schulz_stays_bounded_where_the_matrix_is_nearly_singular():
    diagonal = np.float32([1, 1e-2, 1e-3, 1e-9, 0])
    root, inverse = losses.newton_schulz(jnp.diag(jnp.asarray(diagonal)))
    np.testing.assert_allclose(np.diag(root)[:3], np.sqrt(diagonal[:3]), rtol=1e-3)
    assert (np.diag(root)[3:] <= np.sqrt(diagonal[3:])).all()  # damped, never blown up
    assert np.abs(inverse).max() <= 1.5**12 + 1


def test_trace_sqrt_equals_the_sum_of_roots_of_eigenvalues():
    matrix = np.float32(np.cov(np.random.default_rng(5).normal(size=(7, 90))))
    expected = np.sqrt(np.linalg.eigvalsh(np.float64(matrix))).sum()
    close(losses.trace_sqrt(jnp.asarray(matrix), 12), expected, rtol=1e-5)


# ---------------------------------------------------------------------------------------------------------- gradients

PIXELS = {
    "total variation": losses.total_variation,
    "absolute variation": losses.absolute_variation_255,
    "nine points": losses.nine_point_variation,
    "periodic": losses.periodic_variation,
}


@pytest.mark.parametrize("name", PIXELS)
def test_gradients_of_variations_equal_finite_differences(name):
    with x64():
        check_gradient(PIXELS[name], picture(22))


FEATURES = {
    "content": (lambda x: x, losses.content_loss),
    "half squared": (lambda x: x, losses.half_squared_error),
    "mean squared": (lambda x: x, losses.mean_squared_error),
    "gatys": (losses.gram_matrix, losses.gatys_style),
    "mean squared style": (losses.gram_matrix, losses.mean_squared_style),
    "crowsonkb": (losses.moments, losses.crowsonkb_style),
}


@pytest.mark.parametrize("name", FEATURES)
def test_gradients_of_feature_losses_equal_finite_differences(name):
    statistic, loss = FEATURES[name]
    x, t = (correlated(seed, c=4) for seed in (6, 7))
    with x64():
        target = statistic(jnp.asarray(t, jnp.float64))
        # The gradient of the trace of a root is that of the exact one; twelve iterations come near it.
        check_gradient(lambda x: loss(x, target), x, 1e-4 if name == "crowsonkb" else 1e-6)


def test_gradient_of_trace_sqrt_equals_finite_differences():
    matrix = np.cov(np.random.default_rng(8).normal(size=(5, 60)))
    with x64():
        check_gradient(lambda x: losses.trace_sqrt(x, 12), matrix, 1e-6)
