"""Regions: masks at every layer, guided statistics, what is painted and what stays, files, and what is refused."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from commandline import SHALLOW, Said, picture, refused
from PIL import Image
from tiny import OBJECTIVE, check_gradient, compilations, features, network, x64
from tiny import picture as waves

from jaxstyle import losses, optimise, sweeps
from jaxstyle.checks import check_masks
from jaxstyle.commands import cells
from jaxstyle.errors import InputError
from jaxstyle.images import load_image, load_picture, mask_of, read_record
from jaxstyle.objective import Objective, Weights, loss_terms, make_targets, style_statistics
from jaxstyle.regions import area_resize, blended, make_regions, style_shares
from jaxstyle.solvers import Adam, Lbfgs

NET = network()
CONTENT, STYLES = waves(1), [waves(2), waves(3)]  # 32 x 40
SHALLOW_OBJECTIVE = Objective(("relu2_1",), ("relu1_1", "relu2_1"))


def halves(height: int = 32, width: int = 40, soft: int = 0) -> np.ndarray:
    """(2, h, w): left and right, over `soft` pixels into one another; they sum to one."""
    x = np.clip((np.arange(width) + 0.5 - width / 2) / max(soft, 1e-6) + 0.5, 0, 1)
    right = np.broadcast_to(x, (height, width))
    return np.stack([1 - right, right]).astype(np.float32)


def rectangle(height: int, width: int, rows: slice, columns: slice) -> np.ndarray:
    mask = np.zeros((height, width), np.float32)
    mask[rows, columns] = 1
    return mask


# ------------------------------------------------------------------------------------------------------------ resizing


def naive_resize(mask: np.ndarray, height: int, width: int) -> np.ndarray:
    """Means over equal parts, of the mask with every pixel made height x width."""
    fine = np.kron(np.asarray(mask, np.float64), np.ones((height, width)))
    h, w = mask.shape
    return fine.reshape(height, h, width, w).mean((1, 3))


@pytest.mark.parametrize("size", [(4, 5), (3, 7), (12, 10), (17, 3), (1, 1)])
def test_area_resize_is_the_mean_over_each_part(size: tuple[int, int]) -> None:
    mask = np.random.default_rng(0).random((12, 10)).astype(np.float32)
    resized = np.asarray(area_resize(mask, *size))
    np.testing.assert_allclose(resized, naive_resize(mask, *size), rtol=2e-6)
    np.testing.assert_allclose(resized.mean(), mask.mean(), rtol=1e-6)
    np.testing.assert_allclose(area_resize(np.ones_like(mask), *size), 1, rtol=1e-6)


def test_the_smallest_mask_has_its_area_at_every_layer() -> None:
    mask = rectangle(32, 40, slice(31, 32), slice(39, 40))[None]
    regions = jax.jit(lambda m: make_regions(NET, m, CONTENT, OBJECTIVE.style_layers))(mask)
    assert regions.masks["relu1_1"].shape == (1, 32, 40) and regions.masks["relu5_1"].shape == (1, 2, 2)
    for x in regions.masks.values():
        np.testing.assert_allclose(np.mean(x), mask.mean(), rtol=1e-5)


# ---------------------------------------------------------------------------------------------------------- statistics


@pytest.mark.parametrize("name", losses.STYLE_LOSSES)
def test_a_rectangle_has_the_statistics_of_the_features_cropped_to_it(name: str) -> None:
    style, objective = (
        waves(4, 48, 40),
        Objective(SHALLOW_OBJECTIVE.content_layers, ("relu1_1", "relu3_1"), style_loss=name),
    )
    mask = rectangle(48, 40, slice(16, 40), slice(8, 32))
    found = jax.jit(lambda x, m: style_statistics(NET, x, objective, mask=m))(style, mask)
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
    statistics = jax.jit(lambda x, m: style_statistics(NET, x, objective, mask=m))
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


@pytest.mark.parametrize("name", losses.STYLE_LOSSES)
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


# --------------------------------------------------------------------------------------------------------- the transfer


def transfer(**options: object) -> optimise.Result:
    usual = {
        "network": NET,
        "objective": SHALLOW_OBJECTIVE,
        "weights": Weights(1.0, 100.0, 1.0),
        "steps": 3,
        "min_size": 28,
    }
    return optimise.transfer(CONTENT, STYLES, **(usual | options))


@pytest.mark.parametrize("solver", [Adam(), Lbfgs()])
@pytest.mark.parametrize("init", ["content", "noise"])
def test_where_no_mask_is_the_content_stays_and_elsewhere_it_does_not(solver: object, init: str) -> None:
    masks = np.stack([rectangle(32, 40, slice(8, 24), slice(k, k + 8)) for k in (8, 24)])
    seen = []
    result = transfer(masks=masks, solver=solver, init=init, on_progress=lambda state: seen.append(state.image))
    moved = np.abs(np.asarray(result.image - CONTENT)).max(2)
    assert moved[masks.sum(0) == 0].max() == 0
    assert moved[masks.sum(0) == 1].mean() > 1e-3
    np.testing.assert_array_equal(seen[-1], result.image)


def test_how_faint_a_region_is_does_not_change_what_is_painted() -> None:
    """So that no colour overshoots in a soft edge to make up for what does not show."""
    mask = rectangle(32, 40, slice(4, 20), slice(8, 36))
    masks = np.stack([mask, np.roll(mask, 3, 0)]) * np.float32(0.5)
    whole, faint = (np.asarray(transfer(masks=masks * np.float32(x)).image) for x in (1, 0.125))
    assert np.abs(whole - CONTENT).max() > 0.03
    np.testing.assert_allclose(8 * (faint - CONTENT), whole - CONTENT, atol=1e-3)


def test_a_part_of_a_style_is_what_counts() -> None:
    """With the mask of its left half, the right half of a style may be anything that the left one does not see."""
    part = rectangle(32, 40, slice(0, 32), slice(0, 16))
    styles = [jnp.where(jnp.arange(40)[None, :, None] < 28, STYLES[0], x) for x in STYLES]
    run = functools.partial(optimise.transfer, CONTENT, network=NET, objective=SHALLOW_OBJECTIVE, steps=2, min_size=40)
    first, second = (run(style, style_masks=[part]).image for style in styles)
    np.testing.assert_allclose(first, second, atol=1e-6)
    assert np.abs(np.asarray(run(styles[1]).image - second)).max() > 1e-3


def test_new_masks_compile_nothing_and_no_masks_leave_the_program_as_it_was() -> None:
    transfer(masks=halves())
    transfer()
    with compilations() as count:
        transfer(masks=halves(soft=9))
        transfer(masks=None, style_masks=[None, None])
    assert count == [0]
    plain = jax.eval_shape(lambda: make_targets(NET, CONTENT, STYLES, objective=OBJECTIVE))
    assert plain.regions is None and len(jax.tree.leaves(plain)) == len(OBJECTIVE.style_layers) + 1


@pytest.mark.parametrize("lanes", [2, pytest.param(1, marks=pytest.mark.slow)])
def test_lanes_of_a_sweep_are_the_transfers(lanes: int) -> None:
    masks, mix = halves(soft=8) * np.float32(0.9), np.float32([[1, 1], [1, 4]])
    contents = np.stack([CONTENT, waves(8)])
    options = {"network": NET, "objective": SHALLOW_OBJECTIVE, "steps": 2, "min_size": 28, "masks": masks}
    found = sweeps.sweep(contents, STYLES, weights=Weights(1.0, 100.0, 1.0, None, mix), lanes=lanes, **options)
    for i in range(2):
        one = optimise.transfer(contents[i], STYLES, weights=Weights(1.0, 100.0, 1.0, None, mix[i]), **options)
        np.testing.assert_allclose(found.image[i], one.image, atol=2e-3)
        np.testing.assert_allclose(found.final.style[i], one.final.style, rtol=1e-2)


def test_under_jit() -> None:
    masks = halves() * np.float32(0.5)
    run = functools.partial(
        optimise.transfer, CONTENT, STYLES, network=NET, objective=SHALLOW_OBJECTIVE, steps=2, min_size=40
    )
    np.testing.assert_allclose(jax.jit(lambda m: run(masks=m).image)(masks), run(masks=masks).image, atol=1e-3)


def test_blended() -> None:
    regions = make_regions(NET, halves() * np.float32([0.25, 1])[:, None, None], CONTENT, ("relu1_1",))
    image = jnp.zeros_like(CONTENT)
    np.testing.assert_allclose(blended(regions, image)[:, :20], 0.75 * CONTENT[:, :20], rtol=1e-6)
    np.testing.assert_array_equal(blended(regions, image)[:, 20:], 0)
    assert blended(regions, jnp.stack([image, image])).shape == (2, 32, 40, 3)
    assert blended(None, image) is image


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"masks": halves()[:1]}, "(1, 32, 40); one for each style, of the content's size, is (2, 32, 40)"),
        ({"masks": halves(32, 32)}, "(2, 32, 32)"),
        ({"masks": halves() * np.float32([1, 0])[:, None, None]}, "mask 2 is blank"),
        ({"masks": halves() * np.float32(2)}, "mask 1 has values from 0 to 2"),
        ({"masks": halves() * np.float32(np.nan)}, "mask 1 has values from nan"),
        ({"style_masks": [None]}, "1 style masks were given for 2 styles"),
        (
            {"style_masks": [None, np.ones((3, 4), np.float32)]},
            "style mask 2 has shape (3, 4); that of the style is (32, 40)",
        ),
        ({"style_masks": [np.zeros((32, 40), np.float32), None]}, "style mask 1 is blank"),
    ],
)
def test_refused(options: dict[str, object], words: str) -> None:
    with pytest.raises(InputError) as caught:
        transfer(**options)
    assert words in str(caught.value)


def test_masks_of_other_types_are_refused() -> None:
    with pytest.raises(InputError, match="mask 1 holds bool; a mask is float32 in"):
        check_masks(halves() > 0, None, CONTENT, STYLES)


# ----------------------------------------------------------------------------------------------------- the command line


def grey(path: Path | str, values: np.ndarray) -> str:
    Image.fromarray(np.rint(255 * values).astype(np.uint8)).save(path)
    return str(path)


QUICK = ("-o", "out.png", "--size", "64", "--steps", "2", *SHALLOW, "--quiet")


def test_masks_from_files_are_recorded_and_made_again(call: Callable[..., Said], folder: Path) -> None:
    picture(folder / "t.png", 3)
    left, right = halves(48, 64, soft=8) * rectangle(48, 64, slice(0, 40), slice(0, 64))
    files = grey("l.png", left), grey("r.png", right)
    part = grey("part.png", rectangle(24, 32, slice(0, 24), slice(0, 16)))  # half the size, of the style's proportions
    pair = ("c.png", "s.png", "t.png")
    said = call("transfer", *pair, *QUICK, "--masks", *files, "--style-masks", "all", part)
    assert said == (0, "out.png\n", "")
    content, result = (np.rint(255 * load_image(path)) for path in ("c.png", "out.png"))
    np.testing.assert_array_equal(result[40:], content[40:])
    assert np.abs(result[:40] - content[:40]).mean() > 1
    record = read_record("out.png")
    assert [mask["file"] for mask in record["masks"]] == ["l.png", "r.png"]
    assert record["style_masks"][0] is None and len(record["style_masks"][1]["sha256"]) == 64
    again = ("--from", "out.png", "-o", "more.png", "--steps", "1", "--quiet")
    assert call("transfer", *again).code == 0
    assert {name: read_record("more.png")[name] for name in ("masks", "style_masks")} == {
        name: record[name] for name in ("masks", "style_masks")
    }
    grey("l.png", right)
    refused(call("transfer", *again), 2, "l.png has changed since")
    assert call("transfer", *again, "--masks", *files).code == 0


def test_a_sweep_shares_its_masks(call: Callable[..., Said], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the styles in the colours of their regions: no lane has one of its own."""
    plans, plan_of = [], cells.Plan.of

    def noted(*args: Any, **options: Any) -> cells.Plan:
        plans.append(plan_of(*args, **options))
        return plans[-1]

    monkeypatch.setattr(cells.Plan, "of", noted)
    mask = grey("m.png", rectangle(48, 64, slice(8, 40), slice(8, 56)))
    layers = ("--content-layers", "relu2_1", "--style-layers", "relu1_1,relu2_1")
    base = ("c.png", "s.png", "-o", "grid", "--size", "64", "--steps", "2", *layers, "--quiet", "--masks", mask)
    base += ("--color", "match")
    assert call("sweep", *base, "--style-weight", "10", "100").code == 0
    assert "--masks m.png" in (folder / "grid/sweep.json").read_text()
    assert plans[0].axes.styles is None and plans[0].axes.masks is None
    alone = ("--masks", mask, "--style-weight", "100", "--color", "match")
    assert call("transfer", "c.png", "s.png", *QUICK, *alone).code == 0
    cell, alone = (np.rint(255 * load_image(path)) for path in ("grid/cell_1.png", "out.png"))
    assert np.abs(cell - alone).max() <= 1
    grey("m.png", np.ones((48, 64)))
    refused(call("sweep", *base, "--style-weight", "10", "100"), 2, "other pictures, settings or weights")


