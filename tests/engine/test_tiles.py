"""Tile by tile a loss and its gradient are the whole picture's, and so is a transfer."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxstyle
from backbones import alexnet, small_dense
from jaxstyle.engine.memory import bytes_needed
from jaxstyle.engine.plan import make_plan
from jaxstyle.engine.tile_targets import tiled_targets
from jaxstyle.engine.tiles import tiled_value_and_grad, tiling_for
from jaxstyle.errors import InputError
from jaxstyle.networks import ARCHITECTURES, random_network
from jaxstyle.networks.reach import reach_of
from jaxstyle.objective import FORMULAE, Objective, Weights, loss_terms, make_targets
from jaxstyle.regions import Masks
from jaxstyle.solvers import Adam, Lbfgs, OptaxLbfgs
from marks import slow
from tiny import UNEVEN, compilations, network, picture, x64

SHALLOW = Objective(("relu3_2",), ("relu1_1", "relu2_1", "relu3_1"))
WEIGHTS = Weights(2.0, 30.0, 3.0, layers=np.asarray([1.0, 0.5, 2.0], np.float32))


@functools.partial(jax.jit, static_argnums=4)
def whole(image, net, targets, weights, objective):
    def total(image):
        terms = loss_terms(image, net, targets, weights, objective=objective)
        return terms.total, terms

    return jax.value_and_grad(total, has_aux=True)(image)


@functools.partial(jax.jit, static_argnums=3)
def whole_targets(net, content, styles, objective, masks=None, style_masks=None):
    return make_targets(net, content, styles, objective=objective, masks=masks, style_masks=style_masks)


def close(actual, expected, tolerance):
    """Each array to a tolerance relative to its norm."""
    pairs = zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True)
    for found, wanted in pairs:
        found, wanted = np.asarray(found, np.float64), np.asarray(wanted, np.float64)
        assert found.shape == wanted.shape
        assert np.linalg.norm(found - wanted) <= tolerance * np.linalg.norm(wanted)


def check(net, objective, size, tile, tolerance, *, weights=WEIGHTS, masks=None, style_masks=None, styles=1, most=99):
    """Targets, loss, terms and gradient in tiles are the whole picture's."""
    dtype = jax.tree.leaves(net.params)[0].dtype
    content, image, *pictures = (
        jnp.asarray(0.1 + 0.8 * picture(k, *sides), dtype)
        for k, sides in enumerate([size, size, (size[1] - 9, size[0] - 20), (61, 47)][: 2 + styles])
    )
    mixed = {"masks": masks, "style_masks": style_masks}
    wanted = whole_targets(net, content, pictures, objective, *mixed.values())
    targets = tiled_targets(net, content, pictures, objective=objective, tile=tile, **mixed)
    close(targets, wanted, tolerance)
    assert 4 <= len(tiling_for(net, objective.layers, size, tile)) <= most
    weights = jax.tree.map(lambda x: jnp.asarray(x, dtype), weights)
    expected = whole(image, net, wanted, weights, objective)
    close(tiled_value_and_grad(image, net, wanted, weights, objective=objective, tile=tile), expected, tolerance)


def in_float64(net):
    return jax.tree.map(lambda x: x.astype(jnp.float64), net).with_options(dtype=jnp.float64)


# ------------------------------------------------------------------------------------------ the loss and its gradient


@pytest.mark.parametrize("loss", ["gram", slow("wasserstein"), slow("mean-std"), slow("cmd")])
def test_every_loss_of_sums_is_that_of_the_whole_picture_to_the_last_digits(loss):
    objective = Objective(SHALLOW.content_layers, SHALLOW.style_layers, style_loss=loss)
    with x64():
        check(in_float64(network(0, UNEVEN)), objective, (101, 86), 24, 1e-12)


@pytest.mark.parametrize("preset", [slow(name) for name in FORMULAE if name != "relative"])
def test_the_formulae_of_published_programs_too(preset):
    objective = Objective(SHALLOW.content_layers, SHALLOW.style_layers, FORMULAE[preset])
    with x64():
        check(in_float64(network(0, UNEVEN)), objective, (90, 67), 32, 1e-11)


@pytest.mark.parametrize(
    "options", [slow({"padding": "edge"}), slow({"padding": "reflect"}), slow({"pooling": "average"})], ids=str
)
def test_what_the_network_does_at_the_border_it_does_there_only(options):
    with x64():
        check(in_float64(network(0, UNEVEN, **options)), SHALLOW, (79, 93), 20, 1e-12)


@pytest.mark.slow
def test_regions_and_parts_of_styles():
    rng = np.random.default_rng(0)
    masks = np.clip(rng.normal(0.5, 0.5, (2, 83, 90)), 0, 1)
    masks[:, :20] = 0
    part = np.zeros((61, 47))
    part[10:40, 5:30] = 1
    objective = Objective(SHALLOW.content_layers, SHALLOW.style_layers, style_loss="wasserstein")
    with x64():
        check(
            in_float64(network(0, UNEVEN)),
            objective,
            (83, 90),
            32,
            1e-11,
            masks=jnp.asarray(masks),
            styles=2,
            style_masks=(None, jnp.asarray(part)),
        )


