"""What lies beyond the border, against NumPy."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.ops.padding import add_border
from tiny import MODES

pytestmark = pytest.mark.quick


@pytest.mark.parametrize("padding", MODES)
@pytest.mark.parametrize(("size", "before", "after"), [((7, 5), 3, 2), ((2, 3), 1, 0), ((1, 2), 2, 2), ((4, 4), 0, 0)])
def test_add_border_equals_numpys(padding: Any, size: tuple[int, int], before: int, after: int) -> None:
    x = np.random.default_rng(5).normal(size=(*size, 2)).astype(np.float32)
    expected = np.pad(x, ((before, after), (before, after), (0, 0)), mode=MODES[padding])
    np.testing.assert_array_equal(add_border(jnp.asarray(x), padding, before, after), expected)
