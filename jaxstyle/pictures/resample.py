"""Pictures resampled in NumPy, in float and one channel at a time."""

import numpy as np
from jaxtyping import Float32
from numpy.typing import ArrayLike
from PIL import Image

Resized = Float32[np.ndarray, "{height} {width} 3"]


def resize(image: ArrayLike, height: int, width: int) -> Resized:
    """`image` (h, w, 3) resampled to (height, width, 3) float32, clipped to [0, 1].

    Lanczos with three lobes, widened when shrinking so that nothing aliases; computed in float, channel by
    channel, never through 8 bits.
    """
    return fit(np.asarray(image, dtype=np.float32), height, width)


def unit(samples: np.ndarray) -> np.ndarray:
    """Samples of any number type as float32 with full scale at 1."""
    if samples.dtype.kind == "f":
        return samples
    return np.divide(samples, np.iinfo(samples.dtype).max, dtype=np.float32)


def _lanczos(plane: np.ndarray, height: int, width: int) -> np.ndarray:
    if plane.shape == (height, width):
        return plane
    image = Image.fromarray(np.ascontiguousarray(plane))
    return np.asarray(image.resize((width, height), Image.Resampling.LANCZOS))


def fit(samples: np.ndarray, height: int, width: int) -> np.ndarray:
    """Samples (h, w, 1 or 3) to float32 (height, width, 3), one channel in float at a time to save memory."""
    planes = [_lanczos(unit(samples[..., channel]), height, width) for channel in range(samples.shape[2])]
    return np.clip(np.stack(planes * (3 // len(planes)), axis=2), 0, 1)


def fit_with_alpha(samples: np.ndarray, alpha: np.ndarray, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """`fit` weighted by alpha (h, w), so that hidden colours do not bleed into the visible ones.

    From one step of 8-bit alpha down to none, colours go over to the visible mean: it is flat, so that it
    adds no edges, and what is divided by nearly nothing counts for nearly nothing.
    """
    cover = _lanczos(alpha, height, width)
    trust = np.clip(cover * 255, 0, 1)
    total = alpha.sum(dtype=np.float64)
    planes = []
    for channel in range(samples.shape[2]):
        weighted = unit(samples[..., channel]) * alpha
        mean = np.float32(weighted.sum(dtype=np.float64) / total)
        own = np.clip(_lanczos(weighted, height, width) / np.maximum(cover, 1e-6), 0, 1)
        planes.append(trust * own + (1 - trust) * mean)
    return fit(np.stack(planes, axis=2), height, width), np.clip(cover, 0, 1)
