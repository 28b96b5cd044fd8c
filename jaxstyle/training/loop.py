"""The loop of a training: steps, looks, and checkpoints from which it goes on as if it had not been stopped."""

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import grain.checkpoint
import jax
import numpy as np

from jaxstyle.checkpoints import opened
from jaxstyle.files import StrPath

Step = Callable[[Any, Any, int], tuple[Any, Mapping[str, Any]]]


class Look(NamedTuple):
    """Where a training stands.

    Attributes:
      step, steps: done, and to do.
      begun: steps that earlier runs had done.
      losses: terms by name, each the mean of those since the last look.
      state: what steps hand on.
      seconds: since this run began.
    """

    step: int
    steps: int
    begun: int
    losses: dict[str, float]
    state: Any
    seconds: float


def train(
    state: Any,
    step: Step,
    batches: Any,
    *,
    steps: int,
    folder: StrPath,
    settings: dict[str, Any],
    look_every: int = 50,
    save_every: int = 200,
    on_look: Callable[[Look], None] | None = None,
) -> Any:
    """Takes steps until there are `steps` of them, those of earlier runs in the same folder counted.

    Checkpoints have the state and the place in the data, so that a run that was killed and taken up again ends with the
    numbers of one that was not.

    Args:
      state: a pytree of arrays, as it is before the first step.
      step: (state, batch, number of the step) -> (state, terms of the loss by name).
      batches: an iterator of Grain's.
      steps: to do in all.
      folder: of the checkpoints, the last two of which are kept; made if it is not there.
      settings: what the training is that of, as plain values: a folder of another is refused.
      look_every: steps between two looks.
      save_every: steps between two checkpoints; the last step has one too.
      on_look: called with a `Look`.

    Returns:
      The state after the last step.

    Raises:
      InputError: the folder holds a training with other settings.
    """
    helps = "name another place with -o, or remove the folder"
    with opened(folder, settings, what="a training", keep=2, helps=helps) as kept:
        done = kept.latest
        if done:
            state = kept.restore(state, data=grain.checkpoint.CheckpointRestore(batches))
        began = time.monotonic()
        sums: dict[str, list[Any]] = {}
        for number in range(done, steps):
            state, losses = step(state, next(batches), number)
            for name, value in losses.items():
                sums.setdefault(name, []).append(value)
            last = number + 1 == steps
            if last or (number + 1) % look_every == 0:
                means = {name: float(np.mean(jax.device_get(values))) for name, values in sums.items()}
                if on_look:
                    on_look(Look(number + 1, steps, done, means, state, time.monotonic() - began))
                sums = {}
            if last or (number + 1) % save_every == 0:
                kept.save(number + 1, state, data=grain.checkpoint.CheckpointSave(batches))
    return state
