"""The objective: its terms and their sum against NumPy, the presets against the published formulae, and its tracing.

The formulae below are written from the papers and programs, in float64, without `jaxstyle.losses`.
"""

import functools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.errors import InputError
from jaxstyle.losses import STYLE_LOSSES
from jaxstyle.objective import (
    FORMULAE,
    RELATIVE,
    LossTerms,
    Objective,
    Weights,
    combine_styles,
    describe_styles,
    loss_terms,
    make_targets,
)
from marks import slow
from tiny import OBJECTIVE, FixedFeatures, check_gradient, features, fixed_features, network, picture, x64

NET = network()
IMAGE, CONTENT, STYLE = picture(0), picture(1), picture(2)
TARGETS = jax.jit(lambda: make_targets(NET, CONTENT, [STYLE], objective=OBJECTIVE))()


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


@pytest.mark.quick
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


@pytest.mark.parametrize("mix", [slow(None), slow([1.0, 1.0, 1.0]), [0.2, 0.7, 0.1], slow([3.0, 0.0, 1.0])])
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


@pytest.mark.quick
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


@pytest.mark.quick
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


# -------------------------------------------------------------------------------------------------------- style losses


@pytest.mark.parametrize("name", [x if x in ("gram", "wasserstein") else slow(x) for x in STYLE_LOSSES])
def test_a_style_loss_by_name_is_the_mean_of_its_distances_over_the_layers(name):
    objective = Objective(OBJECTIVE.content_layers, ("relu1_1", "relu3_1"), style_loss=name)
    statistic, distance = STYLE_LOSSES[name]
    found, style = (features(NET, x, objective.style_layers) for x in (IMAGE, STYLE))
    expected = np.mean([distance(found[layer], statistic(style[layer])) for layer in objective.style_layers])
    terms = evaluate(Weights(), objective)
    np.testing.assert_allclose(terms.style, expected, rtol=1e-4)
    np.testing.assert_allclose(terms.content, evaluate(Weights(), OBJECTIVE).content, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", STYLE_LOSSES)
def test_several_styles_are_mixed_whatever_the_loss(name):
    objective = Objective(("relu2_1",), ("relu1_1", "relu2_1"), style_loss=name)
    styles = [STYLE, picture(3, 24, 24)]
    alone = [evaluate(Weights(), objective, [style]).style for style in styles]
    for mix, expected in (([1.0, 0.0], alone[0]), ([0.0, 2.0], alone[1])):
        found = evaluate(Weights(), objective, styles, mix=jnp.float32(mix)).style
        np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.quick
def test_gram_is_the_default_and_others_differ_from_it():
    assert Objective(style_loss="gram") == Objective() and hash(Objective(style_loss="gram")) == hash(Objective())
    cmd = Objective(style_loss="cmd")
    assert cmd != Objective() and replace(cmd, content_layers=("relu1_1",)).formula == cmd.formula
    assert cmd.formula == RELATIVE._replace(statistic=STYLE_LOSSES["cmd"].statistic, style=STYLE_LOSSES["cmd"].distance)
    assert FORMULAE["relative"] == RELATIVE
    with pytest.raises(InputError, match=r"no style loss 'grm'; it is one of gram, .*did you mean 'gram'"):
        Objective(style_loss="grm")


# ------------------------------------------------------------------------------------------------ styles by layer

STYLES = [np.asarray(picture(1)), np.asarray(picture(2, 24, 48))]
FINE = np.float32([[1, 0], [1, 0], [1, 1], [0, 1], [0, 1]])


@functools.cache
def statistics():
    return describe_styles(NET, STYLES, OBJECTIVE)


def wanted(mix, table):
    """The mixture at each layer, by hand."""
    shares = np.asarray(mix, np.float64) * np.asarray(table, np.float64)
    shares /= shares.sum(1, keepdims=True)
    kept = statistics()
    return {
        x: sum(s * np.asarray(one[x]) for s, one in zip(row, kept, strict=True))
        for x, row in zip(OBJECTIVE.style_layers, shares, strict=True)
    }


@pytest.mark.parametrize("mix", [None, [3.0, 1.0]])
def test_styles_are_mixed_at_each_layer_by_itself(mix):
    given = None if mix is None else np.float32(mix)
    found = make_targets(NET, CONTENT, STYLES, objective=OBJECTIVE, mix=given, mix_layers=FINE).style
    for layer, value in wanted([1, 1] if mix is None else mix, FINE).items():
        np.testing.assert_allclose(found[layer], value, rtol=1e-5, atol=1e-7)


def test_a_style_alone_at_a_layer_is_that_style():
    for k in (0, 1):
        table = np.zeros((5, 2), np.float32)
        table[:, k] = [1, 2, 3, 4, 5]
        found = make_targets(NET, CONTENT, STYLES, objective=OBJECTIVE, mix_layers=table).style
        alone = make_targets(NET, CONTENT, STYLES[k : k + 1], objective=OBJECTIVE).style
        for layer in OBJECTIVE.style_layers:
            np.testing.assert_allclose(found[layer], alone[layer], rtol=1e-6)


def test_equal_shares_at_all_layers_are_the_mix_itself():
    mix = np.float32([0.3, 0.7])
    same = make_targets(NET, CONTENT, STYLES, objective=OBJECTIVE, mix=mix).style
    for options in ({"mix": mix, "mix_layers": np.ones((5, 2), np.float32)}, {"mix_layers": np.tile(mix, (5, 1))}):
        found = make_targets(NET, CONTENT, STYLES, objective=OBJECTIVE, **options).style
        for layer in OBJECTIVE.style_layers:
            np.testing.assert_allclose(found[layer], same[layer], rtol=1e-5, atol=1e-7)


def test_without_shares_by_layer_the_program_is_the_same_as_ever():
    def plain(kept, mix):
        shares = mix / jnp.sum(mix)
        return {x: sum(s * one[x] for s, one in zip(shares, kept, strict=True)) for x in kept[0]}

    mix = jnp.float32([1, 2])
    now = jax.make_jaxpr(lambda kept, mix: combine_styles(kept, OBJECTIVE, mix=mix))(statistics(), mix)
    assert str(now) == str(jax.make_jaxpr(plain)(statistics(), mix))
    assert len(jax.tree.leaves(Weights())) == 3  # a program is given no array more


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
