"""What the first convolution of a network was trained to see. It belongs to a file of weights, not to a network."""

from dataclasses import dataclass

import jax.numpy as jnp

from jaxstyle.types import Image


@dataclass(frozen=True)
class Preprocessing:
    """What a network's first convolution was trained to see, as a map of an RGB image in [0, 1].

    (image[..., ::-1] if `bgr` else image) * `scale`, minus `mean`, over `std`; `mean` in the order of the channels
    after the reversal.
    """

    bgr: bool
    scale: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def __call__(self, image: Image) -> Image:
        """The image as the network wants it, (h, w, 3)."""
        image = image[..., ::-1] if self.bgr else image
        mean, std = (jnp.asarray(x, image.dtype)[None, None] for x in (self.mean, self.std))
        return (image * self.scale - mean) / std


PREPROCESSING = {
    "keras": Preprocessing(bgr=True, scale=255.0, mean=(103.939, 116.779, 123.68), std=(1.0, 1.0, 1.0)),
    "torchvision": Preprocessing(bgr=False, scale=1.0, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
}
