"""Measures of a picture against naive twins in NumPy float64, another library, and what they are by definition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxstyle
from jaxstyle.losses import STYLE_LOSSES
from jaxstyle.objective import default_objective
from jaxstyle.pictures.color import rgb_to_lab
from jaxstyle.studies import evaluate as module
from jaxstyle.studies.evaluate import evaluate, structure_distance, structure_layer
from marks import slow
from tiny import DEEP, features, network, picture

IMAGE, CONTENT, STYLE = picture(1, 32, 40), picture(2, 32, 40), picture(3, 48, 32)
NET = network(module=DEEP)
color_distance = jax.jit(module.color_distance)  # its operations one by one take longer to compile


def naive_structure(a, b):
    """Each row of both tables of similarities by itself."""
    a, b = (np.float64(x).reshape(-1, x.shape[-1]) for x in (a, b))
    total = 0.0
    for i in range(len(a)):
        p, q = (np.exp(x @ x[i] / x.shape[1] ** 2) for x in (b, a))
        p, q = p / p.sum(), q / q.sum()
        total += np.sum(p * np.log(p / q))
    return total


lab = jax.jit(rgb_to_lab)


def naive_colors(a, b):
    """tr (S^1/2 T S^1/2)^1/2 is the sum of the roots of the eigenvalues of S T."""
    a, b = (np.float64(lab(x)).reshape(-1, 3) for x in (a, b))
    s, t = (np.cov(x.T, bias=True) for x in (a, b))
    cross = np.sqrt(np.maximum(np.linalg.eigvals(s @ t).real, 0)).sum()
    return np.sqrt(np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(s + t) - 2 * cross)


@pytest.mark.parametrize("rows", [7, 1024])
def test_structure_equals_its_definition_in_float64(monkeypatch, rows):
    monkeypatch.setattr(module, "ROWS", rows)  # 7 does not divide the 80 positions
    rng = np.random.default_rng(0)
    a, b = (jnp.asarray(4 * rng.random((8, 10, 5)), jnp.float32) for _ in range(2))
    np.testing.assert_allclose(structure_distance(a, b), naive_structure(a, b), rtol=1e-5)
    assert naive_structure(a, b) > 0.5


def test_structure_is_as_torch_has_the_published_formula():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    a, b = (20 * rng.random((6, 7, 16), np.float32) for _ in range(2))

    def similarities(x):
        flat = torch.tensor(x).reshape(1, -1, 16) / 16
        return torch.bmm(flat, flat.transpose(1, 2))

    ours, theirs = similarities(a).log_softmax(-1), similarities(b).softmax(-1)
    expected = torch.nn.functional.kl_div(ours.reshape(1, -1), theirs.reshape(1, -1), reduction="batchmean")
    np.testing.assert_allclose(structure_distance(jnp.asarray(a), jnp.asarray(b)), float(expected), rtol=1e-4)


def test_structure_is_zero_for_equal_features_and_knows_no_order_of_positions():
    rng = np.random.default_rng(2)
    a, b = (jnp.asarray(3 * rng.random((6, 8, 4)), jnp.float32) for _ in range(2))
    assert float(structure_distance(a, a)) == 0
    order = rng.permutation(48)
    c, d = (x.reshape(48, 4)[order].reshape(6, 8, 4) for x in (a, b))
    np.testing.assert_allclose(structure_distance(c, d), structure_distance(a, b), rtol=1e-5)
    # A rotation of the channels changes every feature, and no similarity.
    turn = jnp.asarray(np.linalg.qr(rng.normal(size=(4, 4)))[0], jnp.float32)
    assert float(structure_distance(a @ turn, a)) < 1e-5 < float(structure_distance(b, a))


def test_colors_equal_their_definition_in_float64():
    grey = jnp.full((16, 16, 3), 0.5)
    for a, b in ((IMAGE, STYLE), (IMAGE, 0.5 * IMAGE), (grey, IMAGE), (IMAGE, grey)):
        np.testing.assert_allclose(color_distance(a, b), naive_colors(a, b), rtol=1e-3)
    np.testing.assert_allclose(color_distance(jnp.zeros((16, 16, 3)), jnp.ones((20, 16, 3))), 100, rtol=1e-4)
    assert float(color_distance(IMAGE, IMAGE[::-1, ::-1])) < 0.02 < 1 < float(color_distance(IMAGE, 0.9 * IMAGE))


@pytest.mark.slow
def test_an_evaluation_by_parts_in_float64():
    found = evaluate(IMAGE, CONTENT, STYLE, network=NET)
    objective = default_objective(NET)
    layers = objective.layers
    x, p, s = ({k: np.float64(v) for k, v in features(NET, y, layers).items()} for y in (IMAGE, CONTENT, STYLE))

    def gram(y):
        flat = y.reshape(-1, y.shape[-1])
        return flat.T @ flat / len(flat)

    assert tuple(found.content) == objective.content_layers and tuple(found.style) == objective.style_layers
    for layer, value in found.content.items():
        np.testing.assert_allclose(value, ((x[layer] - p[layer]) ** 2).sum() / (p[layer] ** 2).sum(), rtol=1e-4)
    for layer, value in found.style.items():
        a, b = gram(x[layer]), gram(s[layer])
        np.testing.assert_allclose(value, ((a - b) ** 2).sum() / (b**2).sum(), rtol=1e-4)
    assert structure_layer(NET) == "relu3_1"
    np.testing.assert_allclose(found.structure, naive_structure(x["relu3_1"], p["relu3_1"]), rtol=1e-3)
    assert float(found.ssim) == pytest.approx(float(jaxstyle.ssim(IMAGE, CONTENT)), abs=1e-6)
    np.testing.assert_allclose(found.style_color, naive_colors(IMAGE, STYLE), rtol=1e-3)
    np.testing.assert_allclose(found.content_color, naive_colors(IMAGE, CONTENT), rtol=1e-3)


@pytest.mark.slow
def test_the_content_is_all_content_and_the_style_all_style():
    same = evaluate(CONTENT, CONTENT, STYLE, network=NET)
    assert not any(map(float, same.content.values())) and float(same.structure) == 0
    assert float(same.ssim) == pytest.approx(1) and float(same.content_color) < 0.1 < float(same.style_color)
    style = evaluate(STYLE, picture(4, 48, 32), STYLE, network=NET)
    assert max(map(float, style.style.values())) < 1e-9 and float(style.style_color) < 0.1
    assert min(map(float, style.content.values())) > 1e-3


@pytest.mark.parametrize("style_loss", [slow(x) for x in STYLE_LOSSES])
def test_a_mix_of_a_style_with_itself_is_that_style_and_no_share_is_none(style_loss):
    one = evaluate(IMAGE, CONTENT, STYLE, network=NET, style_loss=style_loss)
    twice = evaluate(IMAGE, CONTENT, [STYLE, STYLE], network=NET, style_loss=style_loss)
    first = evaluate(IMAGE, CONTENT, [STYLE, picture(5, 48, 32)], network=NET, mix=(2, 0), style_loss=style_loss)
    for other in (twice, first):
        for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-3, atol=1e-5)


@pytest.mark.slow
def test_structure_of_networks_of_other_scales():
    """A network that sees pixels up to 255 has features larger by that; the distance is none of it."""
    large = network(module=DEEP, preprocessing="keras")
    scale = 255 * np.mean((0.229, 0.224, 0.225))
    x, p = (features(large, y, ("relu3_1",))["relu3_1"] / scale for y in (IMAGE, CONTENT))
    found = evaluate(IMAGE, CONTENT, STYLE, network=large).structure
    np.testing.assert_allclose(found, naive_structure(x, p), rtol=1e-3)


@pytest.mark.parametrize(
    "wrong, told",
    [
        ({"content": STYLE}, "the content is 32 x 48 pixels; it must be of the size of the image, 40 x 32"),
        ({"mix": (1, 2)}, "mix is"),
        ({"mix": (0,)}, "mix is"),
        ({"mix": (-1,)}, "mix is"),
        ({"style_loss": "grim"}, "no style loss 'grim'"),
    ],
)
def test_what_cannot_be_measured(wrong, told):
    arguments = {"content": CONTENT} | wrong
    with pytest.raises(jaxstyle.InputError, match=told):
        evaluate(IMAGE, arguments.pop("content"), STYLE, network=NET, **arguments)
