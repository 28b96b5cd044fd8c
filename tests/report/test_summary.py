"""A sweep as its report shows it."""

import pytest

from jaxstyle.report.summary import Source, Sweep
from sheets import STYLES, cell

pytestmark = pytest.mark.quick


@pytest.mark.parametrize("index", [(2,), (0, 0), ()])
def test_a_cell_off_the_grid_is_refused(index):
    with pytest.raises(ValueError, match="place of its own"):
        Sweep("t", (STYLES,), (cell(index),), (Source("a", "a.png"),), ())


def test_two_cells_in_one_place_are_refused():
    with pytest.raises(ValueError, match="place of its own"):
        Sweep("t", (STYLES,), (cell((0,)), cell((0,))), (Source("a", "a.png"),), ())
