"""Networks: an architecture with its weights, as pure functions from an image to features by layer name."""

import bisect
import dataclasses
import functools
import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array

from jaxstyle import defaults
from jaxstyle.errors import InputError, nearest
from jaxstyle.networks.backbone import Backbone
from jaxstyle.networks.preprocessing import PREPROCESSING
from jaxstyle.ops import winograd
from jaxstyle.ops.compile import compiled, platform_of
from jaxstyle.ops.convolution import Prepared, adjoint_kernel, is_pointwise
from jaxstyle.ops.tpu import Platform
from jaxstyle.types import FeatureMaps, Image, Params

LARGEST = 1024  # side in pixels up to which the smallest picture of a layer is searched for


def _architecture(place: str) -> Backbone:
    """The module at a place of the table, "file:NAME"."""
    file, _, name = place.partition(":")
    module = getattr(importlib.import_module(f"jaxstyle.networks.{file}"), name)
    assert isinstance(module, Backbone)
    return module


ARCHITECTURES: dict[str, Backbone] = {name: _architecture(place) for name, place in defaults.NETWORKS.items()}


@struct.dataclass
class Network:
    """An architecture with its weights and their preprocessing: a pytree whose leaves are the weights.

    Give it to `jax.jit` as an argument, so that the weights are no constants of the program.

    Attributes:
      params: the weights, as `module.parameter_shapes` says.
      name: of the architecture.
      module: the architecture, with its options.
      preprocessing: what the first convolution was trained to see, in `PREPROCESSING`.
      prepared: what `for_steps` has computed of the kernels, by convolution; None without it.
    """

    params: Params
    name: str = struct.field(pytree_node=False)
    module: Backbone = struct.field(pytree_node=False)
    preprocessing: str = struct.field(pytree_node=False)
    prepared: Mapping[str, Prepared] | None = None

    @property
    def layer_names(self) -> tuple[str, ...]:
        """Every layer that `features` knows, shallow to deep: those before the first that lacks its weights."""
        names = self.module.layer_names
        lacking = next((name for name in self.module.parameter_shapes if name not in self.params), None)
        end = lacking and layer_of(lacking, names)
        return names[: names.index(end)] if end else names

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
        variables = {"params": self.params, "prepared": self.prepared or {}}
        found: Any = self.module.apply(variables, PREPROCESSING[self.preprocessing](image), layers)
        for name in layers:
            if 0 in found[name].shape:
                height, width = image.shape[:2]
                least = f"at least {_smallest_side(self.module, name)} a side are needed"
                raise InputError(f"{name} of {self.name} has no pixel of a picture of {width} x {height}; {least}")
        return found

    def layers_within(self, height: int, width: int) -> tuple[str, ...]:
        """Every layer that has at least one pixel of a picture of this size."""
        shapes = _shapes(self.module, self.layer_names, height, width)
        return tuple(name for name in self.layer_names if 0 not in shapes[name])

    def cell(self, layers: Sequence[str]) -> int:
        """Side in pixels of what the coarsest of some layers makes one of."""
        return max(cells_of(self.module, layers).values())

    def with_options(self, **options: Any) -> "Network":
        """The same weights with other `pooling` ("max", "average"), `padding` ("zero", "edge", "reflect", "periodic")
        or `dtype` (jnp.float32, jnp.bfloat16)."""
        return dataclasses.replace(self, module=self.module.clone(**options))

    def for_device(self, platform: Platform) -> "Network":
        """The same traced for one kind of device, "cpu", "gpu" or "tpu": twice as fast as for any."""
        return dataclasses.replace(self, module=self.module.clone(platform=platform))

    def for_steps(self, size: tuple[int, int] | None = None) -> "Network":
        """The same for loops around gradients, as `transfer` is one: what is alike at each step is computed now.

        Weights take the type of the convolutions. On a CPU `prepared` holds for each convolution that is not 1x1 the
        kernel of its gradient and, where that pays, both kernels as `ops.winograd` wants them: up to six times the
        memory, for reverse mode (`jax.grad`) only. Options are to be chosen before. What is there already is kept.

        Args:
          size: (height, width) of the largest picture that the loop will see; None for any.
        """
        dtype = self.module.dtype
        params: Any = jax.tree.map(lambda x: x if x.dtype == dtype else x.astype(dtype), dict(self.params))
        platform = platform_of(jax.tree.leaves(params)[0])
        network = dataclasses.replace(self, params=params).for_device(platform)
        if platform != "cpu":
            return network
        kernels = {name: x["kernel"] for name, x in params.items() if "kernel" in x and not is_pointwise(x["kernel"])}
        prepared = dict(self.prepared or {})
        prepared |= _adjoints({name: kernel for name, kernel in kernels.items() if name not in prepared})
        for name in self._for_winograd(kernels, size):
            if prepared[name].halved is None:
                prepared[name] = _for_winograd(kernels[name], prepared[name])
        return dataclasses.replace(network, prepared=prepared)

    def _for_winograd(self, kernels: dict[str, Array], size: tuple[int, int] | None) -> list[str]:
        """Convolutions for which it pays with pictures of this size."""
        names = [name for name, kernel in kernels.items() if winograd.may_pay(kernel)]
        if size is None or not names:
            return names
        of = {name: layer_of(name, self.module.layer_names) or "" for name in names}
        shapes = _shapes(self.module, list(dict.fromkeys(of.values())), *size)
        return [name for name in names if winograd.pays(shapes[of[name]], kernels[name].shape)]

    def for_once(self) -> "Network":
        """The same without what `for_steps` has added: that compiles faster."""
        return dataclasses.replace(self, prepared=None)


