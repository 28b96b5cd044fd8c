"""List settings that belong together: of published programs, and of our own.

A line for each preset, its settings, and what of a program is not the same here.
"""

from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from jaxstyle.presets import PRESETS, Preset


@dataclass(frozen=True, kw_only=True)
class Options:
    """There are none."""


def run(options: Options) -> None:
    """Prints the table, and the notes."""
    del options
    columns = ("preset", "style loss", "content", "style", "tv", "optimizer", "steps", "start", "sizes", "what it is")
    table = Table(*columns, box=None, pad_edge=False)
    for name, preset in PRESETS.items():
        table.add_row(name, *_cells(preset), preset.line)
    # As wide as it is, so that programs find whole lines.
    Console(width=10_000, soft_wrap=True, markup=False, highlight=False).print(table)
    for name, preset in PRESETS.items():
        if preset.source:
            print(f"\n{name}: {preset.source}")


def _cells(preset: Preset) -> tuple[str, ...]:
    solver = preset.optimizer if preset.rate is None else f"{preset.optimizer} {preset.rate:g}"
    weights = (preset.content_weight, preset.style_weight, preset.tv_weight)
    sizes = "coarse to fine" if preset.coarse_to_fine else "one"
    loss = preset.style_loss or "its own"
    return (loss, *(f"{weight:g}" for weight in weights), solver, str(preset.steps), preset.init, sizes)
