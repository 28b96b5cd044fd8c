"""What every network is built on: a chain of named layers, its parameters, and what a file may hold of them.

Adding a network is one file with a subclass of `Backbone`, and one line in `jaxstyle.defaults.NETWORKS`. A subclass
says what its layers are called, what shapes its parameters have, how a layer comes from the one before, and, where
they differ, how its layers are called in the files of others.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal, NamedTuple, TypeAlias

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxstyle import tpu, winograd
from jaxstyle.types import FeatureMap, FeatureMaps, Features, Image, Key

Pooling: TypeAlias = Literal["max", "average"]
Padding: TypeAlias = Literal["zero", "edge", "reflect", "periodic"]

PREPARED = ("adjoint", "winograd", "winograd_adjoint")  # parameters that `Network.for_steps` adds


class MisfitError(ValueError):
    """A file's layers are not this network's. The message says how they differ: "it has no conv2"."""


class Convolution(NamedTuple):
    """A convolution: kernel (height, width, in, out), and bias (out,) or None."""

    kernel: np.ndarray
    bias: np.ndarray | None = None


class Scaling(NamedTuple):
    """Features times `scale` plus `offset`, both (channels,): a normalisation by statistics that no longer change."""

    scale: np.ndarray
    offset: np.ndarray


class Normalisation(NamedTuple):
    """Batch normalisation as files keep it, four arrays (channels,): (x - mean) / sqrt(variance + e) * scale + offset.

    Which e was trained with, no file says: the network's own reader knows it.
    """

    scale: np.ndarray
    offset: np.ndarray
    mean: np.ndarray
    variance: np.ndarray

    def scaling(self, epsilon: float) -> Scaling:
        """The same with its statistics multiplied out."""
        return Scaling(*(array.astype(np.float32) for array in self._multiplied_out(epsilon)))

    def folded_into(self, before: Convolution, epsilon: float) -> Convolution:
        """A convolution and, right after it, this normalisation, as one convolution.

        Raises:
          MisfitError: they have different numbers of channels.
        """
        if self.scale.shape != before.kernel.shape[3:]:
            channels = f"{len(self.scale)} channels after a convolution of {before.kernel.shape[3]}"
            raise MisfitError(f"it has a normalisation of {channels}")
        scale, offset = self._multiplied_out(epsilon)
        bias = offset if before.bias is None else before.bias * scale + offset
        return Convolution((before.kernel * scale).astype(np.float32), bias.astype(np.float32))

    def _multiplied_out(self, epsilon: float) -> tuple[np.ndarray, np.ndarray]:
        """Scale and offset, in float64."""
        scale, offset, mean, variance = (np.asarray(array, np.float64) for array in self)
        with np.errstate(invalid="ignore", divide="ignore"):  # what is not finite is refused where it is loaded
            scale = scale / np.sqrt(variance + epsilon)
            return scale, offset - mean * scale


Layer: TypeAlias = Convolution | Scaling | Normalisation


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
    """

    pooling: Pooling = "max"
    padding: Padding = "zero"
    dtype: Any = jnp.float32

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
        kernel, bias, adjoint, there, back = self._parameters(name, "kernel", "bias", *PREPARED)
        size, _, _, width = kernel.shape
        before, after = self._border(size, stride, size // 2 if border is None else border)
        if min(x.shape[:2]) + before + after < size:  # too small a picture, which `Network.features` refuses
            sides = (max(0, side + before + after - size + stride) // stride for side in x.shape[:2])
            return jnp.zeros((*sides, width), self.dtype)
        padding, same = (before, after), (size, stride, before, after) == (3, 1, 1, 1)
        if self.padding != "zero":
            x, padding = add_border(x, self.padding, before, after), (0, 0)
        if stride == 1 and there is not None and winograd.pays(x.shape, kernel.shape):
            y = _prepared_convolution(winograd.convolution, x, kernel, (there, back), padding)
        elif stride == 1 and adjoint is not None:
            y = _prepared_convolution(_convolution, x, kernel, (kernel, adjoint), padding)
        else:
            convolve = _narrow_convolution if same and width < tpu.LANES else _convolution
            y = convolve(x, kernel, padding, stride)
        return y if bias is None else y + bias[None, None]

    def scaling(self, x: Features, name: str) -> FeatureMap:
        """The features (h, w, c) times the scale and plus the offset of that name."""
        scale, offset = self._parameters(name, "scale", "offset")
        return x * scale[None, None] + offset[None, None]

    def _parameters(self, name: str, *keys: str) -> tuple[Any, ...]:
        """Those of that name, None where there are none, in the type of the convolutions. What is there is read as it
        is: `param`, as modules of Linen's own, would check the shapes anew in each trace, which doubles its time."""
        found: Any = self.get_variable("params", name) or self.param(name, _initial, self.parameter_shapes[name])
        cast = functools.partial(jax.tree.map, lambda x: x.astype(self.dtype))
        return tuple(cast(found[key]) if key in found else None for key in keys)

    def pool(self, x: Features) -> Float[Array, "h//2 w//2 c"]:
        """2x2 pooling with stride 2."""
        return pool(x, self.pooling)

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


@jax.custom_jvp
def relu(x: Features) -> Features:
    """max(x, 0), with a gradient taken from the result: nothing need keep x."""
    return jnp.maximum(x, 0)


# Not `result > 0`, for which the compiler would go back to x.
relu.defjvps(lambda tangent, result, _: jnp.where(result != 0, tangent, jnp.zeros_like(tangent)))


def _convolution(x: Features, kernel: Array, padding: tuple[int, int], stride: int = 1) -> FeatureMap:
    numbers = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(x[None], kernel, (stride, stride), [padding] * 2, dimension_numbers=numbers)[0]


def adjoint_kernel(kernel: Float[Array, "h w c d"]) -> Float[Array, "h w d c"]:
    """That of the convolution which takes a gradient back to the input."""
    return kernel[::-1, ::-1].swapaxes(2, 3)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 4))
