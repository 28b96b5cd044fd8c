"""A transfer goes on from where another one stood, and ends with its numbers, bit for bit."""

import jax
import numpy as np
import pytest

from jaxstyle.errors import InputError
from jaxstyle.objective import Objective
from jaxstyle.solvers import Adam, Lbfgs, OptaxLbfgs
from marks import slow
from tiny import picture
from transfers import SOLVERS, transfer

SHALLOW = Objective(("relu2_1",), ("relu1_1", "relu2_1"))
USUAL = {"steps": 3, "min_size": 28, "report_every": 1, "objective": SHALLOW}  # of 40 pixels: scales of 28 and 40
MASKS = np.stack([np.tile(np.linspace(0, 1, 40, dtype=np.float32), (32, 1)), np.zeros((32, 40), np.float32) + 0.5])


def stands_of(**options):
    """A whole transfer, and where it stood after each step."""
    stands = []
    whole = transfer(on_stand=lambda stand: stands.append(jax.device_get(stand)), **(USUAL | options))
    return whole, stands


def same(actual, expected):
    for x, y in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("solver", [SOLVERS[0], *map(slow, SOLVERS[1:])], ids=lambda solver: type(solver).__name__)
def test_it_goes_on_from_every_step_to_the_same_end(solver):
    whole, stands = stands_of(solver=solver)
    assert [stand.scale for stand in stands] == [0, 0, 0, 1, 1, 1]
    for stand in stands:
        looks = []
        same(transfer(solver=solver, begin=stand, on_progress=looks.append, **USUAL), whole)
        done = sum(len(info.evaluations) for info in stand.infos)
        assert [(look.scale, look.step) for look in looks] == [(k // 3 + 1, k % 3 + 1) for k in range(done - 1, 6)]
        assert looks[0].losses.total.shape == (done,)


@pytest.mark.parametrize(
    "solver", [slow(Adam(rate=0.03)), slow(Lbfgs()), slow(OptaxLbfgs())], ids=lambda solver: type(solver).__name__
)
def test_in_tiles_too(solver):
    options = {"content": picture(1, height=48, width=64), "solver": solver, "tile": 16, "min_size": 64}
    whole, stands = stands_of(**options)
    same(transfer(begin=stands[1], **(USUAL | options)), whole)


@pytest.mark.slow
def test_with_masks_an_average_a_margin_and_a_start_from_noise():
    options = {
        "styles": [picture(2), picture(3)],
        "masks": MASKS,
        "average": 0.5,
        "margin": 4,
        "init": "noise",
        "key": jax.random.key(3),
    }
    whole, stands = stands_of(**options)
    for stand in (stands[0], stands[4]):
        same(transfer(begin=stand, **(USUAL | options)), whole)


def test_arrays_in_their_order_are_as_good_as_the_state():
    whole, stands = stands_of()
    stand = stands[3]._replace(state=jax.tree.leaves(stands[3].state))
    same(transfer(begin=stand, **USUAL), whole)


def test_a_loss_that_is_no_number_later_is_told_of_the_right_step():
    _, stands = stands_of()
    state = stands[3].state
    broken = stands[3]._replace(state=state._replace(solver=state.solver._replace(rate=np.float32(np.nan))))
    with pytest.raises(ArithmeticError) as error:
        transfer(begin=broken, **USUAL)
    assert error.value.step == 2
    assert error.value.losses.total.shape == (2,) and np.isfinite(error.value.image).all()


def test_of_another_transfer_it_is_refused():
    _, stands = stands_of()
    with pytest.raises(InputError, match="of another transfer"):
        transfer(begin=stands[-1], solver=Lbfgs(), **USUAL)
