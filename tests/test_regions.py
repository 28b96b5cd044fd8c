"""Regions: masks at every layer, guided statistics, shares and what is shown."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle import losses
from jaxstyle.objective import Objective, Weights, describe_styles, loss_terms, make_targets
from jaxstyle.regions import area_resize, make_regions, style_shares
from marks import slow
from masks import CONTENT, NET, SHALLOW_OBJECTIVE, STYLES, halves, rectangle
from tiny import OBJECTIVE, check_gradient, features, network, x64
from tiny import picture as waves

FEW = [x if x in ("gram", "wasserstein") else slow(x) for x in losses.STYLE_LOSSES]

# ------------------------------------------------------------------------------------------------------------ resizing


def naive_resize(mask: np.ndarray, height: int, width: int) -> np.ndarray:
    """Means over equal parts, of the mask with every pixel made height x width."""
    fine = np.kron(np.asarray(mask, np.float64), np.ones((height, width)))
    h, w = mask.shape
    return fine.reshape(height, h, width, w).mean((1, 3))


@pytest.mark.quick
@pytest.mark.parametrize("size", [(4, 5), (3, 7), (12, 10), (17, 3), (1, 1)])
def test_area_resize_is_the_mean_over_each_part(size: tuple[int, int]) -> None:
    mask = np.random.default_rng(0).random((12, 10)).astype(np.float32)
    resized = np.asarray(area_resize(mask, *size))
    np.testing.assert_allclose(resized, naive_resize(mask, *size), rtol=2e-6)
    np.testing.assert_allclose(resized.mean(), mask.mean(), rtol=1e-6)
    np.testing.assert_allclose(area_resize(np.ones_like(mask), *size), 1, rtol=1e-6)


@pytest.mark.quick
def test_the_smallest_mask_has_its_area_at_every_layer() -> None:
    mask = rectangle(32, 40, slice(31, 32), slice(39, 40))[None]
    regions = jax.jit(lambda m: make_regions(NET, m, CONTENT, OBJECTIVE.style_layers))(mask)
    assert regions.masks["relu1_1"].shape == (1, 32, 40) and regions.masks["relu5_1"].shape == (1, 2, 2)
    for x in regions.masks.values():
        np.testing.assert_allclose(np.mean(x), mask.mean(), rtol=1e-5)


# ---------------------------------------------------------------------------------------------------------- statistics


@pytest.mark.parametrize("name", FEW)
def test_a_rectangle_has_the_statistics_of_the_features_cropped_to_it(name: str) -> None:
    style, objective = (
        waves(4, 48, 40),
        Objective(SHALLOW_OBJECTIVE.content_layers, ("relu1_1", "relu3_1"), style_loss=name),
    )
    mask = rectangle(48, 40, slice(16, 40), slice(8, 32))
    found = jax.jit(lambda x, m: describe_styles(NET, [x], objective, style_masks=[m])[0])(style, mask)
    for layer, stride in (("relu1_1", 1), ("relu3_1", 4)):
        whole = features(NET, style, (layer,))[layer]
        crop = whole[16 // stride : 40 // stride, 8 // stride : 32 // stride]
        expected = losses.STYLE_LOSSES[name].statistic(crop)
        n = crop.shape[0] * crop.shape[1]
        for a, b in zip(jax.tree.leaves(found[layer]), jax.tree.leaves(expected), strict=True):
            if name == "nearest":  # all positions, those outside with a weight of 0
                continue
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
        if name == "nearest":
            there = np.asarray(found[layer].weights) > 0
            assert there.sum() == n
            np.testing.assert_allclose(found[layer].features[there], expected.features, rtol=1e-5, atol=1e-6)


def test_away_from_its_border_a_region_knows_nothing_of_what_lies_outside() -> None:
    """The same masked part, whether the picture is cropped around it or not, and whatever is painted elsewhere."""
    style, objective = waves(5, 96, 96), Objective(("relu3_1",), ("relu1_1", "relu2_1", "relu3_1"))
    mask = rectangle(96, 96, slice(32, 64), slice(32, 64))
    statistics = jax.jit(lambda x, m: describe_styles(NET, [x], objective, style_masks=[m])[0])
    found = statistics(style, mask)
    cropped = statistics(style[16:80, 16:80], mask[16:80, 16:80])
    near = rectangle(64, 64, slice(4, 60), slice(4, 60))[..., None] > 0  # 12 pixels more on each side
    other = jnp.where(near, style[16:80, 16:80], 0.0)
    for layer in objective.style_layers:
        np.testing.assert_allclose(cropped[layer], found[layer], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(statistics(other, mask[16:80, 16:80])[layer], found[layer], rtol=1e-5, atol=1e-6)


def test_terms_are_those_written_out_region_by_region() -> None:
    masks, image = halves(soft=12) * np.float32([0.5, 1])[:, None, None], waves(7)
    masks[:, 9:17, 5:30] = 0
    weights = Weights(1.0, 100.0, 0.0, jnp.float32([1, 2]), jnp.float32([1, 3]))

    @jax.jit
    def terms() -> object:
        targets = make_targets(NET, CONTENT, STYLES, objective=SHALLOW_OBJECTIVE, mix=weights.mix, masks=masks)
        return loss_terms(image, NET, targets, weights, objective=SHALLOW_OBJECTIVE)

    cover = masks.sum(0)
    shares = (np.divide(masks, cover, out=np.zeros_like(masks), where=cover > 0)).mean((1, 2))
    seen = jnp.asarray(np.where(cover[..., None] > 0, image, CONTENT))
    layers = SHALLOW_OBJECTIVE.style_layers
    of_image, *of_styles = (features(NET, x, layers) for x in (seen, *STYLES))
    expected = 0.0
    for layer, weight in zip(layers, (1, 2), strict=True):
        f = np.asarray(of_image[layer], np.float64)
        for mask, share, style, mix in zip(masks, shares, of_styles, (0.5, 1.5), strict=True):
            m = naive_resize(mask, *f.shape[:2])
            gram = np.einsum("hwa,hwb,hw->ab", f, f, m) / m.sum()
            s = np.asarray(style[layer], np.float64).reshape(-1, f.shape[2])
            wanted = s.T @ s / len(s)
            expected += weight / 3 * mix * share * ((gram - wanted) ** 2).sum() / (wanted**2).sum()
    np.testing.assert_allclose(terms().style, expected, rtol=1e-4)


def test_one_style_under_white_is_the_plain_transfer_and_shares_are_areas() -> None:
    image, weights = waves(7), Weights(1.0, 100.0, 1.0)

    @jax.jit
    def terms(masks: object) -> object:
        targets = make_targets(NET, CONTENT, STYLES[:1], objective=OBJECTIVE, masks=masks)
        return loss_terms(image, NET, targets, weights, objective=OBJECTIVE)

    for a, b in zip(terms(None), terms(np.ones((1, 32, 40), np.float32)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4)
    np.testing.assert_allclose(style_shares(halves(), None), [0.5, 0.5])
    np.testing.assert_allclose(style_shares(halves() * np.float32(0.5), np.float32([2, 6])), [0.25, 0.75])


@pytest.mark.parametrize("name", FEW)
def test_gradients_with_regions(name: str) -> None:
    objective = Objective(SHALLOW_OBJECTIVE.content_layers, ("relu2_1",), style_loss=name)
    with x64(), jax.numpy_dtype_promotion("standard"):
        net, masks = network(dtype=jnp.float64), halves(16, 16, soft=6).astype(np.float64) * 0.9
        content, *styles = (jnp.asarray(waves(k, 16, 16), jnp.float64) for k in (1, 2, 3))
        targets = jax.jit(lambda: make_targets(net, content, styles, objective=objective, masks=masks))()
        weights = Weights(1.0, 10.0, 1.0)

        def total(x: object) -> object:
            return loss_terms(x, net, targets, weights, objective=objective).total

        check_gradient(total, waves(6, 16, 16), tolerance=1e-5)
