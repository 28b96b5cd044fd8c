"""Statistics, maps and filters against NumPy."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.losses import gatys_style
from jaxstyle.studies.features import first_filters, layer_statistics, strongest_maps
from tiny import features, network, picture

NET, IMAGE = network(), picture(1)


@pytest.mark.slow
def test_statistics_equal_numpy():
    found = layer_statistics(NET, IMAGE, NET.layer_names)
    assert set(found) == set(NET.layer_names)
    for name, x in features(NET, IMAGE, NET.layer_names).items():
        x = np.float64(x).reshape(-1, x.shape[2])
        gram = x.T @ x / len(x)
        expected = x.mean(), np.sqrt((x**2).mean()), (x == 0).mean(), (gram**2).sum() / (4 * x.shape[1] ** 2)
        np.testing.assert_allclose(found[name], expected, rtol=1e-4, atol=1e-6, err_msg=name)
        if name.startswith("relu"):
            assert 0.05 < found[name].sparsity < 0.95


def test_the_style_term_is_gatys_s_of_a_blank_picture():
    gram = jnp.asarray([[3.0, 1.0], [1.0, 2.0]])
    np.testing.assert_allclose(gatys_style(jnp.zeros((3, 4, 2)), gram), 15 / 16)


def test_the_strongest_maps_are_those_of_the_largest_mean_square():
    x = features(NET, IMAGE, ("conv3_1",))["conv3_1"]
    expected = np.argsort(-np.mean(np.float64(x) ** 2, (0, 1)))
    np.testing.assert_array_equal(strongest_maps(x, 5), expected[:5])


@pytest.mark.parametrize("preprocessing", ["torchvision", "keras"])
def test_filters_are_what_the_first_layer_sees_of_rgb(preprocessing):
    """The answer to a picture changes along a filter, wherever that is taken from."""
    net = network(preprocessing=preprocessing)
    filters = np.asarray(first_filters(net))
    assert filters.shape == (4, 3, 3, 3) and filters.min() >= 0 and filters.max() <= 1
    np.testing.assert_allclose(np.abs(filters - 0.5).max((1, 2, 3)), 0.5, atol=1e-6)
    patch = np.full((17, 17, 3), 0.5, np.float32)
    grey = features(net, jnp.asarray(patch), ("conv1_1",))["conv1_1"][8, 8]
    for k, one in enumerate(filters):
        changed = patch.copy()
        changed[7:10, 7:10] += 0.2 * (one - 0.5)
        answer = features(net, jnp.asarray(changed), ("conv1_1",))["conv1_1"][8, 8, k] - grey[k]
        rolled = patch.copy()
        rolled[7:10, 7:10] += 0.2 * (one[..., ::-1] - 0.5)
        other = features(net, jnp.asarray(rolled), ("conv1_1",))["conv1_1"][8, 8, k] - grey[k]
        assert answer > 0 and answer > other