@compiled()
def _adjoints(kernels: dict[str, Array]) -> dict[str, Prepared]:
    return {name: Prepared(adjoint_kernel(kernel)) for name, kernel in kernels.items()}


@compiled()  # once for each shape of a kernel
def _for_winograd(kernel: Array, prepared: Prepared) -> Prepared:
    return prepared._replace(halved=(winograd.kernels_of(kernel), winograd.kernels_of(prepared.adjoint)))


def cells_of(module: Backbone, layers: Sequence[str]) -> dict[str, int]:
    """Side in pixels of what each layer makes one of."""
    shapes = _shapes(module.clone(padding="periodic"), layers, LARGEST, LARGEST)
    return {name: LARGEST // shape[0] for name, shape in shapes.items()}


def layer_of(parameter: str, layers: Sequence[str]) -> str | None:
    """The layer that first needs a parameter: the one that its name begins with, if there is one."""
    return next((name for name in layers if f"{parameter}_".startswith(f"{name}_")), None)


def _shapes(module: Backbone, layers: Sequence[str], height: int, width: int) -> dict[str, tuple[int, ...]]:
    """Shapes of features by layer, of a picture of this size; nothing is computed."""
    params = {
        name: {key: jax.ShapeDtypeStruct(shape, jnp.float32) for key, shape in shapes.items()}
        for name, shapes in module.parameter_shapes.items()
    }
    image = jax.ShapeDtypeStruct((height, width, 3), jnp.float32)
    features: Any = jax.eval_shape(lambda params, x: module.apply({"params": params}, x, layers), params, image)
    return {name: features[name].shape for name in layers}


def _smallest_side(module: Backbone, layer: str) -> int:
    """Side in pixels of the smallest square picture of which a layer has any."""
    has_some = functools.cache(lambda side: 0 not in _shapes(module, [layer], side, side)[layer])
    return bisect.bisect_left(range(LARGEST), True, lo=1, key=has_some)


def random_network(name: str, *, seed: int = 0) -> Network:
    """A network of the table with random weights: He-normal kernels, which keep the scale of features through ReLUs
    (He et al. 2015, https://arxiv.org/abs/1502.01852), biases and offsets of zero, scales of one."""
    module = ARCHITECTURES[name]
    rng = np.random.default_rng(seed)

    def array(key: str, shape: tuple[int, ...]) -> np.ndarray:
        if key == "kernel":
            return rng.standard_normal(shape, np.float32) * np.float32(np.sqrt(2 / np.prod(shape[:3])))
        return np.full(shape, key == "scale", np.float32)

    params = {
        layer: {key: jnp.asarray(array(key, shape)) for key, shape in shapes.items()}
        for layer, shapes in module.parameter_shapes.items()
    }
    return Network(params=params, name=name, module=module, preprocessing="torchvision")
