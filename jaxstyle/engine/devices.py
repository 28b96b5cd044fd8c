"""One picture over several devices: each has some of its rows, of the features, and of the solver's state.

XLA splits the programs: convolutions and poolings send each other the rows at their borders, sums are added up.
"""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxstyle.engine.checks import check_whole
from jaxstyle.engine.inputs import from_table, table_of
from jaxstyle.errors import InputError

PIXELS = 2**18  # of a picture, for each device: fewer are not worth what devices send each other
# Versions of JAX before were not tried.
SINCE = (0, 10)


@dataclass(frozen=True)
class Rows:
    """How the rows of pictures are split among devices.

    Attributes:
      mesh: of the devices, one axis.
    """

    mesh: Mesh

    @classmethod
    def over(cls, devices: Any) -> "Rows":
        """Over these devices."""
        return cls(Mesh(np.asarray(devices), ("rows",)))

    @property
    def whole(self) -> NamedSharding:
        """Of what each device has all of."""
        return NamedSharding(self.mesh, PartitionSpec())

    def split(self, x: Any) -> Any:
        """Within a program: (h, w, ...) split by rows, where they do not divide evenly too."""
        return jax.lax.with_sharding_constraint(x, NamedSharding(self.mesh, PartitionSpec("rows")))

    def of(self, shape: tuple[int, ...], axis: int = 0) -> NamedSharding:
        """Where an array with rows along an axis lies between two programs: split, if they divide evenly, since JAX
        has no other arrays; else each device has all of it."""
        if shape[axis] % self.mesh.size:
            return self.whole
        return NamedSharding(self.mesh, PartitionSpec(*(None,) * axis, "rows"))

    def kept(self, x: Any) -> Any:
        """Within a program: (h, w, ...) laid out as `of` says, with which it ends."""
        return jax.lax.with_sharding_constraint(x, self.of(x.shape))

    def settled(self, tree: Any, size: Sequence[int]) -> Any:
        """Within a program: arrays laid out as between two: those that end in images (h, w, 3) of this size, single
        ones and several, and all others whole."""

        def where(x: Any) -> NamedSharding:
            return self.of(x.shape, x.ndim - 3) if x.shape[-3:] == (*size, 3) else self.whole

        return jax.tree.map(lambda x: jax.lax.with_sharding_constraint(x, where(x)), tree)


@dataclass(frozen=True)
class Settled:
    """`Rows.settled` as a function that can be compared, for images of one size."""

    rows: Rows
    size: tuple[int, int]

    def __call__(self, tree: Any) -> Any:
        """The tree, laid out."""
        return self.rows.settled(tree, self.size)


def spread(plan: Any, devices: int | None) -> Any:
    """The plan of a single picture over several devices.

    Args:
      plan: a `Plan`, on one device.
      devices: how many, those of other hosts too where they are more than this one has; None for all of this host that
        a large picture is worth: one on CPUs, which have one memory.

    Raises:
      InputError: there are not so many, or the picture is seen in tiles.
    """
    if devices is not None:
        check_whole(devices, "devices", 1)
        if devices > (there := jax.device_count()):
            raise InputError(f"devices is {devices}; there {'is' if there == 1 else 'are'} {there}")
        if devices > 1 and plan.tile is not None:
            raise InputError("tiles are seen one after the other, on one device; give either tile or devices")
        if devices > 1 and jax.__version_info__ < SINCE:
            raise InputError(f"several devices need JAX {'.'.join(map(str, SINCE))}; this is {jax.__version__}")
    count = _usual(plan) if devices is None else devices
    if plan.traced or count == 1:
        return plan
    own = jax.local_devices()
    rows = Rows.over((own if count <= len(own) else jax.devices())[:count])
    # Every fourth row, as `winograd` takes them, lies elsewhere.
    prepared = plan.network.prepared and {name: x._replace(halved=None) for name, x in plan.network.prepared.items()}
    network = dataclasses.replace(plan.network, prepared=prepared)
    network = jax.tree.map(lambda x: placed(x, rows.whole), network)
    table = {
        name: jax.tree.map(lambda x, name=name: placed(x, _place(rows, name, x)), value)
        for name, value in table_of(plan.inputs).items()
    }
    return dataclasses.replace(
        plan, network=network, inputs=from_table(table), program=plan.program._replace(rows=rows)
    )


def placed(x: Any, where: jax.sharding.Sharding | None) -> jax.Array:
    """An array laid out so; where that is on several hosts, all of them have it."""
    if where is None or where.is_fully_addressable:
        return jax.device_put(x, where)
    if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key):
        return jax.random.wrap_key_data(placed(jax.random.key_data(x), where))
    whole = np.asarray(x)
    return jax.make_array_from_callback(whole.shape, where, lambda part: whole[part])


def at_hand(x: jax.Array) -> Any:
    """An array that several hosts may have parts of, whole on each of them."""
    return x if x.is_fully_addressable else multihost_utils.process_allgather(x, tiled=True)


def gathered(plan: Any) -> Any:
    """The plan on one device again."""
    if plan.program.rows is None:
        return plan
    network, inputs = jax.device_put((plan.network, plan.inputs), plan.device)
    return dataclasses.replace(plan, network=network, inputs=inputs, program=plan.program._replace(rows=None))


def _usual(plan: Any) -> int:
    """How many devices a picture is worth."""
    leaf = jax.tree.leaves(plan.network.params)[0]
    if plan.traced or plan.on_cpu or plan.tile or leaf.committed or jax.__version_info__ < SINCE:
        return 1
    return max(1, min(jax.local_device_count(), math.prod(plan.scales[-1].size) // PIXELS))


def _place(rows: Rows, name: str, x: Any) -> NamedSharding:
    """Where an input lies."""
    return rows.of(x.shape) if name in ("content", "styles", "start") else rows.whole