def narrow(net):
    """The network with a few of its channels."""
    few = {
        name: {"kernel": x["kernel"][:, :, : 3 if k == 0 else 5, :5], "bias": x["bias"][:5]}
        for k, (name, x) in enumerate(net.params.items())
    }
    return net.replace(params=few)


@pytest.mark.parametrize("size", [slow((232, 251)), slow((241, 224))], ids=str)
def test_networks_of_other_kinds(size):
    with x64():
        net = in_float64(narrow(alexnet()))
        check(net, Objective(("relu2",), ("relu1", "relu2")), size, 64, 1e-12, weights=Weights())
        net = in_float64(small_dense()[1])
        check(net, Objective(("dense2",), ("relu0", "dense1")), size, 64, 1e-12, weights=Weights())


@pytest.mark.slow
def test_float32_is_as_good_as_a_whole_picture_in_float32():
    """Where rounding takes a feature over the kink of a rectifier the gradient jumps, in tiles as in the whole: so both
    are held against float64."""
    net, size = network(0, UNEVEN), (101, 86)
    content, image, style = (0.1 + 0.8 * picture(k, *size) for k in range(3))
    with x64():
        exact_net = in_float64(net)
        wide = [jnp.asarray(x, jnp.float64) for x in (content, image, style)]
        exact_targets = whole_targets(exact_net, wide[0], [wide[2]], SHALLOW)
        (total, _), gradient = whole(wide[1], exact_net, exact_targets, WEIGHTS, SHALLOW)
        total, gradient = float(total), np.asarray(gradient)
    targets = tiled_targets(net, content, [style], objective=SHALLOW, tile=24)
    (found, _), pulled = tiled_value_and_grad(image, net, targets, WEIGHTS, objective=SHALLOW, tile=24)
    assert found.dtype == pulled.dtype == jnp.float32
    assert abs(float(found) - total) <= 1e-5 * total
    close(pulled, gradient, 1e-5)


@pytest.mark.slow
def test_all_tiles_have_the_same_programs():
    net, objective = network(0, UNEVEN), SHALLOW
    content, image, style = (picture(k, 101, 118) for k in range(3))
    targets = tiled_targets(net, content, [style], objective=objective, tile=48)
    tiled_value_and_grad(image, net, targets, WEIGHTS, objective=objective, tile=48)
    other = image + 0.01
    with compilations() as counted:
        tiled_value_and_grad(other, net, targets, WEIGHTS._replace(style=3.0), objective=objective, tile=48)
    assert counted == [0]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "size"), [("compact", (337, 411)), ("vgg19", (321, 350))], ids=str)
def test_the_networks_that_pictures_are_made_with(name, size):
    """Targets and terms to 1e-5. Rounding, 1e-6 of the features, takes some of them over kinks, where the gradient
    jumps: it may differ as that of the whole picture does when pixels are moved by as much."""
    net = jaxstyle.load_network("compact") if name == "compact" else random_network("vgg19")
    objective = Objective(net.module.content_layers, net.module.style_layers)
    content, image, style = (0.1 + 0.8 * picture(k, *size) for k in range(3))
    wanted = whole_targets(net, content, [style], objective)
    targets = tiled_targets(net, content, [style], objective=objective, tile=128)
    close(targets, wanted, 1e-5)
    expected = whole(image, net, wanted, Weights(), objective)
    (total, terms), gradient = tiled_value_and_grad(image, net, wanted, Weights(), objective=objective, tile=128)
    close((total, terms), expected[0], 1e-5)
    nudge = 1 + 1e-6 * np.sign(np.random.default_rng(0).normal(size=image.shape))
    again = whole(image * jnp.asarray(nudge, jnp.float32), net, wanted, Weights(), objective)[1]
    between = np.linalg.norm(np.asarray(again) - np.asarray(expected[1]))
    apart = np.linalg.norm(np.asarray(gradient) - np.asarray(expected[1]))
    assert apart <= 2 * between + 1e-5 * np.linalg.norm(np.asarray(expected[1]))


# ------------------------------------------------------------------------------------------------------------ the reach


def test_the_reach_is_half_of_the_field_beyond_a_cell():
    reach = reach_of(ARCHITECTURES["vgg19"], ("relu3_1", "relu5_1"))  # fields of 24 and 156 pixels
    assert reach.cells == {"relu3_1": 4, "relu5_1": 16} and (reach.cell, reach.border) == (16, 80)
    assert reach_of(ARCHITECTURES["vgg19"], ("relu3_1",)).border == 12
    assert reach_of(ARCHITECTURES["vgg19"], ("conv1_1",)).border == 1


