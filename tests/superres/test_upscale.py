"""`upscale` as the public surface has it, and tiles."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxstyle
from jaxstyle.errors import InputError
from jaxstyle.pictures.tiles import spans
from jaxstyle.superres.bicubic import enlarge_bicubic
from jaxstyle.superres.upscale import upscale, upscale_in_tiles, upscale_plane


@pytest.fixture
def image(rng):
    return rng.random((37, 45, 3)).astype(np.float32)


def test_it_is_the_network_clipped(upscaler, image):
    found = upscale(image, 2, network=upscaler)
    plain = np.asarray(upscaler.enlarge(jnp.asarray(image), 2))
    assert plain.min() < 0 or plain.max() > 1
    np.testing.assert_allclose(found, np.clip(plain, 0, 1), atol=1e-6)
    assert found.dtype == jnp.float32


def test_it_may_be_jitted_and_a_lane_of_vmap_is_the_same_alone(upscaler, rng):
    images = jnp.asarray(rng.random((3, 9, 11, 3)), jnp.float32)
    lanes = jax.jit(jax.vmap(lambda x: upscale(x, 3, network=upscaler)))(images)
    assert lanes.shape == (3, 27, 33, 3)
    for lane, one in zip(lanes, images, strict=True):
        np.testing.assert_allclose(lane, upscale(one, 3, network=upscaler), atol=1e-6)


def test_parameters_are_lanes_too(upscaler, image):
    both = jax.tree.map(lambda x: jnp.stack([x, 2 * x]), upscaler)
    lanes = jax.vmap(lambda network: upscale(jnp.asarray(image), 2, network=network))(both)
    doubled = jax.tree.map(lambda x: 2 * x, upscaler)
    np.testing.assert_allclose(lanes[1], upscale(image, 2, network=doubled), atol=1e-5)


@pytest.mark.parametrize("tile", [8, 16, 31, 64])
@pytest.mark.parametrize("scale", [2, 4])
def test_tiles_are_the_whole(upscaler, image, tile, scale):
    told = []
    found = upscale_in_tiles(image, scale, network=upscaler, tile=tile, on_tile=lambda *at: told.append(at))
    np.testing.assert_allclose(found, upscale(image, scale, network=upscaler), atol=1e-5)
    count = -(-37 // tile) * -(-45 // tile)
    assert told == [(i, count) for i in range(1, count + 1)]


def test_tiles_with_a_smaller_margin_would_have_seams(upscaler, image, monkeypatch):
    whole = np.asarray(upscale(image, 2, network=upscaler))
    monkeypatch.setattr(type(upscaler.module), "field", 3)
    assert np.abs(upscale_in_tiles(image, 2, network=upscaler, tile=16) - whole).max() > 1e-3


@pytest.mark.parametrize("length, tile, margin", [(1, 8, 3), (20, 8, 3), (45, 16, 7), (64, 16, 40), (17, 1, 2)])
def test_tiles_cover_a_line_once_are_of_one_length_and_see_their_surroundings(length, tile, margin):
    found = list(spans(length, tile, margin))
    assert [x for span in found for x in range(span.first, span.last)] == list(range(length))
    assert len({span.stop - span.start for span in found}) == 1
    for span in found:
        assert span.start == 0 or span.start <= span.first - margin
        assert span.stop == length or span.stop >= span.last + margin
        assert span.start >= 0 and span.stop <= length


@pytest.mark.parametrize("size", [(1, 1), (4, 4), (1, 7)])
def test_the_smallest_pictures_can_be_made_larger(upscaler, rng, size):
    small = rng.random((*size, 3)).astype(np.float32)
    assert upscale(small, 4, network=upscaler).shape == (4 * size[0], 4 * size[1], 3)


def test_opacity_is_made_larger_bicubically_in_tiles_too(rng):
    plane = rng.random((300, 9)).astype(np.float32)
    expected = np.clip(enlarge_bicubic(jnp.asarray(plane)[..., None], 2), 0, 1)[..., 0]
    np.testing.assert_allclose(upscale_plane(plane, 2), expected, atol=1e-6)


@pytest.mark.parametrize("scale", [1, 5, 0, -2, 2.5, True, "2", None])
def test_another_scale_is_refused(upscaler, image, scale):
    with pytest.raises(InputError, match=r"^scale is .*; this network makes pictures larger by 2, 3, 4$"):
        upscale.__wrapped__(image, scale, network=upscaler)


@pytest.mark.parametrize(
    "wrong", [np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4, 1), np.float32), np.zeros((4, 4), np.float32)]
)
def test_what_is_no_picture_of_floats_is_refused(upscaler, wrong):
    with pytest.raises(InputError, match=r"it must be float of shape \(h, w, 3\), in \[0, 1\]"):
        upscale.__wrapped__(wrong, 2, network=upscaler)


def test_a_tile_of_nothing_is_refused(upscaler, image):
    with pytest.raises(InputError, match="tile is 0; it must be 1 pixel or more"):
        upscale_in_tiles(image, 2, network=upscaler, tile=0)


@pytest.mark.parametrize("name", ["pixel", "perceptual"])
def test_those_that_come_with_jaxstyle_are_taken_by_name_also_within_a_trace(name, image):
    part = image[:12, :12]
    inside = jax.jit(lambda x: jaxstyle.upscale(x, 2, network=name))(part)
    np.testing.assert_allclose(inside, jaxstyle.upscale(part, 2, network=jaxstyle.load_upscaler(name)), atol=1e-6)
