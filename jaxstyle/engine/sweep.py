"""`sweep`: many transfers as one batch.

Arrays with batch axes in front go in, images and losses with those axes come out. What has no batch axis is shared by
all transfers, and computed once.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxstyle.engine.checks import check_whole
from jaxstyle.engine.inputs import from_table, table_of
from jaxstyle.engine.memory import bytes_at, bytes_needed, free_memory, too_large
from jaxstyle.engine.plan import Plan, make_plan
from jaxstyle.engine.run import DivergedError, Progress, Result, run
from jaxstyle.engine.starts import Start
from jaxstyle.networks import Network
from jaxstyle.objective import Objective, Weights
from jaxstyle.ops.resize import resize
from jaxstyle.regions import Masks
from jaxstyle.solvers import Solver
from jaxstyle.types import Key, Pictures, StyleMask

CPU_PIXELS = 100_000  # of all transfers on one CPU device: with more, their features no longer fit its caches
# JAX 0.7.2 cannot differentiate batched convolutions that lie on several devices; 0.10.2 can. The versions between were
# not tried, and keep to one device too.
SPREADS = (0, 10)


def sweep(
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
      solver: `Lbfgs`, which is the default, `OptaxLbfgs` or `Adam`, whose rate may be (...).
      steps: at each scale; None for 30, or 80 of `Adam`, whose steps are shorter.
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
    plan, shape = make_plan(
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
        batch=True,
    )
    if plan.traced:
        whole = run(plan)
    else:
        found = [batch.result for batch in batches(plan, lanes=lanes, on_progress=on_progress)]
        whole = jax.tree.map(lambda *xs: jnp.concatenate(xs), *found)
    return jax.tree.map(lambda x: x.reshape(*shape, *x.shape[1:]), whole)


class Batch(NamedTuple):
    """Transfers that ran side by side: their numbers in the sweep, and what they ended with, the batch axis first."""

    lanes: np.ndarray
    result: Result


def batches(
    plan: Plan,
    *,
    lanes: int | None = None,
    chosen: Sequence[int] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Iterator[Batch]:
    """Runs the transfers of a plan, or those `chosen`, `lanes` at a time, each batch when it is asked for.

    Args:
      plan: from `make_plan`, with a batch.
      lanes: how many run side by side; None for `lanes_at_once`.
      chosen: their numbers.
      on_progress: called with the batch's `Progress`.
    """
    check_whole(1 if lanes is None else lanes, "lanes", 1)
    chosen = range(plan.batch or 0) if chosen is None else chosen
    if one_by_one(plan):
        for number in chosen:
            yield Batch(np.array([number]), _alone(plan, number, on_progress))
        return
    devices = len(devices_of(plan))
    width = min(lanes_at_once(plan) if lanes is None else lanes, len(chosen))
    width = math.ceil(width / devices) * devices
    for start in range(0, len(chosen), width):
        part = np.asarray(chosen[start : start + width])
        padded = np.append(part, np.repeat(part[-1:], width - len(part)))  # of one width: a single program
        result = run(_spread(plan.part(padded)), on_progress=_first_lanes(on_progress, len(part)))
        count = len(part)
        yield Batch(part, jax.tree.map(lambda x, count=count: x[:count], result))


def one_by_one(plan: Plan) -> bool:
    """Whether transfers run one by one: line searches are loops around convolutions, which on a CPU must not be
    compiled."""
    return plan.program.solver.has_inner_loop and plan.on_cpu


def devices_of(plan: Plan) -> list[jax.Device]:
    """Devices of this process that a batch is spread over; a network put on one device stays there, as do all with an
    old version of JAX."""
    leaf = jax.tree.leaves(plan.network.params)[0]
    if isinstance(leaf, jax.Array) and leaf.committed:
        devices = sorted(leaf.devices(), key=lambda device: device.id)
    else:
        devices = jax.local_devices()
    return devices if jax.__version_info__ >= SPREADS else devices[:1]


def lanes_at_once(plan: Plan, *, available: int | None = None) -> int:
    """How many transfers to run side by side: as many as fit, and on a CPU no more than are fast.

    Args:
      plan: from `make_plan`, with a batch.
      available: bytes on each device; None for what the device says, if it does.

    Raises:
      InputError: not even one on each device fits.
    """
    count, devices, last = plan.batch or 0, len(devices_of(plan)), plan.scales[-1]
    fast = devices * max(1, CPU_PIXELS // math.prod(last.size)) if plan.on_cpu else count
    lanes = 1 if one_by_one(plan) else math.ceil(min(fast, count) / devices) * devices
    available = free_memory(devices_of(plan)[0]) if available is None else available
    while available is not None and (needed := bytes_for(plan, lanes)) > available:
        if lanes <= devices:
            each = lanes // devices
            at = functools.partial(_bytes_at, plan.single(0), each)
            raise too_large(plan.network, last.picture, needed, available, at)
        lanes = max(1, int(lanes * available / needed) // devices) * devices
    return lanes


def bytes_for(plan: Plan, lanes: int) -> int:
    """Memory that each device needs for a step of so many transfers at the largest size, as the compiler counts it.

    Args:
      plan: from `make_plan`, with a batch.
      lanes: a multiple of the number of devices.
    """
    if one_by_one(plan):
        return bytes_needed(plan.single(0))
    return bytes_needed(_spread(plan.part(np.zeros(lanes, int))))


def _bytes_at(single: Plan, count: int, size: tuple[int, int]) -> int:
    """Memory for so many transfers at another size, as a multiple of that for one by itself."""
    return count * bytes_at(single, size)


def _spread(plan: Plan) -> Plan:
    """The plan with its batch laid out over the devices."""
    devices = devices_of(plan)
    if len(devices) == 1:
        return plan
    split = NamedSharding(Mesh(np.asarray(devices), ("lanes",)), PartitionSpec("lanes"))
    whole = NamedSharding(split.mesh, PartitionSpec())
    batched = plan.program.batched or frozenset()
    table = {
        name: jax.device_put(value, split if name in batched else whole)
        for name, value in table_of(plan.inputs).items()
    }
    return dataclasses.replace(plan, inputs=from_table(table), program=plan.program._replace(sharding=split))


def _alone(plan: Plan, number: int, on_progress: Callable[[Progress], None] | None) -> Result:
    """One transfer through the programs of `transfer`, as a batch of one."""

    def report(state: Progress) -> None:
        if on_progress:
            on_progress(_over_lanes(lambda x: x[None], state))

    try:
        result = run(plan.single(number), on_progress=report)
    except DivergedError as error:
        losses = jax.tree.map(lambda _: np.full(plan.steps * len(plan.scales), np.nan), error.losses)
        final = jax.tree.map(lambda x: x[0], losses)
        result = Result(resize(error.image, *plan.scales[-1].picture), losses, final, len(error.losses.total))
    return jax.tree.map(lambda x: jnp.asarray(x)[None], result)


def _first_lanes(on_progress: Callable[[Progress], None] | None, count: int) -> Callable[[Progress], None] | None:
    """The callback, given the first transfers only: the others fill up the batch."""
    if on_progress is None:
        return None

    def report(state: Progress) -> None:
        on_progress(_over_lanes(lambda x: x[:count], state))

    return report


def _over_lanes(function: Callable[[Any], Any], state: Progress) -> Progress:
    """The report with the function applied to its arrays."""
    image, losses, evaluations = jax.tree.map(function, (state.image, state.losses, state.evaluations))
    return state._replace(image=image, losses=losses, evaluations=evaluations)