def test_tiles_own_each_feature_once_and_see_what_it_depends_on():
    net = network(0, UNEVEN)
    for size in ((200, 333), (97, 64), (161, 80)):
        tiling = tiling_for(net, SHALLOW.layers, size, 32)
        border, seen = reach_of(net.module, tuple(sorted(SHALLOW.layers))).border, np.zeros(size, int)
        for start, first, last in tiling.places():
            seen[first[0] : last[0], first[1] : last[1]] += 1
            end = start + np.asarray(tiling.shape)
            assert ((start == 0) | (start <= first - border)).all() and (start % 4 == 0).all()
            assert ((end == size) | (end >= last + border)).all() and (end <= size).all()
        assert (seen == 1).all()


# --------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize("loss", ["sliced-wasserstein", "nearest"])
def test_a_loss_that_is_no_function_of_sums_is_refused(loss):
    objective = Objective(SHALLOW.content_layers, SHALLOW.style_layers, style_loss=loss)
    with pytest.raises(InputError, match=f"gram, wasserstein, mean-std, cmd are; {loss} is not"):
        jaxstyle.transfer(picture(0), picture(1), network=network(0, UNEVEN), objective=objective, tile=16)


def test_tiles_are_not_tiny():
    with pytest.raises(InputError, match="tile is 8; it must be a whole number, at least 16"):
        jaxstyle.transfer(picture(0), picture(1), network=network(0, UNEVEN), objective=SHALLOW, tile=8)


def test_a_picture_that_tiles_the_plane_is_refused():
    net = network(0, UNEVEN, padding="periodic")
    with pytest.raises(InputError, match="tiles the plane"):
        jaxstyle.transfer(picture(0), picture(1), network=net, objective=SHALLOW, tile=16)


# -------------------------------------------------------------------------------------------------------- the transfer

OPTIONS = {
    "network": network(0, UNEVEN),
    "objective": Objective(("relu2_1",), ("relu1_1", "relu2_1")),
    "weights": WEIGHTS._replace(layers=WEIGHTS.layers[:2]),
    "steps": 3,
    "min_size": 120,
}


@pytest.mark.parametrize("solver", [slow(Adam(rate=0.02)), Lbfgs(), slow(OptaxLbfgs())], ids=lambda x: type(x).__name__)
def test_a_transfer_in_tiles_is_the_transfer(solver):
    content, styles, seen = picture(1, 120, 107), [picture(2, 150, 90), picture(3, 50, 60)], []
    options = {**OPTIONS, "solver": solver, "average": 0.5, "min_size": 85 if isinstance(solver, Adam) else 120}
    expected = jaxstyle.transfer(content, styles, **options)
    with jax.numpy_dtype_promotion("standard"):  # optax outside of jit
        result = jaxstyle.transfer(content, styles, **options, tile=32, on_progress=seen.append)
    np.testing.assert_allclose(result.image, expected.image, atol=2e-3)
    for name in ("losses", "final"):
        for found, wanted in zip(getattr(result, name), getattr(expected, name), strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-6)
    assert result.evaluations == expected.evaluations
    assert [(x.scale, x.step, x.tile) for x in seen][-3:] == [(seen[-1].scales, k, 32) for k in (1, 2, 3)]


@pytest.mark.slow
def test_with_masks_and_a_margin():
    content, styles = picture(1, 120, 107), [picture(2, 60, 90)]
    masks: Masks = np.zeros((1, 120, 107), np.float32)
    masks[0, 20:90, 30:80] = 1
    options = {**OPTIONS, "masks": masks, "margin": 8, "solver": Adam(rate=0.02)}
    expected = jaxstyle.transfer(content, styles, **options)
    result = jaxstyle.transfer(content, styles, **options, tile=32)
    np.testing.assert_allclose(result.image, expected.image, atol=2e-3)
    np.testing.assert_array_equal(result.image[:20], content[:20])


@pytest.mark.slow
def test_a_picture_that_does_not_fit_is_seen_in_tiles(monkeypatch):
    content, style = picture(1, 300, 410), picture(2, 60, 90)
    monkeypatch.setattr("jaxstyle.engine.memory.TILES", (256, 64))
    seen = []
    options = {**OPTIONS, "min_size": 410, "steps": 1, "solver": Adam()}
    plan, _ = make_plan(content, style, **options)
    needed = {tile: bytes_needed(dataclasses.replace(plan, tile=tile)) for tile in (None, 256, 64)}
    assert needed[64] < needed[256] < needed[None]
    result = jaxstyle.transfer(content, style, **options, memory=needed[64], on_progress=seen.append)
    assert result.image.shape == content.shape and [x.tile for x in seen] == [64]


def test_not_under_jit():
    with pytest.raises(InputError, match=r"jax\.jit"):
        jax.jit(lambda x: jaxstyle.transfer(x, picture(1), **{**OPTIONS, "min_size": 32}, tile=16).image)(picture(0))