def _prepared_convolution(
    convolve: Callable[[Features, Any, tuple[int, int]], FeatureMap],
    x: Features,
    kernel: Array,
    prepared: tuple[Any, Any],
    padding: tuple[int, int],
) -> FeatureMap:
    """A convolution with stride 1, with what `convolve` wants of the kernel, there and back, at hand."""
    return convolve(x, prepared[0], padding)


def _there(convolve: Any, x: Features, kernel: Array, prepared: Any, padding: Any) -> tuple[FeatureMap, Any]:
    return convolve(x, prepared[0], padding), (x, kernel, prepared)


def _back(convolve: Any, padding: tuple[int, int], kept: Any, gradient: Features) -> tuple[Array, Array, Any]:
    x, kernel, prepared = kept
    around = (kernel.shape[0] - 1 - padding[0], kernel.shape[0] - 1 - padding[1])
    (of_kernel,) = jax.vjp(lambda kernel: _convolution(x, kernel, padding), kernel)[1](gradient)
    return convolve(gradient, prepared[1], around), of_kernel, jax.tree.map(jnp.zeros_like, prepared)


_prepared_convolution.defvjp(_there, _back)


def _narrow_convolution(x: Features, kernel: Array, padding: tuple[int, int], stride: int) -> FeatureMap:
    """The same of a 3x3 kernel, with stride 1, for features with few channels."""
    return tpu.on_tpu(
        lambda x, kernel: tpu.convolution(x, kernel, bordered=padding == (0, 0)),
        lambda x, kernel: _convolution(x, kernel, padding, stride),
        x,
        kernel,
    )


def pool(x: Features, pooling: Pooling) -> Float[Array, "h//2 w//2 c"]:
    """2x2 pooling with stride 2; an odd last row or column is dropped, as VGG does."""
    return tpu.on_tpu(lambda x: tpu.pool(x, pooling), lambda x: _pool_of_slices(x, pooling), x)


def _pool_of_slices(x: Features, pooling: Pooling) -> FeatureMap:
    """Three operations on four strided slices: on a CPU the gradient of `reduce_window` is several times slower."""
    h, w = x.shape[0] // 2 * 2, x.shape[1] // 2 * 2
    a, b, c, d = (x[i:h:2, j:w:2] for i in (0, 1) for j in (0, 1))
    if pooling == "max":
        return jnp.maximum(jnp.maximum(a, b), jnp.maximum(c, d))
    return (a + b + c + d) * 0.25


def overlapping_pool(x: Features, pooling: Pooling) -> FeatureMap:
    """3x3 pooling with stride 2 of windows that lie wholly within the picture: rows first, then columns, each three
    strided slices, for the same reason as `pool`."""
    for axis in (0, 1):
        count = max(0, (x.shape[axis] - 1) // 2)
        ends = [(i, i + max(0, 2 * count - 1)) for i in range(3)]
        a, b, c = (x[i:end:2] if axis == 0 else x[:, i:end:2] for i, end in ends)
        x = jnp.maximum(jnp.maximum(a, b), c) if pooling == "max" else (a + b + c) * (1 / 3)
    return x


def add_border(x: Features, padding: Padding, before: int, after: int) -> FeatureMap:
    """So many more rows and columns before and after: zeros, the outermost one ("edge"), the next ones in reverse
    ("reflect"), or those of the other side ("periodic").

    Written as slices put together: the gradient of `jnp.pad` takes longer, to compile and to run.
    """
    if padding == "zero":
        sides = ((before, after),) * 2 if before or after else ((0, 0),) * 2
        return jnp.pad(x, (*sides, (0, 0))) if before or after else x
    mode: Any = {"edge": "edge", "reflect": "reflect", "periodic": "wrap"}[padding]
    for axis in (0, 1):
        side = x.shape[axis]
        if side and (before or after):  # of an empty one, all that comes from it is empty, and refused
            places = np.pad(np.arange(side), (before, after), mode=mode).tolist()
            rows = [
                [jax.lax.slice_in_dim(x, i, i + 1, axis=axis) for i in part]
                for part in (places[:before], places[before + side :])
            ]
            x = jnp.concatenate([*rows[0], x, *rows[1]], axis)
    return x


def in_order(layers: Mapping[str, Layer], names: Sequence[str]) -> dict[str, Layer]:
    """Layers by these names, one after the other; surplus ones keep theirs. For files in which only the order, not
    the name, says which layer it is."""
    return dict(zip([*names, *[*layers][len(names) :]], layers.values(), strict=False))


def plain_convolutions(layers: Mapping[str, Layer]) -> None:
    """Raises `MisfitError` if there is anything else in a file."""
    for name, layer in layers.items():
        if not isinstance(layer, Convolution):
            raise MisfitError(f"its {name} is a normalisation, which the network has not")
