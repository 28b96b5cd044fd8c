"""What a transfer is told on the command line: its pictures, its settings, and where it goes.

`sweep`, `batch`, `ablate`, `compare` and `demo` make theirs from these. Nothing here is slow to import.
"""

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Any, Self

from jaxstyle.cli.parser import FIXED, Named, Positional, Several
from jaxstyle.cli.settings import Settings
from jaxstyle.cli.values import LANES, POSITIVE, STEPS, TILE, Text


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What every command that reads pictures can be told.

    Attributes:
      large: read pictures of more than {MEGAPIXELS} million pixels, too
    """

    large: bool = False


@dataclass(frozen=True, kw_only=True)
class Telling:
    """What every command with facts to tell can be told.

    Attributes:
      json: print one line of JSON with all that is known of the result, not its name
    """

    json: bool = False


@dataclass(frozen=True, kw_only=True)
class Regions:
    """Regions.

    Attributes:
      masks: one for each STYLE: white where it goes, black where not, grey between; elsewhere CONTENT stays
      style_masks: one for each STYLE: white where it is taken from; the word all takes it whole (default: all)
    """

    masks: Annotated[tuple[str, ...] | None, Several(Text("FILE")), FIXED] = None
    style_masks: Annotated[tuple[str, ...] | None, Several(Text("FILE")), FIXED] = None


@dataclass(frozen=True, kw_only=True)
class TransferOptions(Telling, Reading):
    """Paints CONTENT in the manner of STYLE.

    Attributes:
      content: the picture to paint; - for standard input
      styles: the picture, or pictures, to paint like
      out: result (default: CONTENT_STYLE.png, here); - for standard output, as PNG
      overwrite: replace files that are there and not jaxstyle's own, too
      source: begin with a result of jaxstyle and its settings; options given here replace them
      save_every: write a picture every N steps too
      checkpoint: keep all of a long transfer in this folder on the way; the same command goes on from there, and
        removes it in the end
      checkpoint_minutes: from one checkpoint to the next
      tile: paint sizes larger than N pixels in tiles of N, in less memory (default: only where the memory is too small)
      devices: spread a large picture over N GPUs or TPU cores, in less memory on each (default: as many as it is worth)
      quiet: print only the result's name
    """

    content: Annotated[str | None, Positional(Text("CONTENT"), "?")] = None
    styles: Annotated[tuple[str, ...], Positional(Text("STYLE"), "*")] = ()
    out: Annotated[str | None, Text("OUT"), Named("-o", "--out")] = None
    overwrite: bool = False
    source: Annotated[str | None, Text("FILE"), Named("--from")] = None
    save_every: Annotated[int | None, STEPS] = None
    checkpoint: Annotated[str | None, Text("DIR")] = None
    checkpoint_minutes: Annotated[float, POSITIVE] = 10.0
    tile: Annotated[int | None, TILE] = None
    devices: Annotated[int | None, LANES] = None
    quiet: bool = False
    settings: Settings = dataclasses.field(default_factory=Settings)
    regions: Regions = dataclasses.field(default_factory=Regions)
    given: frozenset[str] = frozenset()  # names of the options above that are not left to presets and devices

    def having(self, **settings: Any) -> Self:
        """The same with these settings, as if they had been given."""
        chosen = dataclasses.replace(self.settings, **settings)
        return dataclasses.replace(self, settings=chosen, given=self.given.union(settings))

    def chosen(self, name: str) -> Any:
        """A setting, or None where it was not given."""
        return getattr(self.settings, name) if name in self.given else None
