"""The command line that makes a picture again."""

from collections.abc import Mapping
from typing import Any

from jaxstyle.cli.earlier import MASKS
from jaxstyle.cli.masks import WHOLE
from jaxstyle.cli.records import mask_records
from jaxstyle.cli.resolve import needed
from jaxstyle.cli.settings import Settings, words_of
from jaxstyle.cli.sources import Sources
from jaxstyle.files import as_word, quoted


def command_of(sources: Sources, settings: Settings, *, full_size: bool = False) -> str:
    """What makes the picture of these settings alone; `full_size` leaves out its sizes, for a small one of a sweep."""
    left_out = ("size", "min_size") if full_size else ()
    chosen = {name: x for name, x in needed(vars(settings)).items() if name not in left_out}
    files = {name: as_word(chosen[name]) for name in ("init", "weights") if name in chosen}
    words = [*words_of(chosen | files), *_mask_words(mask_records(sources))]
    pictures = [sources.content.path, *(style.path for style in sources.styles)]
    named = ["jaxstyle", "transfer", *map(as_word, pictures), "-o", as_word(sources.out.name)]
    return " ".join(map(quoted, named + words))


def _mask_words(record: Mapping[str, Any]) -> list[str]:
    """The options, each with its files, that name a record's masks."""
    return [
        word
        for name in MASKS
        if record.get(name)
        for word in ("--" + name.replace("_", "-"), *(WHOLE if x is None else as_word(x["file"]) for x in record[name]))
    ]
