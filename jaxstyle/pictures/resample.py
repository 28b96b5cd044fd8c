"""Pictures resampled in NumPy, in float and one channel at a time."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float32
from numpy.typing import ArrayLike
from PIL import Image

Resized = Float32[np.ndarray, "{height} {width} 3"]
Plane = Float32[np.ndarray, "h w"]

BAND = 1_000_000  # pixels that are held in float at a time


def resize(image: ArrayLike, height: int, width: int) -> Resized:
    """`image` (h, w, 3) resampled to (height, width, 3) float32, clipped to [0, 1].

    Lanczos with three lobes, widened when shrinking so that nothing aliases; computed in float, channel by
    channel, never through 8 bits.
    """
    samples = np.asarray(image, dtype=np.float32)
    return np.clip(_fitted(lambda first, last: samples[first:last], samples.shape[:2], (height, width)), 0, 1)


def fit(
    rows: Callable[[int, int], tuple[np.ndarray, np.ndarray | None]],
    shape: tuple[int, int],
    target: tuple[int, int],
    extent: tuple[float, float] | None = None,
) -> tuple[Float32[np.ndarray, "height width c"], Plane | None]:
    """A picture that is read a band at a time, resampled as by `resize`, and its alpha.

    Colours are weighted by alpha, so that hidden ones do not bleed into visible ones. From one step of 8-bit alpha down
    to none, they go over to the visible mean: it is flat, so that it adds no edges, and what is divided by nearly
    nothing counts for nearly nothing.

    Args:
      rows: (first, last + 1) -> colours (rows, w, c) and alpha (rows, w), or None; float32 in [0, 1]. They are
        asked for once each, in order.
      shape: (h, w) of what is read.
      target: (height, width) of the result.
      extent: (height, width) of the part that is resampled, from the top left corner; None for all of it.

    Returns:
      Colours in [0, 1], and alpha, None where every pixel is opaque.
    """
    opaque, total, mean = True, 0.0, np.zeros(1)

    def weighted(first: int, last: int) -> np.ndarray:
        nonlocal opaque, total, mean
        colours, alpha = rows(first, last)
        if alpha is None:
            return colours
        opaque = opaque and bool(np.all(alpha == 1))
        colours = colours * alpha[..., None]
        total, mean = total + alpha.sum(dtype=np.float64), mean + colours.sum((0, 1), dtype=np.float64)
        return np.concatenate([colours, alpha[..., None]], 2)

    fitted = _fitted(weighted, shape, target, extent)
    if total == 0 and opaque:  # there is no alpha
        return np.clip(fitted, 0, 1, out=fitted), None
    colours, cover = fitted[..., :-1], fitted[..., -1]
    if opaque:
        return np.clip(colours, 0, 1), None
    trust = np.clip(cover * 255, 0, 1)
    visible = (mean / max(total, 1e-12)).astype(np.float32)
    planes = []
    for channel in range(colours.shape[2]):
        own = np.clip(colours[..., channel] / np.maximum(cover, 1e-6), 0, 1)
        planes.append(trust * own + (1 - trust) * visible[channel])
    return np.stack(planes, 2), np.clip(cover, 0, 1)


def _fitted(
    rows: Callable[[int, int], np.ndarray],
    shape: tuple[int, int],
    target: tuple[int, int],
    extent: tuple[float, float] | None = None,
) -> np.ndarray:
    """Lanczos along rows, band by band, then along columns: as Pillow in one call, without all of it in float."""
    (h, w), (height, width) = shape, target
    extent_h, extent_w = map(float, extent or shape)
    step, planes = max(1, BAND // max(1, w)), []
    result: np.ndarray | None = None
    for first in range(0, h, step):
        band = rows(first, min(h, first + step))
        if result is None:
            result = np.empty((height, width, band.shape[2]), np.float32)
            planes = [result[..., k] for k in range(band.shape[2])]
            if (h, extent_h) != (height, height):
                planes = [np.empty((h, width), np.float32) for _ in planes]
        for k, plane in enumerate(planes):
            plane[first : first + step] = _lanczos(band[..., k], len(band), width, (float(len(band)), extent_w))
    assert result is not None
    if (h, extent_h) != (height, height):
        for k in range(result.shape[2]):  # each is let go as soon as it is resampled
            result[..., k] = _lanczos(planes.pop(0), height, width, (extent_h, float(width)))
    return result


def _lanczos(plane: np.ndarray, height: int, width: int, extent: tuple[float, float]) -> np.ndarray:
    """A plane resampled; `extent` is the (height, width) of the part that is."""
    if plane.shape == (height, width) == extent:
        return plane
    image = Image.fromarray(np.ascontiguousarray(plane, np.float32))
    box = (0, 0, extent[1], extent[0])
    return np.asarray(image.resize((width, height), Image.Resampling.LANCZOS, box=box))
