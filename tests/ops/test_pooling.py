"""Pooling with stride 2 against flax."""

import pytest

from jaxstyle.ops.pooling import overlapping_pool, pool
from tiny import check_pooling

pytestmark = pytest.mark.quick


@pytest.mark.parametrize("size", [(6, 8), (7, 5), (2, 3)])
def test_pool_equals_that_of_flax(size):
    check_pooling(pool, size, side=2)


@pytest.mark.parametrize("size", [(7, 9), (8, 6), (3, 4)])
def test_overlapping_pool_equals_that_of_flax(size: tuple[int, int]) -> None:
    check_pooling(overlapping_pool, size, side=3)
