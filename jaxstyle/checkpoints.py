"""Checkpoints of what takes long, from which it goes on as if it had not been stopped: Orbax's, in a folder."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp

from jaxstyle.errors import InputError
from jaxstyle.files import StrPath


class Checkpoints:
    """The checkpoints in a folder, from `opened`.

    Attributes:
      latest: number of the latest whole one; 0 where there is none.
      settings: of the work that this is, as plain values.
    """

    def __init__(self, manager: ocp.CheckpointManager, settings: Mapping[str, Any]) -> None:
        self._manager = manager
        self.latest = int(manager.latest_step() or 0)
        self.settings = dict(settings)

    def settings_before(self) -> dict[str, Any]:
        """The settings of the work that the latest is of."""
        kept = self._manager.restore(self.latest, args=ocp.args.Composite(settings=ocp.args.JsonRestore()))
        return dict(kept["settings"])

    def restore(self, like: Any = None, **others: Any) -> Any:
        """The arrays of the latest.

        Args:
          like: a pytree of arrays of these shapes; None for plain arrays, as they were saved.
          others: arguments of Orbax's for what else was saved.
        """
        shapes = None if like is None else jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
        arguments = ocp.args.Composite(state=ocp.args.StandardRestore(shapes), **others)
        return self._manager.restore(self.latest, args=arguments)["state"]

    def save(self, number: int, arrays: Any, **others: Any) -> None:
        """Saves a pytree of arrays under a number, whole or not at all.

        Args:
          number: larger than those before.
          arrays: what to save.
          others: arguments of Orbax's for what else there is.
        """
        arguments = ocp.args.Composite(
            state=ocp.args.StandardSave(arrays), settings=ocp.args.JsonSave(self.settings), **others
        )
        self._manager.save(number, args=arguments)
        self.latest = number

    def remove(self) -> None:
        """Removes them all."""
        for number in self._manager.all_steps():
            self._manager.delete(number)
        self.latest = 0


@contextlib.contextmanager
def opened(folder: StrPath, settings: Mapping[str, Any], *, what: str, keep: int, helps: str) -> Iterator[Checkpoints]:
    """The checkpoints in a folder, which is made if it is not there.

    Args:
      folder: theirs. What a process that was killed has left there of an unfinished one is removed.
      settings: what the work is that of, as plain values.
      what: what the work is called.
      keep: how many are kept.
      helps: what helps where the folder is of another work.

    Raises:
      InputError: the folder holds checkpoints of other settings.
    """
    options = ocp.CheckpointManagerOptions(
        max_to_keep=keep, save_interval_steps=1, enable_async_checkpointing=False, cleanup_tmp_directories=True
    )
    with ocp.CheckpointManager(Path(folder).absolute(), options=options, metadata=None) as manager:
        found = Checkpoints(manager, settings)
        before = found.settings_before() if found.latest else found.settings
        for name in found.settings:
            if before.get(name) != found.settings[name]:
                raise InputError(
                    f"{folder} holds {what} with {name} {before.get(name)}, and this one has {found.settings[name]}; "
                    f"{helps}"
                )
        yield found
