"""What the first convolution is made to see."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.networks import PREPROCESSING
from tiny import network, picture

pytestmark = pytest.mark.quick

# ------------------------------------------------------------------------------------------------- preprocessing


def test_preprocessing_equals_the_closed_forms():
    image = picture(10)
    r, g, b = (np.float64(image[..., k]) for k in range(3))
    keras = np.stack([255 * b - 103.939, 255 * g - 116.779, 255 * r - 123.68], -1)
    torchvision = np.stack([(r - 0.485) / 0.229, (g - 0.456) / 0.224, (b - 0.406) / 0.225], -1)
    np.testing.assert_allclose(PREPROCESSING["keras"](image), keras, atol=2e-5)
    np.testing.assert_allclose(PREPROCESSING["torchvision"](image), torchvision, atol=2e-6)
    assert set(PREPROCESSING) == {"keras", "torchvision"}


def test_the_two_preprocessings_give_a_network_different_features():
    image = picture(11)
    keras = network(preprocessing="keras").features(image, ("relu1_1",))["relu1_1"]
    torchvision = network().features(image, ("relu1_1",))["relu1_1"]
    scaled = keras * (jnp.linalg.norm(torchvision) / jnp.linalg.norm(keras))
    assert jnp.linalg.norm(scaled - torchvision) > 0.2 * jnp.linalg.norm(torchvision)
