"""Texture synthesis: errors that fall, sizes, borders that match, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.engine.run import Result
from jaxstyle.errors import InputError
from jaxstyle.losses import STYLE_LOSSES
from jaxstyle.objective import LossTerms, Objective, make_targets
from jaxstyle.pictures.metrics import psnr
from jaxstyle.solvers import Adam
from jaxstyle.studies import texture
from jaxstyle.studies.reconstruct import reconstruct
from jaxstyle.studies.texture import gram_errors, synthesise
from marks import slow
from tiny import features, network, picture

NET = network()
IMAGE, SOURCE = picture(1, 32, 48), picture(2, 32, 48)
LAYERS = ("relu1_1", "relu2_1")


def gram(image, layer, net=NET):
    x = np.float64(features(net, jnp.asarray(image), (layer,))[layer])
    return np.einsum("hwc,hwd->cd", x, x) / (x.shape[0] * x.shape[1])


@pytest.mark.parametrize("size", [(32, 48), slow((64, 24))])
def test_a_texture_of_any_size_takes_on_the_gram_matrices(size):
    result = synthesise(SOURCE, network=NET, layers=LAYERS, height=size[0], width=size[1], min_size=max(size), steps=40)
    assert result.image.shape == (*size, 3)
    errors = {}
    for layer in LAYERS:
        wanted = gram(SOURCE, layer)
        errors[layer] = np.sum((gram(result.image, layer) - wanted) ** 2) / np.sum(wanted**2)
    found = gram_errors(result.image, SOURCE, network=NET, layers=LAYERS)
    assert list(found) == list(LAYERS)
    for layer, error in errors.items():
        np.testing.assert_allclose(found[layer], error, rtol=1e-3, atol=1e-7)
    np.testing.assert_allclose(result.final.style, np.mean(list(errors.values())), rtol=1e-3, atol=1e-7)
    assert result.final.style < 0.02 * result.losses.style[0]
    assert psnr(result.image, SOURCE) < 20 if size == SOURCE.shape[:2] else True  # a texture, not the picture


@pytest.mark.slow
def test_scales_follow_the_source(monkeypatch):
    """The coarsest leaves the source 64 pixels, however large the texture, and shrinks no texture below that."""
    seen, nothing = [], Result(IMAGE, *[LossTerms(*[np.zeros(1)] * 4)] * 2, 0)
    monkeypatch.setattr(texture, "run", lambda plan, **_: seen.append([x.size for x in plan.scales]) or nothing)
    source = picture(3, 96, 128)
    for size in ((96, 128), (384, 512), (64, 48)):
        synthesise(source, network=NET, height=size[0], width=size[1])
    assert [sizes[0] for sizes in seen] == [(48, 64), (192, 256), (64, 48)]
    assert [sizes[-1] for sizes in seen] == [(96, 128), (384, 512), (64, 48)]
    seen.clear()
    synthesise(source, network=NET, height=112, width=208, tile=True)
    assert all(side % 16 == 0 for size in seen[0] for side in size) and seen[0][-1] == (112, 208)


def test_a_texture_that_tiles_has_no_seam():
    """Rolled, it has the same statistics; across its borders neighbours differ as they do within."""
    options = {"network": NET, "layers": LAYERS, "steps": 40, "min_size": 48, "tv_weight": 0.03}
    tiled = synthesise(SOURCE, tile=True, **options)
    assert tiled.final.style < 0.05 * tiled.losses.style[0]
    errors = [
        gram_errors(jnp.roll(tiled.image, by, (0, 1)), SOURCE, network=NET, layers=LAYERS, tile=True)
        for by in ((0, 0), (16, 32), (16, 16))
    ]
    for layer in LAYERS:
        np.testing.assert_allclose([x[layer] for x in errors], float(errors[0][layer]), rtol=1e-3)

    def seam(image):
        within, across = np.abs(np.diff(image, axis=1)).mean(), np.abs(image[:, 0] - image[:, -1]).mean()
        return across / within

    assert seam(tiled.image) < 1.4 < seam(synthesise(SOURCE, **options).image)


def test_a_source_is_not_taken_for_periodic():
    """What lies beyond its border is its mirror image: copies of it side by side would have seams."""
    ramp = jnp.broadcast_to(jnp.linspace(0, 1, 32)[:, None, None], (32, 32, 3))
    wanted = gram(ramp, "relu1_1", NET.with_options(padding="reflect"))
    found = make_targets(
        NET.with_options(padding="periodic"), ramp, [ramp], objective=Objective((), ("relu1_1",))
    ).style["relu1_1"]
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
    assert np.abs(gram(ramp, "relu1_1", NET.with_options(padding="periodic")) - wanted).max() > 0.01


@pytest.mark.slow
def test_a_texture_takes_on_the_statistics_of_another_loss():
    found = synthesise(SOURCE, network=NET, layers=LAYERS, style_loss="mean-std", min_size=48, steps=15)
    assert found.final.style < 0.2 * found.losses.style[0]
    target = make_targets(NET, SOURCE, [SOURCE], objective=Objective((), LAYERS, style_loss="mean-std")).style
    features = NET.features(found.image, LAYERS)
    expected = np.mean([STYLE_LOSSES["mean-std"].distance(features[x], target[x]) for x in LAYERS])
    np.testing.assert_allclose(found.final.style, expected, rtol=1e-4)


def test_other_solvers_and_seeds():
    first, second = (
        synthesise(SOURCE, network=NET, layers=LAYERS, min_size=48, steps=5, solver=Adam(), key=jax.random.key(k))
        for k in (0, 1)
    )
    assert first.evaluations == 5 and np.abs(first.image - second.image).max() > 0.1


REFUSED = {
    "a layer": (lambda: reconstruct(IMAGE, "relu9_1", network=NET), "no layer 'relu9_1'"),
    "a weight": (lambda: reconstruct(IMAGE, "relu1_1", network=NET, tv_weight=-1.0), "tv_weight is -1"),
    "no number": (lambda: synthesise(IMAGE, network=NET, tv_weight=float("nan")), "tv_weight is nan"),
    "bytes": (lambda: reconstruct(np.zeros((16, 16, 3)) + 9, "relu1_1", network=NET), "the image has values"),
    "a source": (lambda: synthesise(np.zeros((9, 16, 3), np.float32), network=NET), "the source is 16 x 9"),
    "steps": (lambda: synthesise(IMAGE, network=NET, steps=0), "steps is 0"),
    "a side": (lambda: synthesise(IMAGE, network=NET, width=8), "the width is 8"),
    "tiles": (lambda: synthesise(IMAGE, network=NET, width=72, tile=True), "the width is 72.*multiple of 16"),
    "no layers": (lambda: synthesise(IMAGE, network=NET, layers=()), "neither a content layer nor a style layer"),
    "min_size": (lambda: synthesise(IMAGE, network=NET, min_size=99), "min_size is 99"),
}


@pytest.mark.parametrize("call, words", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_used_is_one_line(call, words):
    with pytest.raises(InputError, match=words):
        call()
