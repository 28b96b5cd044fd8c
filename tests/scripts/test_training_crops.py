"""The crops that networks are trained on."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from tiny import picture

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


@pytest.fixture
def crops(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The program, which is in no package, under the settings that a user runs it with."""
    monkeypatch.syspath_prepend(SCRIPTS)
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        import training_crops

        yield training_crops
    del sys.modules["training_crops"]


def pictures(*sizes: tuple[int, int]) -> list[Image.Image]:
    arrays = [picture(i, height, width) for i, (height, width) in enumerate(sizes)]
    return [Image.fromarray(np.asarray(np.asarray(array) * 255, np.uint8)) for array in arrays]


def test_large_pictures_are_stacked_whole_and_in_parts(crops: ModuleType) -> None:
    stacked = crops.stack(pictures((30, 40), (64, 48)), side=40)
    assert stacked.pixels.shape == (6, 40, 40, 3)
    assert stacked.sizes.tolist() == [[30, 40], [40, 30], *[[40, 40]] * 4]
    assert not stacked.pixels[0, 30:].any()


def test_sampling_keeps_mirrors_and_averages(crops: ModuleType) -> None:
    def sampled(*where: float) -> np.ndarray:
        return np.asarray(crops.sampling(*map(jnp.float32, where), 8, 12) @ jnp.arange(12.0))

    np.testing.assert_allclose(sampled(0, 1, 12), np.arange(8), atol=1e-5)
    np.testing.assert_allclose(sampled(-2, 1, 4), [1, 0, 0, 1, 2, 3, 3, 2], atol=1e-5)
    np.testing.assert_allclose(sampled(0, 4, 12)[:3].mean(), 5.5, atol=0.1)


@pytest.mark.slow
def test_crops_are_images_and_no_two_alike(crops: ModuleType) -> None:
    stacked = crops.stack(pictures((30, 40), (40, 40)), side=40)
    make = jax.jit(crops.random_batch, static_argnums=(2, 3))
    images = make(jax.random.key(0), stacked, 24, 32)
    assert images.shape == (24, 32, 32, 3)
    assert images.min() >= 0 and images.max() <= 1
    assert len(np.unique(np.asarray(images).reshape(24, -1), axis=0)) == 24
    np.testing.assert_array_equal(images, make(jax.random.key(0), stacked, 24, 32))
    assert not np.array_equal(images, make(jax.random.key(1), stacked, 24, 32))
