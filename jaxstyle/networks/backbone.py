"""What every network is built on: a chain of named layers, its parameters, and what a file may hold of them.

Adding a network is one file with a subclass of `Backbone`, and one line in `jaxstyle.defaults.NETWORKS`. A subclass
says what its layers are called, what shapes its parameters have, how a layer comes from the one before, and, where
they differ, how its layers are called in the files of others.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxstyle.networks.layers import Layer
from jaxstyle.ops.convolution import convolution
from jaxstyle.ops.padding import Padding, add_border
from jaxstyle.ops.pooling import Pooling, overlapping_pool, pool
from jaxstyle.ops.tpu import Platform
from jaxstyle.types import FeatureMap, FeatureMaps, Features, Image, Key


class Backbone(nn.Module, kw_only=True):
    """A frozen network as a chain of named layers, from a preprocessed image to features.

    Subclasses define `layer_names`, `parameter_shapes` and `layer`, name their default layers, and override
    `from_file` where files have other names than `parameter_shapes`.

    Attributes:
      pooling: "max", which stands for the network's own, or "average", as Gatys, Ecker and Bethge (2015) preferred
        for synthesis.
      padding: what convolutions (and poolings with a border) see beyond the picture: "zero", "edge", "reflect", or
        "periodic", the picture itself, as if it tiled the plane. The last wants sides that all strides divide.
      dtype: type of the convolutions, float32 or bfloat16; parameters stay float32.
      platform: kind of device that the layers are traced for, "cpu", "gpu" or "tpu"; None for any.
    """

    pooling: Pooling = "max"
    padding: Padding = "zero"
    dtype: Any = jnp.float32
    platform: Platform | None = None

    content_layers: ClassVar[tuple[str, ...]] = ()  # the defaults of an objective
    style_layers: ClassVar[tuple[str, ...]] = ()
    smallest: ClassVar[int] = 16  # side in pixels of a picture of which each of these layers has some
    keras_preprocessing: ClassVar[str] = "torchvision"  # what files of Keras want; state dicts want torchvision's

    @property
    def layer_names(self) -> tuple[str, ...]:
        """All layers, in the order in which they are computed."""
        raise NotImplementedError

    @property
    def parameter_shapes(self) -> dict[str, dict[str, tuple[int, ...]]]:
        """Shapes of all parameters, shallow to deep: {"kernel": (height, width, in, out), "bias": (out,)} (or without
        the bias) of a convolution, {"scale": (c,), "offset": (c,)} of a scaling.

        Each is named after the layer that first needs it, alone or with more after an underscore: `conv2`,
        `dense1_3_norm`. So a file that lacks the deepest still serves the layers before.
        """
        raise NotImplementedError

    def layer(self, x: Features, name: str) -> FeatureMap:
        """A layer's features from those of the layer before; of the first one, from the preprocessed image."""
        raise NotImplementedError

    def from_file(self, layers: Mapping[str, Layer]) -> dict[str, Layer]:
        """Layers of somebody's file, shallow to deep, under the names of `parameter_shapes`.

        Names, number and shapes are checked by the caller; what is surplus is to be left in, so that it is noticed.

        Args:
          layers: by the file's own names: `features.0` of a torch state dict, `block1_conv1` of Keras.

        Raises:
          MisfitError: they cannot be this network's.
        """
        return dict(layers)

    @property
    def kernel_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape (height, width, in, out) of each convolution's kernel, shallow to deep."""
        return {name: shapes["kernel"] for name, shapes in self.parameter_shapes.items() if "kernel" in shapes}

    @nn.compact
    def __call__(self, x: Image, layers: Sequence[str]) -> FeatureMaps:
        """The features of `layers`. Nothing past the deepest of them is computed.

        Args:
          x: a preprocessed image, (h, w, 3).
          layers: names out of `layer_names`.

        Returns:
          name -> features (h', w', c), in the order asked for.
        """
        wanted = set(layers)
        found: FeatureMaps = {}
        x = x.astype(self.dtype)
        for name in self.layer_names:
            if wanted <= found.keys():
                break
            x = self.layer(x, name)
            if name in wanted:
                found[name] = x
        return {name: found[name] for name in layers}

    def convolution(self, x: Features, name: str, *, stride: int = 1, border: int | None = None) -> FeatureMap:
        """The convolution with the parameters of that name.

        Args:
          x: (h, w, in).
          name: out of `parameter_shapes`.
          stride: of its outputs.
          border: pixels of padding on each side; None: half the kernel's.
        """
        kernel, bias = self._parameters(name, "kernel", "bias")
        size, _, _, width = kernel.shape
        before, after = self._border(size, stride, size // 2 if border is None else border)
        if min(x.shape[:2]) + before + after < size:  # too small a picture, which `Network.features` refuses
            sides = (max(0, side + before + after - size + stride) // stride for side in x.shape[:2])
            return jnp.zeros((*sides, width), self.dtype)
        padding = (before, after)
        if self.padding != "zero":
            x, padding = add_border(x, self.padding, before, after), (0, 0)
        prepared: Any = self.get_variable("prepared", name)
        y = convolution(x, kernel, padding, stride=stride, prepared=prepared, platform=self.platform)
        return y if bias is None else y + bias[None, None]

    def scaling(self, x: Features, name: str) -> FeatureMap:
        """The features (h, w, c) times the scale and plus the offset of that name."""
        scale, offset = self._parameters(name, "scale", "offset")
        return x * scale[None, None] + offset[None, None]

    def _parameters(self, name: str, *keys: str) -> tuple[Any, ...]:
        """Those of that name, None where there are none, in the type of the convolutions. What is there is read as it
        is: `param`, as modules of Linen's own, would check the shapes anew in each trace, which doubles its time."""
        found: Any = self.get_variable("params", name) or self.param(name, _initial, self.parameter_shapes[name])
        return tuple(found[key].astype(self.dtype) if key in found else None for key in keys)

    def pool(self, x: Features) -> Float[Array, "h//2 w//2 c"]:
        """2x2 pooling with stride 2."""
        return pool(x, self.pooling, platform=self.platform)

    def overlapping_pool(self, x: Features, *, border: int = 0) -> FeatureMap:
        """3x3 pooling with stride 2, after a border of so many pixels on each side; zeros, of features that are
        nowhere negative, change no maximum."""
        return overlapping_pool(add_border(x, self.padding, *self._border(3, 2, border)), self.pooling)

    def _border(self, size: int, stride: int, border: int) -> tuple[int, int]:
        """Before and after. A picture that tiles the plane has as many outputs as the stride fits into it."""
        return border, size - stride - border if self.padding == "periodic" else border


def _initial(key: Key, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
    """For `init`: He-normal kernels, scales of one, all else zero."""
    kinds = {"kernel": nn.initializers.he_normal(), "scale": nn.initializers.ones}
    return {name: kinds.get(name, nn.initializers.zeros)(key, shape, jnp.float32) for name, shape in shapes.items()}
