"""Styles mixed by layer: lanes, and what is refused."""

import numpy as np
import pytest

import jaxstyle
from jaxstyle import Weights
from jaxstyle.errors import InputError
from tiny import OBJECTIVE, compilations, network, picture

NET, CONTENT = network(), picture(0)
STYLES = [np.asarray(picture(1)), np.asarray(picture(2, 24, 48))]
FINE = np.float32([[1, 0], [1, 0], [1, 1], [0, 1], [0, 1]])


@pytest.mark.slow
def test_shares_by_layer_are_lanes_of_one_program_and_new_ones_compile_nothing():
    options = {"network": NET, "objective": OBJECTIVE, "steps": 3, "solver": jaxstyle.Adam()}
    tables = np.stack([FINE, FINE[::-1], np.ones_like(FINE)])
    results = jaxstyle.sweep(CONTENT, STYLES, weights=Weights(mix_layers=tables), **options)
    assert results.image.shape == (3, *CONTENT.shape)
    for table, image in zip(tables, results.image, strict=True):
        alone = jaxstyle.transfer(CONTENT, STYLES, weights=Weights(mix_layers=table), **options)
        np.testing.assert_allclose(image, alone.image, atol=1e-4)
    with compilations() as counted:
        jaxstyle.sweep(CONTENT, STYLES, weights=Weights(mix_layers=tables + 0.5), **options)
        jaxstyle.transfer(CONTENT, STYLES, weights=Weights(mix_layers=FINE + 0.5), **options)
    assert not counted[0]
    mix = np.float32([[1, 1], [1, 3]])
    both = jaxstyle.sweep(CONTENT, STYLES, weights=Weights(mix=mix, mix_layers=FINE), **options)
    again = jaxstyle.sweep(CONTENT, STYLES, weights=Weights(mix_layers=mix[:, None] * FINE), **options)
    np.testing.assert_allclose(both.image, again.image, atol=1e-4)


@pytest.mark.parametrize(
    "weights, words",
    [
        (Weights(mix_layers=np.ones((2, 5), np.float32)), ["(2, 5)", "(5, 2)", "style layers by styles"]),
        (Weights(mix_layers=np.float32([[0, 0]] + [[1, 1]] * 4)), ["without a style"]),
        (Weights(mix=np.float32([0, 1]), mix_layers=FINE), ["without a style"]),
        (Weights(mix_layers=-FINE), ["mix_layers weight", "zero or larger"]),
    ],
)
def test_wrong_shares_are_refused(weights, words):
    with pytest.raises(InputError) as caught:
        jaxstyle.transfer(CONTENT, STYLES, network=NET, objective=OBJECTIVE, weights=weights)
    assert all(word in str(caught.value) for word in words), caught.value
