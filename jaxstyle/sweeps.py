"""Sweeps: many transfers as lanes of one program.

Pure: arrays with leading axes in, images and losses with those axes out. What has no leading axis is shared by all
lanes, and computed once.
"""

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxstyle import defaults
from jaxstyle.checks import check_axes, check_margin, check_masks, check_transfer, check_whole
from jaxstyle.compiling import is_traced
from jaxstyle.forecast import bytes_at, bytes_needed, free_memory, too_large
from jaxstyle.lanes import Inputs, inputs_of, leading_axes, map_axes, pick, with_one_axis
from jaxstyle.networks import Network
from jaxstyle.objective import Objective, Weights, default_objective
from jaxstyle.optimise import DivergedError, Progress, Result, paint
from jaxstyle.programs import Program, Scale, chunk_length, for_steps, program_of, runs_on_cpu, scales_of
from jaxstyle.regions import Masks
from jaxstyle.solvers import Adam, Solver
from jaxstyle.starts import Start, resize, scale_sizes
from jaxstyle.types import Key, Pictures, StyleMask

CPU_PIXELS = 100_000  # of all lanes on one CPU device: with more, their features no longer fit its caches
# JAX 0.7.2 cannot differentiate convolutions of lanes that lie on several devices; 0.10.2 can. The versions
# between were not tried, and keep to one device too.
SPREADS = (0, 10)


class Batch(NamedTuple):
    """Lanes that ran side by side: their places among all, flattened, and what they ended with, lanes first."""

    lanes: np.ndarray
    result: Result


