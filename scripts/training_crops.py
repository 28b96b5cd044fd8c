"""Crops to train on, made on the device in pure JAX: pictures at random scales, turned, mixed, recoloured, noisy.

A network that copies another's features learns from any input; what it needs is that no two are alike. So a share of
the crops is blended, cut together or given each other's detail, as pictures are on their way through style transfer,
and few of them keep their colours. Resampling and blurring are products with small matrices, which suit accelerators.
"""

from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

FINEST, COARSEST_SIDE = 0.4, 128  # a crop's pixel is 0.4 of the picture's or more; a whole picture is 128 px or more


class Pictures(NamedTuple):
    """Pictures of several sizes in one array: `pixels` (n, side, side, 3), uint8, and `sizes` (n, 2), height and width.

    Each is in the upper left corner of its place.
    """

    pixels: jax.Array
    sizes: jax.Array


# ---------------------------------------------------------------------------------------------- pictures


def read_pictures(folders: list[Path], long_side: int = 1024) -> list[Image.Image]:
    """Every .jpg of the folders, in RGB, none larger than `long_side`."""
    files = sorted(f for folder in folders for f in folder.glob("*.jpg"))
    return [shrunk(Image.open(file).convert("RGB"), long_side) for file in files]


def shrunk(picture: Image.Image, long_side: int) -> Image.Image:
    """A copy, no larger than `long_side`."""
    picture = picture.copy()
    picture.thumbnail((long_side, long_side), Image.Resampling.LANCZOS)
    return picture


def stack(pictures: list[Image.Image], side: int = 512) -> Pictures:
    """The pictures in one array. One that is larger than `side` goes in as a whole, shrunk, and as its four corners."""
    parts: list[Image.Image] = []
    for picture in pictures:
        parts.append(shrunk(picture, side))
        if max(picture.size) > side:
            lefts, tops = ((0, max(length - side, 0)) for length in picture.size)
            boxes = [(x, y, min(x + side, picture.width), min(y + side, picture.height)) for y in tops for x in lefts]
            parts += [picture.crop(box) for box in dict.fromkeys(boxes)]
    pixels = np.zeros((len(parts), side, side, 3), np.uint8)
    for place, part in zip(pixels, parts, strict=True):
        place[: part.height, : part.width] = part
    return Pictures(jnp.asarray(pixels), jnp.asarray([(part.height, part.width) for part in parts], jnp.int32))


# ---------------------------------------------------------------------------------------------- matrices


def sampling(start: jax.Array, step: jax.Array, length: jax.Array, size: int, side: int) -> jax.Array:
    """The matrix (size, side) that samples the first `length` of `side` pixels at `start`, `start + step`, ...

    Past its ends the line of pixels is mirrored. The kernel is Keys's cubic, as wide as a step where that is more than
    a pixel, so that nothing is aliased.
    """
    at = start + step * (jnp.arange(size) + 0.5)
    at = length - jnp.abs(at % (2 * length) - length)
    pixels = jnp.arange(side)
    x = jnp.abs(at[:, None] - (pixels[None] + 0.5)) / jnp.maximum(step, 1)
    cubic = jnp.where(x < 1, (1.5 * x - 2.5) * x**2 + 1, jnp.where(x < 2, ((2.5 - 0.5 * x) * x - 4) * x + 2, 0))
    weights = jnp.where(pixels[None] < length, cubic, 0)
    return weights / weights.sum(1, keepdims=True)


def blurring(width: jax.Array, size: int) -> jax.Array:
    """The matrix (size, size) that blurs a line with a Gaussian of standard deviation `width`."""
    distance = jnp.arange(size)[:, None] - jnp.arange(size)[None]
    weights = jnp.exp(-0.5 * (distance / width) ** 2)
    return weights / weights.sum(1, keepdims=True)


def log_uniform(key: jax.Array, low: jax.Array | float, high: jax.Array | float) -> jax.Array:
    """A number whose logarithm is uniform."""
    return jnp.exp(jax.random.uniform(key, minval=jnp.log(low), maxval=jnp.log(high)))


# ---------------------------------------------------------------------------------------------- one crop


def random_crop(key: jax.Array, pictures: Pictures, size: int) -> jax.Array:
    """A part of a picture, or a whole one and its mirror images, at a random scale, at times reflected or turned."""
    which, zoom, stretch, place, across, down, turn = jax.random.split(key, 7)
    index = jax.random.randint(which, (), 0, len(pictures.pixels))
    lengths = pictures.sizes[index].astype(jnp.float32)
    step = log_uniform(zoom, FINEST, lengths.min() / COARSEST_SIDE)
    steps = step * jnp.exp(0.1 * jax.random.normal(stretch, (2,)))
    starts = jax.random.uniform(place, (2,)) * (lengths - size * steps)
    side = pictures.pixels.shape[1]
    rows, columns = (sampling(starts[i], steps[i], lengths[i], size, side) for i in (0, 1))
    crop = jnp.einsum("yh,hwc,xw->yxc", rows, pictures.pixels[index].astype(jnp.float32) / 255, columns)
    crop = jnp.where(jax.random.bernoulli(across, 0.5), crop[:, ::-1], crop)
    crop = jnp.where(jax.random.bernoulli(down, 0.15), crop[::-1], crop)
    return jnp.clip(jnp.where(jax.random.bernoulli(turn, 0.15), crop.swapaxes(0, 1), crop), 0, 1)


