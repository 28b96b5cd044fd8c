"""Pictures on their way to larger ones: those of `jaxstyle upscale`, and results with `--upscale`."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jaxstyle.cli.machine import available_memory
from jaxstyle.cli.messages import CommandError, name_of, say
from jaxstyle.cli.outputs import Outputs
from jaxstyle.cli.records import file_record, made_by, save_result
from jaxstyle.cli.startup import start_jax
from jaxstyle.cli.stopping import STOPPED
from jaxstyle.cli.terminal import TilesBar
from jaxstyle.errors import InputError
from jaxstyle.files import shown
from jaxstyle.pictures.read import Picture, load_picture, own_size
from jaxstyle.superres.files import file_of, load_upscaler
from jaxstyle.superres.upscale import upscale_in_tiles, upscale_plane
from jaxstyle.weights.registry import digest

BYTES = 36  # of memory for each pixel of a result: in float, in 8 bits and packed, with opacity
BASE = 500_000_000  # what a tile takes


@dataclass
class Upscaling:
    """Pictures made larger one after the other, each saved as soon as it is done.

    Attributes:
      how: scale, sharp and weights, as records have them.
      outputs: where they go.
      large: whether they may have any number of pixels.
      quiet: whether only results are named.
    """

    how: Mapping[str, Any]
    outputs: Outputs
    large: bool
    quiet: bool

    def __post_init__(self) -> None:
        start_jax()
        network = self.how["weights"] or self.how["sharp"]
        self.network = load_upscaler(network)
        self.made_by = made_by({"sha256": digest(file_of(network), "sha256")})

    def run(self, todo: Sequence[tuple[str, Path]], refused: Sequence[str]) -> int:
        """Makes the pictures of files larger, each for its place; names at the end those that could not be, with those
        that were `refused` before. The exit code."""
        told, done, count = list(refused), 0, len(todo) + len(refused)
        try:
            with TilesBar(self.quiet, len(todo)) as bar:
                for file, place in todo:
                    try:
                        self._enlarge(file, place, bar)
                        done += 1
                    except InputError as error:
                        if count == 1:
                            raise
                        told.append(str(error))
        except KeyboardInterrupt:
            say(f"jaxstyle: stopped; {done} of {count} pictures are done")
            return STOPPED
        if told:
            say(f"jaxstyle: {len(told)} of {count} pictures failed: {'; '.join(told)}")
        return int(bool(told))

    def _enlarge(self, file: str, place: Path, bar: TilesBar) -> None:
        began, scale = time.time(), self.how["scale"]
        check_memory(own_size(file, large=self.large), scale, file)
        try:
            picture = load_picture(file, large=self.large, smallest=1)
            watch = bar.watch(name_of(file))
            image = upscale_in_tiles(picture.pixels, scale, network=self.network, on_tile=watch)
            alpha = None if picture.alpha is None else upscale_plane(picture.alpha, scale)
            record = {
                "status": "done",
                "picture": file_record(picture),
                "settings": dict(self.how),
                **self.made_by,
                "seconds": round(time.time() - began, 2),
            }
            with self.outputs.writing(place, place.with_suffix(".json")):
                save_result(place, image, alpha, record, overwrite=self.outputs.overwrite)
        except MemoryError as error:
            raise CommandError(f"not enough memory for {shown(file)}; a smaller --scale helps") from error
        size = f": {image.shape[1]} x {image.shape[0]}, {time.time() - began:.1f} s"
        bar.result(f"{name_of(place)}{'' if self.quiet else size}")


def enlarged(image: Any, scale: int | None) -> Any:
    """A result in the size in which it is saved."""
    return image if scale is None else upscale_in_tiles(np.asarray(image), scale)


def check_enlarged(picture: Picture, scale: int | None, out: Path) -> None:
    """Raises `InputError` unless a result of this picture's size will fit into memory when it is made larger."""
    if scale is not None:
        check_memory(picture.pixels.shape[:2], scale, str(out))


def check_memory(size: tuple[int, int], scale: int, file: str, available: int | None = None) -> None:
    """Raises `InputError` for a picture (height, width) whose result would not fit into memory, with the largest that
    does; where the system does not say what it has, nothing is refused."""
    available = available_memory() if available is None else available
    height, width = size
    needed = BASE + BYTES * height * width * scale**2
    if available is None or needed <= available:
        return
    share = (max(0, available - BASE) / (needed - BASE)) ** 0.5
    fits = f"{int(width * share)} x {int(height * share)}"
    told = f"{shown(file)} made {width * scale} x {height * scale} pixels needs some {needed / 1e9:.2g} GB of memory"
    raise InputError(f"{told}, and {available / 1e9:.2g} GB are free; at --scale {scale} a picture of {fits} would fit")