def sweep(
    content: Pictures,
    styles: Pictures | Sequence[Pictures],
    *,
    network: Network,
    weights: Weights | None = None,
    objective: Objective | None = None,
    solver: Solver | None = None,
    steps: int = defaults.STEPS,
    init: Start | Pictures = "content",
    min_size: int | None = None,
    average: float = 0.0,
    key: Key | None = None,
    masks: Masks | None = None,
    style_masks: Sequence[StyleMask | None] | None = None,
    margin: int = 0,
    lanes: int | None = None,
    report_every: int | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Result:
    """Many transfers, one for each place along the leading axes of its arguments.

    Any leaf of `weights`, the rate of `Adam`, `key`, and pictures (content, styles, a start) may have axes in front of
    its own; they are broadcast together as NumPy does, and those of the result are theirs. Each lane is the `transfer`
    with its settings. Pure, and under `jax.jit` too: there each scale is one loop, without batches. New values never
    recompile.

    On a CPU lanes share a program while their pixels fit the caches (a few lanes at 128 pixels), and L-BFGS runs them
    one by one, since XLA's convolutions are several times slower in compiled loops. With several devices, lanes are
    spread over all of them.

    A lane whose loss is no longer finite keeps its last good image; its losses are NaN from there on.

    Args:
      content: (..., h, w, 3).
      styles: a picture (..., h, w, 3), or a sequence of them, mixed in each lane by `weights.mix`.
      network: from `load_network`.
      weights: leaves (...), `layers` (..., n), `mix` (..., k) and `mix_layers` (..., n, k).
      objective: layers and formulae; None: the network's layers.
      solver: `Adam`, `Lbfgs` or `OptaxLbfgs`; Adam's rate may be (...).
      steps: at each scale.
      init: "content", "noise", "style", "blur", or pictures (..., h, w, 3).
      min_size: see `transfer`.
      average: see `transfer`.
      key: keys (...), for starts from noise.
      masks: (k, h, w), shared by all lanes; see `transfer`.
      style_masks: (h, w) of each style, or None; shared by all lanes.
      margin: see `transfer`.
      lanes: how many run side by side; None for as many as fit.
      report_every: see `transfer`.
      on_progress: called after each chunk of steps with a `Progress` whose arrays have the batch's lanes in front.

    Returns:
      image (..., h, w, 3), losses (..., steps), final (...), evaluations (...).

    Raises:
      InputError: axes that do not broadcast; else as `transfer`.
    """
    plan = Plan.of(
        content,
        styles,
        network=network,
        weights=weights,
        objective=objective,
        solver=solver,
        steps=steps,
        init=init,
        min_size=min_size,
        average=average,
        key=key,
        masks=masks,
        style_masks=style_masks,
        margin=margin,
        report_every=report_every,
    )
    if is_traced(network, plan.inputs):
        whole = plan.traced()
    else:
        batches = [batch.result for batch in plan.batches(lanes=lanes, on_progress=on_progress)]
        whole = jax.tree.map(lambda *xs: jnp.concatenate(xs), *batches)
    return jax.tree.map(lambda x: x.reshape(*plan.shape, *x.shape[1:]), whole)


@dataclass(frozen=True)
class Plan:
    """A sweep made ready: what varies has one leading axis, of `count` lanes, and `shape` is what it stood for."""

    network: Network
    inputs: Inputs
    axes: Inputs
    program: Program
    shape: tuple[int, ...]
    sizes: Sequence[tuple[int, int]]
    steps: int
    init: str | None
    margin: int
    report_every: int | None

    @property
    def count(self) -> int:
        """How many lanes there are."""
        return math.prod(self.shape)

    @classmethod
    def of(
        cls,
        content: Pictures,
        styles: Pictures | Sequence[Pictures],
        *,
        network: Network,
        weights: Weights | None,
        objective: Objective | None,
        solver: Solver | None,
        steps: int,
        init: Start | Pictures,
        min_size: int | None,
        average: float,
        key: Key | None,
        masks: Masks | None = None,
        style_masks: Sequence[StyleMask | None] | None = None,
        margin: int = 0,
        report_every: int | None = None,
    ) -> "Plan":
        """Checks the arguments of `sweep`, and gives what varies one axis in front."""
        weights, objective, solver = weights or Weights(), objective or default_objective(network), solver or Adam()
        pictures = (styles,) if isinstance(styles, np.ndarray | jax.Array) else tuple(styles)
        check_transfer(content, pictures, network, weights, objective, steps, init, min_size, average, lanes=True)
        check_whole(1 if report_every is None else report_every, "report_every", 1)
        check_masks(masks, style_masks, content, pictures)
        check_margin(margin, content)
        inputs = inputs_of(
            content,
            pictures,
            weights=weights,
            solver=solver,
            init=init,
            key=_typed(jax.random.key(0) if key is None else key),
            masks=masks,
            style_masks=style_masks,
            margin=margin,
        )
        shape = check_axes(leading_axes(inputs))
        inputs, axes = with_one_axis(inputs, shape)
        program = program_of(objective, solver, average, axes=axes)
        sizes = scale_sizes(*content.shape[-3:-1], min_size=min_size, smallest=network.module.smallest)
        named = init if isinstance(init, str) else None
        return cls(for_steps(network, inputs), inputs, axes, program, shape, sizes, steps, named, margin, report_every)

    def batches(
        self,
        *,
        lanes: int | None = None,
        chosen: Sequence[int] | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> Iterator[Batch]:
        """Runs the lanes, or those `chosen`, `lanes` at a time (None: `lanes_at_once`), each batch when asked for."""
        check_whole(1 if lanes is None else lanes, "lanes", 1)
        chosen = range(self.count) if chosen is None else chosen
        if self._one_by_one:
            for lane in chosen:
                yield Batch(np.array([lane]), self._alone(lane, on_progress))
            return
        devices = len(self._devices)
        width = min(self.lanes_at_once() if lanes is None else lanes, len(chosen))
        width = math.ceil(width / devices) * devices
        for start in range(0, len(chosen), width):
            part = np.asarray(chosen[start : start + width])
            padded = np.append(part, np.repeat(part[-1:], width - len(part)))  # of one width: a single program
            result = self._side_by_side(padded, _first_lanes(on_progress, len(part)))
            yield Batch(part, jax.tree.map(lambda x: x[: len(part)], result))  # noqa: B023 - used at once

    def lanes_at_once(self, *, available: int | None = None) -> int:
        """How many lanes to run side by side: as many as fit, and on a CPU no more than are fast.

        Args:
          available: bytes on each device; None for what the device says, if it does.

        Raises:
          InputError: not even one lane on each device fits.
        """
        devices, last = len(self._devices), self._scales(None)[-1]
        fast = devices * max(1, CPU_PIXELS // math.prod(last.size)) if runs_on_cpu(self.network) else self.count
        lanes = 1 if self._one_by_one else math.ceil(min(fast, self.count) / devices) * devices
        available = free_memory(self._devices[0]) if available is None else available
        while available is not None and (needed := self.bytes_needed(lanes)) > available:
            if lanes <= devices:
                at = functools.partial(self._bytes_at, lanes // devices)
                raise too_large(self.network, last.picture, needed, available, at)
            lanes = max(1, int(lanes * available / needed) // devices) * devices
        return lanes

    def bytes_needed(self, lanes: int) -> int:
        """Memory that each device needs for a step at the largest size, as the compiler counts it.

        Args:
          lanes: a multiple of the number of devices.
        """
        inputs, program = self._ready(np.zeros(0 if self._one_by_one else lanes, int))
        *coarser, last = self._scales(None if self._one_by_one else lanes)
        before = coarser[-1].size if coarser else None
        return bytes_needed(self.network, inputs, program, last, chunk_length(self.network, self.steps), before)

    def _bytes_at(self, lanes: int, size: tuple[int, int]) -> int:
        """Memory for so many lanes at another size, as a multiple of that for one by itself."""
        inputs, program = self._ready(np.zeros(0, int))
        count = chunk_length(self.network, self.steps)
        return lanes * bytes_at(self.network, inputs, program, count, self.margin, size)

    def _scales(self, lanes: int | None) -> list[Scale]:
        return scales_of(self.sizes, init=self.init, lanes=lanes, margin=self.margin)

    @property
    def _one_by_one(self) -> bool:
        """Line searches are loops around convolutions, which on a CPU must not be compiled."""
        return self.program.solver.has_inner_loop and runs_on_cpu(self.network)

    @property
    def _devices(self) -> list[jax.Device]:
        """Those of this process; a network put on one device stays there, as do all with an old version of JAX."""
        leaf = jax.tree.leaves(self.network.params)[0]
        if isinstance(leaf, jax.Array) and leaf.committed:
            devices = sorted(leaf.devices(), key=lambda device: device.id)
        else:
            devices = jax.local_devices()
        return devices if jax.__version_info__ >= SPREADS else devices[:1]

    def _ready(self, chosen: np.ndarray) -> tuple[Inputs, Program]:
        """The inputs of these lanes, where they run, and the program for it; of none, those of a lane by itself."""
        devices = self._devices
        if not len(chosen):
            return pick(self.inputs, self.axes, 0), self.program._replace(axes=None)
        inputs = pick(self.inputs, self.axes, chosen)
        if len(devices) == 1:
            return inputs, self.program
        split = _split(tuple(devices))
        whole = NamedSharding(split.mesh, PartitionSpec())
        placed = map_axes(lambda axis, x: jax.device_put(x, whole if axis is None else split), self.axes, inputs)
        return placed, self.program._replace(sharding=split)

    def _side_by_side(self, chosen: np.ndarray, on_progress: Callable[[Progress], None] | None) -> Result:
        inputs, program = self._ready(chosen)
        return self._paint(inputs, program, len(chosen), on_progress)

    def _alone(self, lane: int, on_progress: Callable[[Progress], None] | None) -> Result:
        """One lane through the programs of `transfer`, as a batch of one."""

        def report(state: Progress) -> None:
            if on_progress:
                on_progress(_over_lanes(lambda x: x[None], state))

        inputs, program = pick(self.inputs, self.axes, lane), self.program._replace(axes=None)
        try:
            result = self._paint(inputs, program, None, report)
        except DivergedError as error:
            losses = jax.tree.map(lambda _: np.full(self.steps * len(self.sizes), np.nan), error.losses)
            final = jax.tree.map(lambda x: x[0], losses)
            result = Result(resize(error.image, *self.sizes[-1]), losses, final, len(error.losses.total))
        return jax.tree.map(lambda x: jnp.asarray(x)[None], result)

    def _paint(
        self, inputs: Inputs, program: Program, lanes: int | None, on_progress: Callable[[Progress], None] | None = None
    ) -> Result:
        return paint(
            self.network,
            inputs,
            program,
            sizes=self.sizes,
            steps=self.steps,
            init=self.init,
            lanes=lanes,
            margin=self.margin,
            report_every=self.report_every,
            on_progress=on_progress,
        )

    def traced(self) -> Result:
        """All lanes as one traced computation."""
        return self._paint(self.inputs, self.program, self.count)


def _first_lanes(on_progress: Callable[[Progress], None] | None, count: int) -> Callable[[Progress], None] | None:
    """The callback, given the first lanes only: the others fill up the batch."""
    if on_progress is None:
        return None

    def report(state: Progress) -> None:
        on_progress(_over_lanes(lambda x: x[:count], state))

    return report


def _over_lanes(function: Callable[[Any], Any], state: Progress) -> Progress:
    """The report with the function applied to its arrays."""
    image, losses, evaluations = jax.tree.map(function, (state.image, state.losses, state.evaluations))
    return state._replace(image=image, losses=losses, evaluations=evaluations)


def _split(devices: tuple[jax.Device, ...]) -> NamedSharding:
    """Lanes over devices."""
    return NamedSharding(Mesh(np.asarray(devices), ("lanes",)), PartitionSpec("lanes"))


def _typed(key: Key) -> Key:
    """Keys of the old kind hold two numbers each; an axis of them is none of lanes."""
    return key if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) else jax.random.wrap_key_data(key)