def noisy(key: jax.Array, image: jax.Array, chance: float) -> jax.Array:
    """The image, or with a certain chance the image in noise, from hardly any to much."""
    some, amount, noise = jax.random.split(key, 3)
    spread = jnp.where(jax.random.bernoulli(some, chance), log_uniform(amount, 0.01, 0.4), 0)
    return image + spread * jax.random.normal(noise, image.shape)


def recoloured(key: jax.Array, image: jax.Array) -> jax.Array:
    """Two thirds of the images with another contrast, brightness, gamma and mixture of channels; some as a negative,
    with their channels permuted, or nearly grey."""
    keys = jax.random.split(key, 10)
    mean = image.mean((0, 1))
    contrast = jnp.exp(0.4 * jax.random.normal(keys[0]))
    other = (image - mean) * contrast + mean + 0.1 * jax.random.normal(keys[1], (3,))
    other = jnp.clip(other, 0, 1) ** jnp.exp(0.3 * jax.random.normal(keys[2]))
    mixture = jnp.eye(3) + 0.2 * jax.random.normal(keys[3], (3, 3))
    grey = jnp.where(jax.random.bernoulli(keys[4], 0.15), jax.random.uniform(keys[5]), 0)
    mixture = (1 - grey) * mixture / mixture.sum(0) + grey / 3
    image = jnp.where(jax.random.bernoulli(keys[6], 0.67), jnp.clip(other @ mixture, 0, 1), image)
    image = jnp.where(jax.random.bernoulli(keys[7], 0.08), 1 - image, image)
    order = jax.random.permutation(keys[8], jnp.arange(3))
    return jnp.where(jax.random.bernoulli(keys[9], 0.25), image[..., order], image)


# ---------------------------------------------------------------------------------------------- a batch of them

MIXTURES = jnp.asarray([0.46, 0.08, 0.08, 0.12, 0.1, 0.16])  # shares of the rows of the table in `mixed`


def mixed(key: jax.Array, images: jax.Array) -> jax.Array:
    """Half of a batch as it is, the rest blurred, sharpened, or mixed with the image before it in the batch."""
    count, size = images.shape[:2]
    keys = jax.random.split(key, 6)
    widths = jnp.exp(jax.random.uniform(keys[0], (count,), minval=jnp.log(0.5), maxval=jnp.log(8.0)))
    lines = jax.vmap(blurring, in_axes=(0, None))(widths, size)
    low = jnp.einsum("nyh,nhwc,nxw->nyxc", lines, images, lines)
    others = (images, low, jnp.roll(images, 1, 0), jnp.roll(low, 1, 0))
    share, gain = jax.random.uniform(keys[1], (2, count, 1, 1))
    # Stripes, some too wide to be seen as such, of this image and the other.
    angle, pace, phase = (
        high * jax.random.uniform(k, (count, 1, 1))
        for k, high in zip(keys[2:5], (2 * jnp.pi, 20 / size, 2 * jnp.pi), strict=True)
    )
    y, x = jnp.arange(size)[None, :, None], jnp.arange(size)[None, None]
    stripes = jnp.where(jnp.sin((x * jnp.cos(angle) + y * jnp.sin(angle)) * pace + phase) > 0, 1.0, 0.0)
    table = (
        (1, 0, 0, 0),  # as it is
        (0, 1, 0, 0),  # blurred
        (1 + 2 * gain, -2 * gain, 0, 0),  # sharpened
        (share, 0, 1 - share, 0),  # blended
        (stripes, 0, 1 - stripes, 0),  # cut together
        (0, 1, 0.3 + 1.2 * gain, -0.3 - 1.2 * gain),  # the coarse of one with the detail of the other
    )
    kind = jax.random.choice(keys[5], len(table), (count, 1, 1), p=MIXTURES)
    parts = (sum(jnp.where(kind == i, row[j], 0) for i, row in enumerate(table)) for j in range(4))
    return jnp.clip(sum(part[..., None] * other for part, other in zip(parts, others, strict=True)), 0, 1)


def random_batch(key: jax.Array, pictures: Pictures, count: int, size: int) -> jax.Array:
    """Training images (count, size, size, 3), RGB in [0, 1]. Pure; `count` and `size` are static under `jit`."""
    crop, mix, first, colour, last = jax.random.split(key, 5)
    images = jax.vmap(lambda key: random_crop(key, pictures, size))(jax.random.split(crop, count))
    images = jax.vmap(noisy, in_axes=(0, 0, None))(jax.random.split(first, count), images, 0.15)
    images = jax.vmap(recoloured)(jax.random.split(colour, count), mixed(mix, images))
    return jnp.clip(jax.vmap(noisy, in_axes=(0, 0, None))(jax.random.split(last, count), images, 0.12), 0, 1)
