"""The objective: its terms and their sum against NumPy, the presets against the published formulae, and its tracing.

The formulae below are written from the papers and programs, in float64, without `jaxstyle.losses`.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import OBJECTIVE, check_gradient, features, network, picture, x64

from jaxstyle.networks import Network
from jaxstyle.networks.vgg import VGG
from jaxstyle.objective import PRESETS, RELATIVE, LossTerms, Objective, Weights, loss_terms, make_targets

NET = network()
DEEP = VGG(depths=(2, 2, 2, 2, 1), widths=(4, 5, 6, 7, 6))
IMAGE, CONTENT, STYLE = picture(0), picture(1), picture(2)
TARGETS = jax.jit(lambda: make_targets(NET, CONTENT, [STYLE], objective=OBJECTIVE))()


class FixedFeatures(Network):
    """In place of a network: each layer is a random map of the colours of every second, fourth ... pixel."""

    def features(self, image, layers):
        def layer(name):
            rng, stride = np.random.default_rng(list(name.encode())), 2 ** (int(name[4]) - 1)
            kernel = jnp.asarray(rng.normal(size=(3, 4 + stride)), image.dtype)
            x = jnp.sin(3 * image[::stride, ::stride] @ kernel)
            return jnp.maximum(x, 0) if name.startswith("relu") else x

        return {name: layer(name) for name in layers}


def fixed_features():
    return FixedFeatures({}, "fixed", DEEP, "torchvision")


def wide(net, image, layers):
    # Of a network all layers: that is one program for each size of picture.
    fixed = isinstance(net, FixedFeatures)
    found = net.features(image, layers) if fixed else features(net, image, net.layers_within(*image.shape[:2]))
    return {name: np.asarray(found[name], np.float64) for name in layers}


def flat(x):
    """(positions, channels)."""
    return x.reshape(-1, x.shape[-1])


def gram(x):
    return flat(x).T @ flat(x) / len(flat(x))


def relative(value, target):
    return ((value - target) ** 2).sum() / (target**2).sum()


def variation(image):
    image = np.asarray(image, np.float64)
    return (np.diff(image, axis=0) ** 2).mean() + (np.diff(image, axis=1) ** 2).mean()


def naive_terms(net, image, content, styles, weights, objective, mix=None):
    """Content, style and variation of the default formula."""
    f, p = (wide(net, x, objective.content_layers) for x in (image, content))
    g = wide(net, image, objective.style_layers)
    content_term = np.mean([relative(f[name], p[name]) for name in p]) if p else 0.0
    shares = np.ones(len(styles)) if mix is None else np.asarray(mix, np.float64)
    values = []
    for name in objective.style_layers:
        grams = [gram(wide(net, style, (name,))[name]) for style in styles]
        target = sum(s * a for s, a in zip(shares, grams, strict=True)) / shares.sum()
        values.append(relative(gram(g[name]), target))
    layers = np.ones(len(values)) if weights.layers is None else np.asarray(weights.layers, np.float64)
    style_term = (layers * values).sum() / layers.sum() if values else 0.0
    return content_term, style_term, variation(image)


def check(terms, expected, weights, rtol=1e-5):
    np.testing.assert_allclose([terms.content, terms.style, terms.variation], expected, rtol=rtol)
    total = weights.content * expected[0] + weights.style * expected[1] + weights.variation * expected[2]
    np.testing.assert_allclose(terms.total, total, rtol=rtol)
    assert all(x.dtype == jnp.float32 and x.shape == () for x in terms)


@functools.partial(jax.jit, static_argnums=5)
def compiled(net, image, content, styles, weights, objective, mix=None):
    targets = make_targets(net, content, styles, objective=objective, mix=mix)
    return loss_terms(image, net, targets, weights, objective=objective)


def evaluate(weights, objective, styles=(STYLE,), net=NET, mix=None):
    return compiled(net, IMAGE, CONTENT, list(styles), weights, objective, mix)


# ------------------------------------------------------------------------------------------------- terms and their sum


@pytest.mark.parametrize(
    "weights",
    [
        Weights(),
        Weights(content=3.0, style=7.0, variation=11.0),
        Weights(layers=np.float32([5, 0, 1, 2.5, 1e-3])),
        Weights(content=0.0, style=1.0, variation=0.0),
    ],
)
def test_terms_and_total_equal_the_naive_formula(weights):
    expected = naive_terms(NET, IMAGE, CONTENT, [STYLE], weights, OBJECTIVE)
    check(evaluate(weights, OBJECTIVE), expected, weights)


def test_several_content_layers_are_averaged():
    objective = Objective(("relu2_1", "conv4_1"), ("relu1_1", "pool3"))
    expected = naive_terms(NET, IMAGE, CONTENT, [STYLE], Weights(), objective)
    check(evaluate(Weights(), objective), expected, Weights())


@pytest.mark.parametrize("mix", [None, [1.0, 1.0, 1.0], [0.2, 0.7, 0.1], [3.0, 0.0, 1.0]])
def test_several_styles_are_a_mix_of_their_statistics(mix):
    styles = [STYLE, picture(3, 24, 24), picture(4, 48, 20)]
    expected = naive_terms(NET, IMAGE, CONTENT, styles, Weights(), OBJECTIVE, mix)
    given = None if mix is None else jnp.float32(mix)
    check(evaluate(Weights(), OBJECTIVE, styles, mix=given), expected, Weights())


def test_a_mix_of_one_style_only_is_that_style():
    one = make_targets(NET, CONTENT, [STYLE], objective=OBJECTIVE).style
    of_two = make_targets(NET, CONTENT, [STYLE, IMAGE], objective=OBJECTIVE, mix=jnp.float32([2, 0])).style
    for name in one:
        np.testing.assert_allclose(of_two[name], one[name], rtol=1e-6, atol=1e-7)


def test_terms_are_zero_where_the_picture_is_its_own_target():
    terms = compiled(NET, CONTENT, CONTENT, [CONTENT], Weights(), OBJECTIVE)
    assert terms.content == 0 and terms.style < 1e-12 and terms.variation > 0


@pytest.mark.parametrize("objective", [Objective((), ("relu1_1", "relu3_1")), Objective(("relu2_1",), ())])
def test_one_kind_of_layers_may_be_missing(objective):
    weights = Weights(content=2.0, style=3.0, variation=0.0)
    terms = evaluate(weights, objective)
    check(terms, naive_terms(NET, IMAGE, CONTENT, [STYLE], weights, objective), weights)
    assert (terms.content == 0) == (not objective.content_layers)
    assert (terms.style == 0) == (not objective.style_layers)


def test_layers_are_each_named_once_content_first():
    assert Objective(("relu2_1",), ("relu1_1", "relu2_1")).layers == ("relu2_1", "relu1_1")
    assert Objective() == Objective() and hash(Objective()) == hash(Objective())
    assert Objective() != Objective(("relu2_1",))
    assert RELATIVE.mean


def test_the_default_objective_is_used_when_none_is_given():
    net = fixed_features()
    targets = make_targets(net, CONTENT, [STYLE])
    assert set(targets.content) == {"relu4_2"} and len(targets.style) == 5
    expected = naive_terms(net, IMAGE, CONTENT, [STYLE], Weights(), Objective())
    check(loss_terms(IMAGE, net, targets, Weights()), expected, Weights())


# ------------------------------------------------------------------------------------------------------------ presets


def gatys(net, image, content, style, weights):
    """Equations 1, 4, 5 and 7: sums over positions; each of the five layers weighs 1/5."""
    f, p = (wide(net, x, ("conv4_2",))["conv4_2"] for x in (image, content))
    layers = [f"conv{block}_1" for block in range(1, 6)]
    g, a = (wide(net, x, layers) for x in (image, style))
    errors = []
    for name in layers:
        m, n = flat(g[name]).shape
        difference = flat(g[name]).T @ flat(g[name]) - flat(a[name]).T @ flat(a[name])
        errors.append((difference**2).sum() / (4 * n**2 * m**2))
    return 0.5 * ((f - p) ** 2).sum(), sum(errors) / 5, 0.0


def over_all(x):
    """Gram matrix over channels x height x width, as neural-style and the tutorial take it."""
    return flat(x).T @ flat(x) / x.size


def neural_style(net, image, content, style, weights):
    """Means of squares, layers summed; absolute differences of pixels of 0 to 255, summed."""
    f, p = (wide(net, x, ("relu4_2",))["relu4_2"] for x in (image, content))
    layers = [f"relu{block}_1" for block in range(1, 6)]
    g, a = (wide(net, x, layers) for x in (image, style))
    pixels = 255 * np.asarray(image, np.float64)
    differences = np.abs(np.diff(pixels, axis=0)).sum() + np.abs(np.diff(pixels, axis=1)).sum()
    return ((f - p) ** 2).mean(), sum(((over_all(g[x]) - over_all(a[x])) ** 2).mean() for x in layers), differences


def pytorch_tutorial(net, image, content, style, weights):
    """conv_4 and conv_1 ... conv_5, counted from the input."""
    layers = ["conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1"]
    f, p = (wide(net, x, ("conv2_2",))["conv2_2"] for x in (image, content))
    g, a = (wide(net, x, layers) for x in (image, style))
    return ((f - p) ** 2).mean(), sum(((over_all(g[x]) - over_all(a[x])) ** 2).mean() for x in layers), 0.0


def root(matrix):
    """Twelve Newton-Schulz iterations, coupled."""
    size, identity = np.sqrt((matrix**2).sum()), np.eye(len(matrix))
    y, z = matrix / size, identity
    for _ in range(12):
        t = (3 * identity - z @ y) / 2
        y, z = y @ t, t @ z
    return y * np.sqrt(size)


def crowsonkb(net, image, content, style, weights):
    """Wasserstein-2 of Gaussians, layers weighed 256 : 64 : 16 : 4 : 1, and the nine-point variation."""
    f, p = (wide(net, x, ("relu4_2",))["relu4_2"] for x in (image, content))
    layers = [f"relu{block}_1" for block in range(1, 6)]
    g, a = (wide(net, x, layers) for x in (image, style))
    distances = []
    for name in layers:
        means = [flat(x[name]).mean(0) for x in (g, a)]
        covariances = [
            gram(x[name]) - np.outer(mean, mean) + 1e-4 * np.eye(len(mean))
            for x, mean in zip((g, a), means, strict=True)
        ]
        half = root(covariances[1])
        cross = root(half @ covariances[0] @ half)
        distances.append(
            ((means[0] - means[1]) ** 2).mean() + np.diag(covariances[0] + covariances[1] - 2 * cross).mean()
        )
    shares = np.array([256, 64, 16, 4, 1]) / 341
    x = np.pad(np.asarray(image, np.float64), ((1, 1), (1, 1), (0, 0)), mode="edge")
    straight = ((x[1:-1, 2:] - x[1:-1, 1:-1]) ** 2).mean() + ((x[2:, 1:-1] - x[1:-1, 1:-1]) ** 2).mean()
    diagonal = ((x[1:, 1:] - x[:-1, :-1]) ** 2).mean() + ((x[1:, :-1] - x[:-1, 1:]) ** 2).mean()
    return ((f - p) ** 2).mean(), (shares * distances).sum(), 2 * (straight / 3 + diagonal / 12)


PUBLISHED = {
    "gatys": (gatys, Weights(1.0, 1e3, 0.0)),
    "neural-style": (neural_style, Weights(5.0, 100.0, 1e-3)),
    "pytorch-tutorial": (pytorch_tutorial, Weights(1.0, 1e6, 0.0)),
    "crowsonkb": (crowsonkb, Weights(0.015, 1.0, 2.0)),
}


def test_every_preset_but_the_default_is_held_against_its_publication():
    assert set(PRESETS) == {"default", *PUBLISHED}
    assert PRESETS["default"].objective == Objective() and PRESETS["default"].weights == Weights()
    assert all(preset.source for preset in PRESETS.values())


@pytest.mark.parametrize("name", PUBLISHED)
def test_presets_equal_the_published_formulae(name):
    formula, published = PUBLISHED[name]
    objective, weights = PRESETS[name].objective, PRESETS[name].weights
    assert weights[:3] == published[:3]

    def terms(net, dtype):
        image, content, style = (jnp.asarray(x, dtype) for x in (IMAGE, CONTENT, STYLE))
        targets = make_targets(net, content, [style], objective=objective)
        return loss_terms(image, net, targets, weights, objective=objective)

    net = fixed_features()
    expected = formula(net, IMAGE, CONTENT, STYLE, published)
    # The traces of crowsonkb's term are a hundred times what is left of them: float32 ends at the fourth digit.
    check(jax.jit(lambda: terms(net, jnp.float32))(), expected, published, 2e-4 if name == "crowsonkb" else 1e-5)
    with x64():
        found = jax.jit(lambda: terms(fixed_features(), jnp.float64))()
        expected = formula(fixed_features(), *(jnp.asarray(x, jnp.float64) for x in (IMAGE, CONTENT, STYLE)), published)
        np.testing.assert_allclose([found.content, found.style, found.variation], expected, rtol=1e-9)


# ------------------------------------------------------------------------------------------- gradients and tracing


def test_gradient_of_the_total_at_the_pixels_equals_finite_differences():
    with x64():
        net = network(dtype=jnp.float64)
        image, content, style = (jnp.asarray(picture(seed, 16, 24), jnp.float64) for seed in (0, 1, 2))
        weights = Weights(layers=np.float64([1, 2, 3, 4, 5]))
        targets = jax.jit(lambda: make_targets(net, content, [style], objective=OBJECTIVE))()
        check_gradient(lambda x: loss_terms(x, net, targets, weights, objective=OBJECTIVE).total, image)


LANES = Weights(
    content=np.float32([1, 0.5, 2]),
    style=np.float32([10, 100, 1]),
    variation=np.float32([0, 1, 0.5]),
    layers=np.float32([[1, 1, 1, 1, 1], [1, 0, 0, 0, 0], [5, 4, 3, 2, 1]]),
)


def test_new_weights_are_traced_once_and_a_lane_of_vmap_equals_a_run_alone():
    targets = TARGETS
    traces = []

    @jax.jit
    def terms(weights, image):
        traces.append(weights)
        return loss_terms(image, NET, targets, weights, objective=OBJECTIVE)

    alone = [terms(Weights(*(x[i] for x in LANES[:4])), IMAGE) for i in range(3)]
    assert len(traces) == 1
    assert len({float(x.total) for x in alone}) == 3
    together = jax.jit(jax.vmap(lambda w: loss_terms(IMAGE, NET, targets, w, objective=OBJECTIVE)))(LANES)
    for i, solo in enumerate(alone):
        check(solo, naive_terms(NET, IMAGE, CONTENT, [STYLE], lane := lane_of(i), OBJECTIVE), lane)
        for field in LossTerms._fields:
            np.testing.assert_allclose(getattr(together, field)[i], getattr(solo, field), rtol=1e-5)


def lane_of(i):
    return Weights(*(x[i] for x in LANES[:4]))


def test_vmap_over_one_leaf_of_the_weights_alone():
    targets = TARGETS
    axes = Weights(content=None, style=0, variation=None)
    styles = jnp.float32([0, 1, 2])
    run = jax.vmap(lambda w: loss_terms(IMAGE, NET, targets, w, objective=OBJECTIVE).total, in_axes=(axes,))
    totals = run(Weights(content=1.0, style=styles, variation=0.5))
    np.testing.assert_allclose(totals[2] - totals[1], totals[1] - totals[0], rtol=1e-5)


def test_mix_is_traced_and_differentiable():
    styles = [STYLE, picture(5)]

    @jax.jit
    def total(mix):
        targets = make_targets(NET, CONTENT, styles, objective=OBJECTIVE, mix=mix)
        return loss_terms(IMAGE, NET, targets, Weights(), objective=OBJECTIVE).total

    totals = [float(total(jnp.float32(mix))) for mix in ([1, 0], [0.5, 0.5], [2, 2], [0, 1])]
    assert total._cache_size() == 1
    np.testing.assert_allclose(totals[1], totals[2], rtol=1e-6)
    assert len({round(x, 3) for x in totals}) == 3
    gradient = jax.grad(total)(jnp.float32([0.5, 0.5]))
    np.testing.assert_allclose(gradient.sum(), 0, atol=1e-4 * np.abs(gradient).max())  # shares alone count
