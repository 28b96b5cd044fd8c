"""The prior of pixels."""

import jax
import numpy as np
import pytest

from jaxstyle.losses import periodic_variation, total_variation
from jaxstyle.objective import RELATIVE, Objective, Weights, loss_terms, make_targets
from jaxstyle.studies.prior import Prior
from jaxstyle.studies.reconstruct import reconstruct
from tiny import compilations, network, picture

NET, IMAGE, SOURCE = network(), picture(1, 32, 48), picture(2, 32, 48)


def test_the_picture_itself_has_no_error():
    objective = Objective(("relu3_1",), (), RELATIVE._replace(variation=Prior(0.0)))

    @jax.jit
    def error(image):
        targets = make_targets(NET, image, [image], objective=objective)
        return loss_terms(image, NET, targets, Weights(1.0, 0.0, 1.0), objective=objective).total

    assert error(IMAGE) == 0


@pytest.mark.slow
def test_the_prior_smooths():
    rough, smooth = (reconstruct(IMAGE, "relu3_1", network=NET, steps=20, tv_weight=w).image for w in (0.0, 3.0))
    assert total_variation(smooth) < 0.7 * total_variation(rough)


def test_a_prior_is_a_weighted_variation_and_equal_ones_compile_nothing():
    for periodic, variation in ((False, total_variation), (True, periodic_variation)):
        np.testing.assert_allclose(Prior(0.4, periodic)(IMAGE), 0.4 * variation(IMAGE), rtol=1e-6)
    reconstruct(IMAGE, "conv1_1", network=NET, steps=1)
    with compilations() as counted:
        reconstruct(SOURCE, "conv1_1", network=NET, steps=2, key=jax.random.key(5))
    assert counted == [0]
