"""Crops to train on: pictures of a folder at random scales, turned, reflected, recoloured; made ahead in a thread."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter


def load_pictures(folders: list[Path], long_side: int = 1024) -> list[Image.Image]:
    """Every picture of the folders, in RGB, none larger than `long_side`."""
    files = sorted(f for folder in folders for f in folder.glob("*.jpg"))
    pictures = []
    for file in files:
        picture = Image.open(file).convert("RGB")
        picture.thumbnail((long_side, long_side), Image.Resampling.LANCZOS)
        pictures.append(picture)
    return pictures


def random_crop(pictures: list[Image.Image], size: int, rng: np.random.Generator) -> np.ndarray:
    """A square crop at a random scale, turned, reflected, recoloured, now and then blurred or noisy; uint8."""
    picture = pictures[rng.integers(len(pictures))]
    side = min(picture.size)
    extent = np.exp(rng.uniform(np.log(min(size * 0.6, side)), np.log(side)))
    x, y = (rng.uniform(0, length - extent) for length in picture.size)
    crop = picture.resize((size, size), Image.Resampling.BICUBIC, (x, y, x + extent, y + extent), reducing_gap=2.0)
    if rng.random() < 0.08:
        crop = crop.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 3)))
    image = np.rot90(np.asarray(crop, np.float32) / 255, rng.integers(4) if rng.random() < 0.3 else 0)
    image = image[:, ::-1] if rng.random() < 0.5 else image
    return np.uint8(np.clip(recolour(image, rng), 0, 1) * 255 + 0.5)


def recolour(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Half of the crops: brightness, contrast, gamma, saturation, channels; a few: noise, as early iterates have."""
    if rng.random() < 0.5:
        mean = image.mean((0, 1))
        image = (image - mean) * rng.uniform(0.6, 1.4) + mean + rng.normal(0, 0.08, 3)
        image = np.clip(image, 0, 1) ** np.exp(rng.normal(0, 0.25))
        mix = np.eye(3) + rng.normal(0, 0.12, (3, 3))
        image = image @ (mix / mix.sum(0)).astype(np.float32)
    if rng.random() < 0.1:
        image = image[..., rng.permutation(3)]
    if rng.random() < 0.12:
        image = image + rng.normal(0, rng.uniform(0.02, 0.2), image.shape)
    return image.astype(np.float32)


def batches(pictures: list[Image.Image], shapes: list[tuple[int, int]], seed: int) -> Iterator[np.ndarray]:
    """Endless batches (n, size, size, 3), uint8, of the (n, size) in `shapes` in turn, made ahead in a thread."""

    def make(step: int) -> np.ndarray:
        rng = np.random.default_rng((seed, step))
        count, size = shapes[step % len(shapes)]
        return np.stack([random_crop(pictures, size, rng) for _ in range(count)])

    with ThreadPoolExecutor(1) as pool:
        ahead = [pool.submit(make, step) for step in range(3)]
        step = 3
        while True:
            yield ahead.pop(0).result()
            ahead.append(pool.submit(make, step))
            step += 1
