"""The factors of convolutions, their fit and their tuning, on a network and pictures small enough for every run."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxstyle.networks import Network
from jaxstyle.networks.compact import FactorisedVGG
from jaxstyle.weights import load_network
from tiny import TINY, network, picture

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
STUDENT = FactorisedVGG(depths=TINY.depths, widths=TINY.widths, ranks=((4, 4), (4, 6), (6, 6), (6, 6)))


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[ModuleType, ModuleType]]:
    """The programs, which are in no package, under the settings that a user runs them with."""
    monkeypatch.syspath_prepend(SCRIPTS)
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        import factorise
        import train_compact

        yield factorise, train_compact
    for name in ("factorise", "train_compact", "training_crops"):
        del sys.modules[name]


def maps(rng: np.random.Generator, channels: int, count: int = 3) -> list[np.ndarray]:
    """Correlated features with means of their own."""
    mixture = rng.normal(size=(channels, channels))
    return [np.float32(rng.normal(size=(10, 12, channels)) @ mixture + mixture[0]) for _ in range(count)]


def convolved(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """A 3x3 convolution with zeros around, written plainly."""
    padded = np.pad(np.float64(x), ((1, 1), (1, 1), (0, 0)))
    height, width = x.shape[:2]
    return sum(padded[i : i + height, j : j + width] @ kernel[i, j] for i in range(3) for j in range(3))


def answered(x: np.ndarray, factors: object) -> np.ndarray:
    """What the three factors make of features."""
    return convolved(np.float64(x) @ factors.reduce, factors.kernel) @ factors.expand + factors.bias


def left(answers: list[np.ndarray], wanted: list[np.ndarray]) -> float:
    """Unexplained share of the variance."""
    y = np.concatenate([x.reshape(-1, x.shape[-1]) for x in wanted])
    error = np.concatenate([x.reshape(-1, x.shape[-1]) for x in answers]) - y
    return float((error**2).sum() / ((y - y.mean(0)) ** 2).sum())


def test_a_kernel_of_low_rank_is_found_exactly(scripts: tuple[ModuleType, ModuleType]) -> None:
    rng = np.random.default_rng(0)
    inputs = maps(rng, 6)
    kernel = np.einsum(
        "ar,ijrk,kd->ijad", rng.normal(size=(6, 3)), rng.normal(size=(3, 3, 3, 2)), rng.normal(size=(2, 5))
    )
    wanted = [np.float32(convolved(x, kernel) + 0.3) for x in inputs]
    found = scripts[0].fit(inputs, wanted, kernel, (3, 2))
    assert found.reduced < 1e-3 and found.ranked < 1e-3
    assert left([answered(x, found.factors) for x in inputs], wanted) < 1e-3
    worse = scripts[0].fit(inputs, wanted, kernel, (3, 1))
    np.testing.assert_allclose(worse.ranked, left([answered(x, worse.factors) for x in inputs], wanted), rtol=1e-2)
    assert worse.ranked > 0.05


def test_the_second_rank_leaves_what_a_reduced_rank_regression_leaves(scripts: tuple[ModuleType, ModuleType]) -> None:
    """Against the same written plainly: the best map, then its fitted answers cut to their leading directions."""
    rng = np.random.default_rng(1)
    inputs, kernel = maps(rng, 4), rng.normal(size=(3, 3, 4, 6))
    noise = [0.5 * rng.normal(size=(10, 12, 6)) for _ in inputs]
    wanted = [np.float32(convolved(x, kernel) + e) for x, e in zip(inputs, noise, strict=True)]
    found = scripts[0].fit(inputs, wanted, kernel, (4, 3))
    rows = [
        np.concatenate([np.pad(np.float64(x), ((1, 1), (1, 1), (0, 0)))[i : i + 10, j : j + 12].reshape(120, 4)
                        for i in range(3) for j in range(3)], 1)
        for x in inputs
    ]  # fmt: skip
    x, y = np.concatenate(rows), np.concatenate([w.reshape(120, 6) for w in wanted]).astype(np.float64)
    x, y = x - x.mean(0), y - y.mean(0)
    fitted = x @ np.linalg.lstsq(x, y, rcond=None)[0]
    _, _, directions = np.linalg.svd(fitted, full_matrices=False)
    cut = fitted @ directions[:3].T @ directions[:3]
    np.testing.assert_allclose(found.ranked, ((y - cut) ** 2).sum() / (y**2).sum(), rtol=1e-2)


@pytest.mark.slow
def test_fit_tuning_and_file(
    scripts: tuple[ModuleType, ModuleType], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A tuned network explains more than the fitted one, goes on from its checkpoint, and is what the file holds."""
    _, train = scripts
    teacher = network(seed=1)
    teacher = Network(teacher.params, "vgg19", teacher.module, "keras")
    monkeypatch.setattr(train, "STUDENT", STUDENT)
    monkeypatch.setattr(train, "FITTED_ON", 12)
    monkeypatch.setattr(train, "FITTED_SIDE", 48)
    monkeypatch.setattr(train, "random_batch", lambda key, _, n, side: jax.random.uniform(key, (n, side, side, 3)))
    monkeypatch.setattr(train, "load_network", lambda *_: teacher)
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(2):
        Image.fromarray(np.uint8(np.asarray(picture(i, 64, 96)) * 255)).save(folder / f"{i}.jpg")
    pictures = train.stack(train.read_pictures([folder]), side=96)
    fitted = train.fitted(teacher, np.asarray(jax.random.uniform(jax.random.key(0), (12, 48, 48, 3))))
    fitted = jax.tree.map(jnp.asarray, fitted)
    before = train.reached(teacher, fitted, folder)
    words = [str(folder), "--batch", "4", "--side", "48", "--rate", "3e-3", "--checkpoint", str(tmp_path / "c")]
    train.tuned(teacher, fitted, pictures, train.arguments([*words, "--minutes", "0.1"]))
    tuned = train.tuned(teacher, fitted, pictures, train.arguments([*words, "--minutes", "0.25"]))
    assert train.restore(tmp_path / "c", _training(train, fitted))[1].seconds >= 15
    after = train.reached(teacher, jax.tree.map(jnp.asarray, tuned), folder)
    assert after.explained["relu5_1"] > before.explained["relu5_1"]
    np.testing.assert_array_equal(tuned["conv1_1"]["kernel"], teacher.params["conv1_1"]["kernel"])


def _training(train: ModuleType, params: dict) -> object:
    """What a checkpoint is read into."""
    movable = {name: jax.tree.map(jnp.asarray, layer) for name, layer in params.items() if name != "conv1_1"}
    return train.Training(movable, movable, (train.optax.EmptyState(), train.optax.scale_by_adam().init(movable)))


def test_the_shipped_file_is_what_the_script_makes() -> None:
    """Its factors are read as codebooks, and are those of the registered architecture."""
    net = load_network("compact")
    assert net.preprocessing == "keras"
    assert set(net.params) == set(net.module.parameter_shapes)
    kernel = np.asarray(net.params["conv3_1"]["kernel"])
    assert len(np.unique(kernel)) <= 256
