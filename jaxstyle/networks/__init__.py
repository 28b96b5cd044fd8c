"""Networks: pure functions from an image to features by layer name, and the table of the known architectures.

An architecture is a Linen module with three more attributes: `layer_names`, `kernel_shapes`, and a call that takes
a preprocessed image and the names of the layers wanted. Preprocessing is not part of an architecture: it belongs to
the file the weights came from, and travels with them in a `Network`.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from flax import struct

from jaxstyle.errors import InputError, nearest
from jaxstyle.networks.vgg import COMPACT, VGG, VGG16, VGG19
from jaxstyle.types import FeatureMaps, Image, Params

__all__ = ["ARCHITECTURES", "PREPROCESSING", "Network", "Preprocessing"]

ARCHITECTURES: dict[str, VGG] = {"compact": COMPACT, "vgg19": VGG19, "vgg16": VGG16}


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


@struct.dataclass
class Network:
    """An architecture with its weights and their preprocessing: a pytree whose leaves are the weights.

    Give it to `jax.jit` as an argument, so that the weights are no constants of the program.
    """

    params: Params
    name: str = struct.field(pytree_node=False)
    module: VGG = struct.field(pytree_node=False)
    preprocessing: str = struct.field(pytree_node=False)

    @property
    def layer_names(self) -> tuple[str, ...]:
        """Every layer that `features` knows, shallow to deep: those before the first convolution without weights."""
        names = self.module.layer_names
        end = (i for i, name in enumerate(names) if name.startswith("conv") and name not in self.params)
        return names[: next(end, None)]

    def features(self, image: Image, layers: Sequence[str]) -> FeatureMaps:
        """Features of an image by layer name; pure, for use under `jit`, `vmap` and `grad`.

        Args:
          image: RGB, (h, w, 3), in [0, 1].
          layers: names out of `layer_names`; nothing past the deepest is computed.

        Returns:
          name -> features (h', w', c), in the type of the network's convolutions.

        Raises:
          InputError: a layer that the network has not.
        """
        for name in layers:
            if name not in self.layer_names:
                raise InputError(
                    f"{self.name} has no layer {name!r}; it has {self.layer_names[0]} ... "
                    f"{self.layer_names[-1]}{nearest(name, self.layer_names)}"
                )
        found: Any = self.module.apply({"params": self.params}, PREPROCESSING[self.preprocessing](image), layers)
        return found

    def with_options(self, **options: Any) -> "Network":
        """The same weights with other `pooling` ("max", "average"), `padding` ("zero", "edge", "reflect", "periodic")
        or `dtype` (jnp.float32, jnp.bfloat16)."""
        return dataclasses.replace(self, module=self.module.clone(**options))
