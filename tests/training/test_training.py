"""Photographs, crops, and the loop of a training: killed and taken up again, it ends with the same numbers."""

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

pytest.importorskip("grain")
pytest.importorskip("orbax.checkpoint")

from jaxstyle.errors import InputError
from jaxstyle.training.loop import train
from jaxstyle.training.photos import crops, read_photos


@pytest.fixture
def photos(tmp_path):
    folder, rng = tmp_path / "photos", np.random.default_rng(0)
    folder.mkdir()
    for k, size in enumerate([(40, 60), (80, 50), (64, 64)]):
        Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(folder / f"{k}.png")
    return folder


def batches(folder, seed=0):
    return crops(read_photos([folder], smallest=32), side=32, batch=2, seed=seed)


def test_broken_and_small_files_are_named_and_passed_over(photos):
    (photos / "broken.jpg").write_bytes((photos / "0.png").read_bytes()[:200])
    (photos / "notes.txt").write_text("no picture")
    Image.new("RGB", (20, 90)).save(photos / "thin.png")
    found = read_photos([photos], smallest=32)
    assert len(found.pictures) == 3 and len(found.refused) == 2
    assert "broken.jpg" in found.refused[0] and "thin.png is 20 x 90 pixels; at least 32" in found.refused[1]


def test_too_few(photos, tmp_path):
    with pytest.raises(InputError, match=r"1 photographs in .* at least 2 are needed"):
        read_photos([photos / "0.png"], smallest=32)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match="0 photographs in"):
        read_photos([empty], smallest=32)


def test_crops_are_parts_of_photographs_and_the_same_again(photos):
    first, again, other = (batches(photos, seed) for seed in (0, 0, 1))
    seen = [next(first) for _ in range(5)]
    assert {x.shape for x in seen} == {(2, 32, 32, 3)} and {x.dtype for x in seen} == {np.dtype(np.uint8)}
    for x in seen:
        np.testing.assert_array_equal(x, next(again))
    assert any(np.any(x != next(other)) for x in seen)


def step(state, batch, number):
    """Depends on all that must be the same."""
    change = jnp.float32(batch.astype(np.float32).mean()) * (number + 1)
    return {"w": state["w"] * 0.9 + change}, {"mean": change}


def run(photos, folder, steps, settings=None, **how):
    how = {"look_every": 2, "save_every": 9} | how
    start = {"w": jnp.zeros(3)}
    return train(start, step, batches(photos), steps=steps, folder=folder, settings=settings or {"rate": 1}, **how)


@pytest.mark.slow
def test_taken_up_again_it_ends_with_the_same_numbers(photos, tmp_path):
    whole = run(photos, tmp_path / "one", 11)

    class Killed(BaseException):
        pass

    def kill(at):
        def look(state):
            if state.step == at:
                raise Killed

        return look

    for at in (4, 8):  # between two checkpoints, each time
        with pytest.raises(Killed):
            run(photos, tmp_path / "two", 11, save_every=3, on_look=kill(at))
    begun = []
    resumed = run(photos, tmp_path / "two", 11, save_every=3, on_look=lambda look: begun.append(look.begun))
    assert begun[0] == 6
    np.testing.assert_array_equal(resumed["w"], whole["w"])


@pytest.mark.slow
def test_looks(photos, tmp_path):
    looks = []
    run(photos, tmp_path / "x", 5, on_look=looks.append)
    assert [look.step for look in looks] == [2, 4, 5]
    assert all(np.isfinite(look.losses["mean"]) for look in looks)


@pytest.mark.slow
def test_another_training_is_not_gone_on_with(photos, tmp_path):
    run(photos, tmp_path / "x", 3)
    with pytest.raises(InputError, match="holds a training with rate 1, and this one has 2"):
        run(photos, tmp_path / "x", 3, {"rate": 2})


def test_what_is_done_is_done(photos, tmp_path):
    first = run(photos, tmp_path / "x", 4)
    again = run(photos, tmp_path / "x", 4, on_look=lambda look: pytest.fail("it took another step"))
    np.testing.assert_array_equal(first["w"], again["w"])
