"""Whole images: blurring them, averaging them down, and writing them as JPEG."""

import numpy as np
from PIL import Image


def blur(image, sigma):
    """Gaussian blur of (h, w) or (h, w, c) over the first two axes, edges repeated."""
    radius = max(1, int(3 * sigma + 0.5))
    taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2).astype(np.float32)
    taps /= taps.sum()
    for axis in (0, 1):
        size = image.shape[axis]
        pad = [(radius, radius) if a == axis else (0, 0) for a in range(image.ndim)]
        wide = np.pad(image, pad, mode="edge")
        image = sum(tap * wide.take(range(k, k + size), axis) for k, tap in enumerate(taps))
    return image


def shrink(image, factor):
    """Average over factor x factor blocks of (h, w, c)."""
    h, w, c = image.shape
    return image.reshape(h // factor, factor, w // factor, factor, c).mean((1, 3))


def save(image, path):
    """Write sRGB floats (h, w, 3) in [0, 1] as a JPEG, at lower quality where it would pass 200 kB."""
    pixels = Image.fromarray((np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8))
    for quality in (93, 91, 88, 85):
        pixels.save(path, quality=quality, subsampling=0, optimize=True)
        if path.stat().st_size < 200_000:
            break
    print(f"{path}  {pixels.width}x{pixels.height}  quality {quality}  {path.stat().st_size} bytes")
