"""Pictures that do not fit the memory."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.engine import memory as forecast
from jaxstyle.engine.memory import check_least
from jaxstyle.errors import InputError
from jaxstyle.networks import Network
from jaxstyle.networks.densenet import DenseNet
from jaxstyle.objective import Objective
from jaxstyle.solvers import Adam, Lbfgs
from transfers import CONTENT, transfer


def fitting(error):
    """The size that the line of a refusal says would fit; None where it says none."""
    line = str(error.value)
    assert line.isprintable() and "GB" in line
    found = re.search(r"size (\d+)", line)
    return found and int(found[1])


def test_a_transfer_that_does_not_fit_is_refused_before_it_runs_with_the_largest_size_that_does():
    content = np.full((96, 128, 3), 0.5, np.float32)
    settings = {"content": content, "min_size": 128, "steps": 1}
    with pytest.raises(InputError, match="128 x 96 pixels with tiny") as caught:
        transfer(memory=10**4, on_progress=lambda _: pytest.fail("it ran"), **settings)
    assert fitting(caught) is None  # that little fits nothing
    with pytest.raises(InputError) as caught:
        transfer(memory=10**6, on_progress=lambda _: pytest.fail("it ran"), **settings)
    side = fitting(caught)
    assert 16 <= side < 128
    h, w = round(96 * side / 128), side
    assert transfer(**{**settings, "content": content[:h, :w], "min_size": w}, memory=10**6).image.shape == (h, w, 3)
    assert transfer(memory=10**12, **settings).image.shape == (96, 128, 3)


@pytest.mark.slow
def test_no_size_is_tried_that_the_network_cannot_take():
    module = DenseNet(depths=(1, 1, 1, 1), growth=4, width=8)  # of 31 pixels its last block has none
    params = {name: {key: jnp.ones(x) for key, x in shapes.items()} for name, shapes in module.parameter_shapes.items()}
    content, objective = np.full((48, 64, 3), 0.5, np.float32), Objective(("dense3",), ("relu0", "dense4"))
    options = {"network": Network(params, "dense", module, "torchvision"), "objective": objective, "steps": 1}
    with pytest.raises(InputError, match="64 x 48 pixels with dense") as caught:
        transfer(content, content, memory=10**5, **options)
    assert fitting(caught) is None


def test_what_certainly_fits_compiles_nothing(monkeypatch):
    monkeypatch.setattr(forecast, "bytes_needed", None)
    assert transfer(memory=10**9, steps=1).image.shape == CONTENT.shape


def test_what_a_device_says_is_heeded():
    class Device:
        def memory_stats(self):
            return {"bytes_limit": 1000, "bytes_in_use": 200}

    assert forecast.free_memory(Device()) == 720
    assert forecast.free_memory(jax.devices("cpu")[0]) is None


@pytest.mark.quick
def test_what_no_tiles_can_hold_is_refused_by_its_size_alone():
    height, width = 3000, 4000
    one = 4 * 3 * height * width  # a picture
    least = 2 * 20 * one  # twenty pairs of steps and gradients; Adam has two moments
    with pytest.raises(InputError, match=r"^4000 x 3000 pixels need .* GB of memory or more, .* above \d+ cannot fit$"):
        check_least((height, width), Lbfgs(), least)
    check_least((height, width), Lbfgs(), 2 * least)
    check_least((height, width), Adam(), 10 * one)
    with pytest.raises(InputError) as refused:
        check_least((height, width), Lbfgs(), least)
    side = int(re.search(r"above (\d+)", str(refused.value))[1])
    check_least((side * 3 // 4, side), Lbfgs(), least)
    with pytest.raises(InputError):
        check_least((side * 3 // 4 + 8, side + 8), Lbfgs(), least)