def test_mask_files_refused(call: Callable[..., Said], folder: Path) -> None:
    def masked(*files: str) -> Said:
        return call("transfer", "c.png", "s.png", *QUICK, "--masks", *files)

    grey("black.png", np.zeros((48, 64)))
    grey("square.png", np.ones((64, 64)))
    refused(masked("black.png"), 2, "black.png is black all over")
    refused(masked("square.png"), 2, "square.png is 64 x 64 pixels; a mask of c.png is 64 x 48, or in that proportion")
    refused(masked("square.png", "black.png"), 2, "--masks has 2 files; it needs one for each STYLE, and there is 1")
    refused(masked("absent.png"), 2, "absent.png does not exist")
    refused(call("transfer", "c.png", "s.png", *QUICK, "--style-masks", "square.png"), 2, "a mask of s.png is 64 x 48")
    refused(call("transfer", "c.png", "s.png", "-o", grey("m.png", np.ones((48, 64))), "--masks", "m.png"), 2, "m.png")


def test_colours_and_transparency_of_mask_files(tmp_path: Path) -> None:
    values = np.zeros((32, 32, 4), np.uint8)
    values[:16], values[16:, :16] = (255, 255, 255, 255), (255, 255, 255, 51)
    values[16:, 16:] = (255, 0, 0, 255)
    Image.fromarray(values).save(tmp_path / "m.png")
    mask = mask_of(load_picture(tmp_path / "m.png"), 32, 32)
    np.testing.assert_allclose([mask[0, 0], mask[31, 0], mask[31, 31]], [1, 0.2, 1 / 3], atol=1e-5)
    small = mask_of(load_picture(tmp_path / "m.png"), 16, 16)
    assert small.shape == (16, 16) and small.min() >= 0 and small.max() <= 1
