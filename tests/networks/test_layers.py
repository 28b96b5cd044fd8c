"""What files hold of a network, multiplied out."""

import numpy as np
import pytest

from jaxstyle.networks.layers import Convolution, Normalisation

pytestmark = pytest.mark.quick


def test_folding_is_normalising_after_the_convolution() -> None:
    rng = np.random.default_rng(6)
    x, kernel = rng.normal(size=(5, 4)), rng.normal(size=(1, 1, 4, 3)).astype(np.float32)
    scale, offset, mean, bias = (rng.normal(size=3).astype(np.float32) for _ in range(4))
    norm = Normalisation(scale, offset, mean, np.float32([1e-4, 1.0, 3.0]))
    for given in (None, bias):
        y = x @ kernel[0, 0].astype(np.float64) + (0 if given is None else given)
        expected = (y - mean) / np.sqrt(norm.variance.astype(np.float64) + 1e-3) * scale + offset
        folded = norm.folded_into(Convolution(kernel, given), 1e-3)
        np.testing.assert_allclose(x @ folded.kernel[0, 0] + folded.bias, expected, rtol=1e-5, atol=1e-5)
        times, plus = norm.scaling(1e-3)
        np.testing.assert_allclose(y * times + plus, expected, rtol=1e-5, atol=1e-5)
