"""Reconstruction: what a layer keeps of a picture."""

import numpy as np

from jaxstyle.pictures.metrics import psnr
from jaxstyle.studies.reconstruct import reconstruct
from tiny import features, network, picture

NET, IMAGE = network(), picture(1, 32, 48)


def test_a_shallow_layer_gives_the_picture_back_and_a_deeper_one_less_of_it():
    found = {layer: reconstruct(IMAGE, layer, network=NET, steps=60, tv_weight=0.0) for layer in ("conv1_1", "relu3_1")}
    for layer, result in found.items():
        kept, wanted = (features(NET, x, (layer,))[layer] for x in (result.image, IMAGE))
        error = np.sum((np.float64(kept) - np.float64(wanted)) ** 2) / np.sum(np.float64(wanted) ** 2)
        np.testing.assert_allclose(result.final.content, error, rtol=1e-3, atol=1e-9)
        assert error < 0.05 * result.losses.content[0]
        assert result.image.shape == IMAGE.shape and 0 <= result.image.min() <= result.image.max() <= 1
        assert result.losses.content.shape == (60,)
    assert psnr(found["conv1_1"].image, IMAGE) > 30
    assert psnr(found["conv1_1"].image, IMAGE) > psnr(found["relu3_1"].image, IMAGE) + 3
