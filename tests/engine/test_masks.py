"""Transfers with masks: what is painted and what stays, lanes, and what is refused."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxstyle
from jaxstyle.engine.checks import check_masks
from jaxstyle.engine.run import Result
from jaxstyle.errors import InputError
from jaxstyle.objective import Weights, make_targets
from jaxstyle.regions import blended, make_regions
from jaxstyle.solvers import Adam, Lbfgs
from marks import slow
from masks import CONTENT, NET, SHALLOW_OBJECTIVE, STYLES, halves, rectangle
from tiny import OBJECTIVE, compilations
from tiny import picture as waves

# --------------------------------------------------------------------------------------------------------- the transfer


def transfer(**options: object) -> Result:
    usual = {
        "network": NET,
        "objective": SHALLOW_OBJECTIVE,
        "weights": Weights(1.0, 100.0, 1.0),
        "steps": 3,
        "min_size": 28,
    }
    return jaxstyle.transfer(CONTENT, STYLES, **(usual | options))


@pytest.mark.slow
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


@pytest.mark.slow
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
    run = functools.partial(jaxstyle.transfer, CONTENT, network=NET, objective=SHALLOW_OBJECTIVE, steps=2, min_size=40)
    first, second = (run(style, style_masks=[part]).image for style in styles)
    np.testing.assert_allclose(first, second, atol=1e-6)
    assert np.abs(np.asarray(run(styles[1]).image - second)).max() > 1e-3


def test_new_masks_compile_nothing_and_no_masks_leave_the_program_as_it_was() -> None:
    transfer(masks=halves(), min_size=40)
    transfer(min_size=40)
    with compilations() as count:
        transfer(masks=halves(soft=9), min_size=40)
        transfer(masks=None, style_masks=[None, None], min_size=40)
    assert count == [0]
    plain = jax.eval_shape(lambda: make_targets(NET, CONTENT, STYLES, objective=OBJECTIVE))
    assert plain.regions is None and len(jax.tree.leaves(plain)) == len(OBJECTIVE.style_layers) + 1


@pytest.mark.parametrize("lanes", [2, slow(1)])
def test_lanes_of_a_sweep_are_the_transfers(lanes: int) -> None:
    masks, mix = halves(soft=8) * np.float32(0.9), np.float32([[1, 1], [1, 4]])
    contents = np.stack([CONTENT, waves(8)])
    options = {"network": NET, "objective": SHALLOW_OBJECTIVE, "steps": 2, "min_size": 40, "masks": masks}
    found = jaxstyle.sweep(contents, STYLES, weights=Weights(1.0, 100.0, 1.0, None, mix), lanes=lanes, **options)
    for i in range(2):
        one = jaxstyle.transfer(contents[i], STYLES, weights=Weights(1.0, 100.0, 1.0, None, mix[i]), **options)
        np.testing.assert_allclose(found.image[i], one.image, atol=2e-3)
        np.testing.assert_allclose(found.final.style[i], one.final.style, rtol=1e-2)


def test_under_jit() -> None:
    masks = halves() * np.float32(0.5)
    run = functools.partial(
        jaxstyle.transfer, CONTENT, STYLES, network=NET, objective=SHALLOW_OBJECTIVE, steps=2, min_size=40
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
