"""A plan: all that a transfer, or a batch of them, will do, made in one place from arguments that have been checked."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import NamedSharding

from jaxstyle import defaults
from jaxstyle.engine.checks import (
    check_average,
    check_batch_shapes,
    check_layers,
    check_margin,
    check_masks,
    check_min_size,
    check_pictures,
    check_start,
    check_weights,
    check_whole,
)
from jaxstyle.engine.devices import Rows
from jaxstyle.engine.inputs import Batched, Inputs, batch_shapes, inputs_of, pick, with_one_batch_axis
from jaxstyle.engine.scales import Scale, scale_sizes, scales_of
from jaxstyle.engine.starts import Start
from jaxstyle.engine.tiles import check_tiles
from jaxstyle.networks import Network
from jaxstyle.objective import Objective, Weights, default_objective
from jaxstyle.ops.compile import is_traced, platform_of
from jaxstyle.regions import Masks
from jaxstyle.solvers import Adam, Lbfgs, Solver
from jaxstyle.types import Key, Pictures, StyleMask

SMALL = 1e-20  # weights below are made larger, where their proportion alone counts
CPU_CHUNK = 10  # steps between two looks at the result
ACCELERATOR_CHUNK = 25  # at most so many are compiled as one program


class Program(NamedTuple):
    """What compiled steps depend on, all of it static and hashable.

    Attributes:
      objective: layers and formulae.
      solver: without its rate, which is a number like the weights.
      decay: of the running mean of the images.
      init: name of the start, None for a picture.
      batched: the inputs that have a batch axis; None for a single picture.
      sharding: of the batch axis over devices; None for a single device.
      rows: how those of a single picture are split among devices; None for a single device.
    """

    objective: Objective
    solver: Solver
    decay: float = 0.0
    init: Start | None = None
    batched: Batched | None = None
    sharding: NamedSharding | None = None
    rows: Rows | None = None

    def settled(self, tree: Any, size: Sequence[int]) -> Any:
        """Arrays as they lie between two programs, see `Rows.settled`."""
        return tree if self.rows is None else self.rows.settled(tree, size)

    def split(self, x: Any) -> Any:
        """A picture, by rows, see `Rows.split`."""
        return x if self.rows is None else self.rows.split(x)

    def kept(self, x: Any) -> Any:
        """Features or a picture as they lie between two programs, see `Rows.kept`."""
        return x if self.rows is None else self.rows.kept(x)

    def spread(self, tree: Any) -> Any:
        """Arrays with the batch axis in front, laid out over the devices."""
        return tree if self.sharding is None else jax.lax.with_sharding_constraint(tree, self.sharding)


@dataclass(frozen=True)
class Plan:
    """A transfer made ready, or a batch of them.

    Attributes:
      network: ready for steps.
      inputs: arrays; those of a batch have one batch axis.
      program: the static part.
      scales: from coarse to fine.
      steps: at each scale.
      chunk: steps between two looks at the result.
      batch: how many transfers run side by side; None for one without a batch axis.
      tile: side in pixels of the tiles in which scales that have several are seen; None for all as a whole.
    """

    network: Network
    inputs: Inputs
    program: Program
    scales: tuple[Scale, ...]
    steps: int
    chunk: int
    batch: int | None = None
    tile: int | None = None

    @property
    def traced(self) -> bool:
        """Whether it is made under `jax.jit` or the like."""
        return is_traced(self.network, self.inputs)

    @property
    def device(self) -> jax.Device:
        """Where the network's weights lie, one of this host's if there are several."""
        own = jax.tree.leaves(self.network.params)[0].sharding
        return next(iter(own.addressable_devices or own.device_set))

    @property
    def on_cpu(self) -> bool:
        """Whether it runs on a CPU."""
        return runs_on_cpu(self.network)

    def single(self, number: int) -> "Plan":
        """One transfer of the batch by itself."""
        batched = self.program.batched or frozenset()
        program = self.program._replace(batched=None, sharding=None)
        return dataclasses.replace(self, inputs=pick(self.inputs, batched, number), program=program, batch=None)

    def part(self, chosen: np.ndarray) -> "Plan":
        """Some transfers of the batch."""
        assert self.program.batched is not None
        inputs = pick(self.inputs, self.program.batched, chosen)
        return dataclasses.replace(self, inputs=inputs, batch=len(chosen))


def make_plan(
    content: Pictures,
    styles: Pictures | Sequence[Pictures],
    *,
    network: Network,
    weights: Weights | None = None,
    objective: Objective | None = None,
    solver: Solver | None = None,
    steps: int | None = None,
    init: Start | Pictures = "content",
    min_size: int | None = None,
    sizes: Sequence[tuple[int, int]] | None = None,
    average: float = 0.0,
    key: Key | None = None,
    masks: Masks | None = None,
    style_masks: Sequence[StyleMask | None] | None = None,
    margin: int = 0,
    report_every: int | None = None,
    tile: int | None = None,
    batch: bool = False,
) -> tuple[Plan, tuple[int, ...]]:
    """The plan of a `transfer`; with `batch`, of a `sweep`. Arguments are theirs, except:

    Args:
      sizes: (height, width) of the scales, where they are not to follow from the content's size and `min_size`.
      batch: whether inputs may have batch axes; they are broadcast together, as NumPy does, and made one.

    Returns:
      The plan, and the shape that its batch axis stands for.

    Raises:
      InputError: an argument that cannot be used.
    """
    weights, objective, solver = weights or Weights(), objective or default_objective(network), solver or Lbfgs()
    steps = solver.usual_steps if steps is None else steps
    pictures = [styles] if isinstance(styles, np.ndarray | jax.Array) and (batch or styles.ndim == 3) else [*styles]
    check_pictures(content, pictures, smallest=network.module.smallest, batch=batch)
    check_layers(network, objective)
    check_weights(weights, objective, len(pictures))
    check_whole(steps, "steps", 1)
    check_min_size(min_size, content)
    check_average(average)
    check_start(init, batch=batch)
    check_whole(1 if report_every is None else report_every, "report_every", 1)
    check_masks(masks, style_masks, content, pictures)
    check_margin(margin, content)
    if tile is not None:
        check_tiles(network, objective, tile)
    inputs = inputs_of(
        content,
        pictures,
        weights=_within_range(weights, objective),
        solver=solver,
        init=init,
        key=_typed(jax.random.key(0) if key is None else key),
        masks=masks,
        style_masks=style_masks,
        margin=margin,
    )
    shape: tuple[int, ...] = ()
    batched: Batched | None = None
    if batch:
        shape = check_batch_shapes(batch_shapes(inputs))
        inputs, batched = with_one_batch_axis(inputs, shape)
    if not is_traced(network, inputs):
        height, width = inputs.content.shape[-3:-1]
        network = network.for_steps((height, width))
    program = Program(objective, _without_rate(solver), average, init if isinstance(init, str) else None, batched)
    if sizes is None:
        sizes = scale_sizes(*np.shape(content)[-3:-1], min_size=min_size, smallest=network.module.smallest)
    chunk = min(report_every or chunk_length(network, steps), steps)
    scales = scales_of(sizes, margin=margin)
    return Plan(network, inputs, program, scales, steps, chunk, math.prod(shape) if batch else None, tile), shape


def _within_range(weights: Weights, objective: Objective) -> Weights:
    """Weights whose proportion alone counts, times a power of two where they are so small that float32, which has no
    more than 38 zeros and on many devices no subnormal numbers, would lose them."""

    def lifted(x: Any) -> Any:
        if x is None or is_traced(x):
            return x
        numbers = np.asarray(x, np.float64)
        peak = numbers.max(-1, keepdims=True, initial=0.0)
        small = (peak > 0) & (peak < SMALL)
        return np.ldexp(numbers, np.where(small, -np.frexp(peak)[1], 0)) if small.any() else x

    relative = {"mix": weights.mix, "mix_layers": weights.mix_layers}
    if objective.formula.mean:  # else they are summed as they are
        relative["layers"] = weights.layers
    return weights._replace(**{name: lifted(x) for name, x in relative.items()})


def _without_rate(solver: Solver) -> Solver:
    """A new learning rate must not compile anything: it is an input."""
    return dataclasses.replace(solver, rate=defaults.ADAM_RATE) if isinstance(solver, Adam) else solver


def _typed(key: Key) -> Key:
    """Keys as `jax.random.key` makes them, one axis less than the old ones, which are pairs of numbers."""
    return key if jax.dtypes.issubdtype(key.dtype, jax.dtypes.prng_key) else jax.random.wrap_key_data(key)


def runs_on_cpu(network: Network) -> bool:
    """Whether the network's weights lie on a CPU."""
    return platform_of(jax.tree.leaves(network.params)[0]) == "cpu"


def chunk_length(network: Network, steps: int) -> int:
    """How many steps to take between two looks."""
    if runs_on_cpu(network):
        return CPU_CHUNK
    return math.ceil(steps / math.ceil(steps / ACCELERATOR_CHUNK))  # all of one length: a single program
