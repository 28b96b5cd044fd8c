"""Train a network that paints in one pass, in the styles of some pictures.

Photographs are cropped at random, painted, and judged by the objective of `transfer`. FILE-training, beside the FILE,
holds samples, losses and checkpoints: the same command again goes on where it was stopped. Needs jaxstyle[train].
"""

import dataclasses
import hashlib
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from jaxstyle import defaults
from jaxstyle.cli.extras import needs
from jaxstyle.cli.messages import name_of, say
from jaxstyle.cli.options import Reading
from jaxstyle.cli.outputs import WEIGHTS, Outputs, explained
from jaxstyle.cli.parser import Named, Positional, Several
from jaxstyle.cli.settings import NetworkSettings, Settings, TermSettings
from jaxstyle.cli.sources import read_picture, short_stem
from jaxstyle.cli.values import POSITIVE, SEED, SIDE, STEPS, Text, Whole
from jaxstyle.errors import InputError, one_for_each
from jaxstyle.files import shown
from jaxstyle.pictures.read import Picture

LOOKS, SAMPLES, CHECKPOINTS = 50, 500, 250  # steps between two of them
SAMPLE_SIZE = 256


@dataclass(frozen=True, kw_only=True)
class Options(Reading):
    """What a training can be told.

    Attributes:
      styles: pictures to paint like; a style is called as its file, or as NAME in NAME=FILE
      photos: photographs, or folders of them
      out: the network
      add_to: a network that learns these styles beside its own, by their normalisations alone: minutes, not hours
      steps: (default: {TRAIN_STEPS}; with --add-to {ADD_STEPS})
      style_size: long side in pixels at which styles are seen, one or one for each: the larger, the larger the strokes
      crop: pixels a side of what is cropped from photographs
      batch: crops in each step
      width: channels of the network at full size; 32 as published (default: {STYLE_WIDTH}, or those of --add-to)
      rate: Adam's learning rate at its highest
      seed: of crops and first parameters
      overwrite: replace files that are there and not jaxstyle's own, too
      quiet: print only the result's name
    """

    styles: Annotated[tuple[str, ...], Positional(Text("STYLE"), "+")]
    photos: Annotated[tuple[str, ...], Several(Text("DIR"))]
    out: Annotated[str, Text("FILE.h5"), Named("-o", "--out")]
    add_to: Annotated[str | None, Text("FILE.h5")] = None
    steps: Annotated[int | None, STEPS] = None
    style_size: Annotated[tuple[int, ...], Several(SIDE)] = (defaults.TRAIN_STYLE_SIZE,)
    crop: Annotated[int, Whole(64, 1024)] = defaults.TRAIN_CROP
    batch: Annotated[int, Whole(1, 256)] = defaults.TRAIN_BATCH
    width: Annotated[int | None, Whole(1, 128)] = None
    rate: Annotated[float, POSITIVE] = defaults.TRAIN_RATE
    seed: Annotated[int, SEED] = defaults.SEED
    overwrite: bool = False
    quiet: bool = False
    terms: TermSettings = dataclasses.field(default_factory=TermSettings)
    network: NetworkSettings = dataclasses.field(default_factory=NetworkSettings)
    given: frozenset[str] = frozenset()


def run(options: Options) -> int:
    """Checks what can be checked, trains, writes the network."""
    out = Path(options.out)
    if out.suffix.lower() not in WEIGHTS:
        raise InputError(f"{shown(out)} must end in {' or '.join(WEIGHTS)}")
    named = [_named(word) for word in options.styles]
    sizes = options.style_size * (len(named) if len(options.style_size) == 1 else 1)
    if len(sizes) != len(named):
        raise InputError(f"--style-size has {len(sizes)} numbers; it needs {one_for_each(len(named), 'STYLE')}, or one")
    if options.add_to is not None and options.width is not None:
        raise InputError(f"--width is that of {shown(options.add_to)}; it cannot be another with --add-to")
    outputs = Outputs(
        read=[*(file for _, file in named), options.add_to, options.network.weights], overwrite=options.overwrite
    )
    outputs.add(out)
    pictures = {
        name: read_picture(file, size, large=options.large) for (name, file), size in zip(named, sizes, strict=True)
    }
    if len(pictures) != len(named):
        raise InputError("two styles would have one name; NAME=FILE names one of them otherwise")
    with outputs.claimed():
        return _Work(options, out, pictures, outputs).run()


def _named(word: str) -> tuple[str, str]:
    """A style's name and file, from FILE or NAME=FILE."""
    name, equals, file = word.partition("=")
    if Path(word).exists() or not equals or not name:
        name, file = short_stem(word), word
    if not name.isprintable() or ":" in name:
        raise InputError(f"a style cannot be called {shown(name)}; NAME=FILE names it otherwise")
    return name, file


class _Work:
    """A training from its pictures to its file."""

    def __init__(self, options: Options, out: Path, pictures: dict[str, Picture], outputs: Outputs) -> None:
        self.options, self.out, self.pictures, self.outputs = options, out, pictures, outputs
        self.folder = out.with_name(f"{out.stem}-training")
        self.steps = options.steps or (defaults.ADD_STEPS if options.add_to else defaults.TRAIN_STEPS)
        self.losses: dict[str, float] = {}

    def run(self) -> int:
        """Trains, writes the network."""
        with needs("train", "training"):
            from jaxstyle.training.loop import train
            from jaxstyle.training.photos import crops, read_photos
        # Only now, since JAX takes a second to load, and wrong input need not wait for it.
        import jax

        from jaxstyle.cli.machine import available_memory
        from jaxstyle.cli.startup import start_jax
        from jaxstyle.onepass.files import save_styles
        from jaxstyle.onepass.painters import StylePainter

        options = self.options
        photos = read_photos(options.photos, smallest=options.crop)
        if not options.quiet:
            say(f"{len(photos.pictures)} photographs, {len(self.pictures)} styles")
        for line in photos.refused:
            say(f"jaxstyle: passed over: {line}")
        start_jax()
        chosen = _settings_of(options)
        training, module, names, facts = self._prepared(photos.pictures, chosen)
        shape = (options.batch, options.crop, options.crop, 3)
        needed, available = training.memory(shape), available_memory()
        if jax.default_backend() == "cpu" and available is not None and needed > available:
            raise InputError(
                f"a step of {options.batch} crops of {options.crop} pixels takes {needed / 1e9:.1f} GB, and "
                f"{available / 1e9:.1f} GB are free; a smaller --batch or --crop helps"
            )
        if not options.quiet:
            say(f"{self.steps} steps, each of {needed / 1e9:.1f} GB; samples and losses go to {shown(self.folder)}")
        settings = {**self._identity(chosen), "photos": _digest(photos.pictures)}
        self.began, self.sample = time.time(), self._sample()
        self.painter = lambda state: StylePainter(training.params(state), module, names)
        with explained(self.folder, reads=True):
            self.folder.mkdir(parents=True, exist_ok=True)
            state = train(
                training.first,
                training.step,
                crops(photos, side=options.crop, batch=options.batch, seed=options.seed),
                steps=self.steps,
                folder=self.folder / "checkpoints",
                settings=settings,
                look_every=min(LOOKS, self.steps),
                save_every=CHECKPOINTS,
                on_look=self._look,
            )
        with self.outputs.writing(self.out):
            about = {"settings": settings, "losses": self.losses, "photographs": len(photos.pictures)}
            save_styles(self.out, self.painter(state), facts, **about)
        shutil.rmtree(self.folder / "checkpoints", ignore_errors=True)
        seconds = "" if options.quiet else f": {', '.join(self.pictures)}, {time.time() - self.began:.0f} s"
        print(f"{name_of(self.out)}{seconds}")
        return 0

    def _prepared(
        self, photos: Sequence[np.ndarray], settings: Settings
    ) -> tuple[Any, Any, tuple[str, ...], list[dict[str, Any]]]:
        """The training, its network, the names of all styles, and what is said of each."""
        import jax
        import jax.numpy as jnp

        from jaxstyle.cli.resolve import objective_of, open_for, weights_of
        from jaxstyle.onepass.files import open_styles
        from jaxstyle.onepass.style_network import StyleNetwork
        from jaxstyle.onepass.train_styles import first_params, teaching_of, training_of, with_more

        options = self.options
        judge = open_for(settings, options.quiet)
        styles, pictures = (
            [picture.pixels for picture in self.pictures.values()],
            [photo[::4, ::4] / np.float32(255) for photo in photos],
        )
        teaching = teaching_of(judge, styles, objective=objective_of(settings), weights=weights_of(settings))
        own = [
            {"file": Path(picture.path).name, "sha256": picture.sha256, "size": max(picture.pixels.shape[:2])}
            for picture in self.pictures.values()
        ]
        if options.add_to is None:
            module = StyleNetwork(len(own), width=options.width or defaults.STYLE_WIDTH)
            names, fixed, facts = tuple(self.pictures), 0, own
            params = first_params(module, pictures, styles, seed=options.seed)
        else:
            painter, before = open_styles(options.add_to)
            if same := [name for name in self.pictures if name in painter.styles]:
                raise InputError(
                    f"{options.add_to} has a style {same[0]!r} already; NAME=FILE names this one otherwise"
                )
            fixed, names = len(painter.styles), (*painter.styles, *self.pictures)
            module = dataclasses.replace(painter.module, count=len(names))
            facts = [*({k: v for k, v in fact.items() if k != "name"} for fact in before["styles"]), *own]
            params = with_more(jax.tree.map(jnp.asarray, painter.params), pictures, styles)
        how: Any = {"rate": options.rate, "steps": self.steps, "fixed": fixed, "devices": jax.local_devices()}
        return training_of(module, params, teaching, **how), module, names, facts

    def _identity(self, settings: Settings) -> dict[str, Any]:
        """What must be the same for a training to go on."""
        options = self.options
        kept = {name: getattr(settings, name) for name in (*vars(options.terms), *vars(options.network))}
        return {
            "styles": {name: picture.sha256 for name, picture in self.pictures.items()},
            "style sizes": [max(picture.pixels.shape[:2]) for picture in self.pictures.values()],
            **{name.replace("_", " "): list(x) if isinstance(x, tuple) else x for name, x in kept.items()},
            "steps": self.steps,
            "width": options.width,
            "crop": options.crop,
            "batch": options.batch,
            "rate": options.rate,
            "seed": options.seed,
            "network to add to": options.add_to and hashlib.sha256(Path(options.add_to).read_bytes()).hexdigest(),
        }

    def _sample(self) -> np.ndarray:
        with as_file(files("jaxstyle") / "demo" / "content.jpg") as path:
            return read_picture(str(path), SAMPLE_SIZE).pixels

    def _look(self, look: Any) -> None:
        """Says and keeps where the training stands."""
        from jaxstyle.cli import stopping

        stopping.check()
        self.losses = look.losses
        table = self.folder / "losses.csv"
        if not table.exists():
            table.write_text(",".join(["step", *look.losses]) + "\n", "ascii")
        with open(table, "a", encoding="ascii") as file:
            file.write(",".join([str(look.step), *(f"{x:.6g}" for x in look.losses.values())]) + "\n")
        if look.step % SAMPLES == 0 or look.step == look.steps:
            self._save_sample(look)
        if not self.options.quiet:
            left = look.seconds / max(1, look.step - look.begun) * (look.steps - look.step)
            terms = ", ".join(f"{name} {x:.3g}" for name, x in look.losses.items())
            say(f"{look.step}/{look.steps} steps, {terms}; {left / 60:.0f} minutes left")

    def _save_sample(self, look: Any) -> None:
        from jaxstyle.onepass.tiles import paint_whole
        from jaxstyle.report.contact_sheet import captioned

        painter = self.painter(look.state)
        painted = {name: paint_whole(painter, self.sample, painter.shares(name), 1.0) for name in painter.styles}
        captioned(painted, columns=4, gap=8).save(self.folder / f"{look.step:06d}.png")


def _settings_of(options: Options) -> Settings:
    """The judge and its objective, as of a transfer."""
    from jaxstyle.cli.options import TransferOptions
    from jaxstyle.cli.resolve import resolve

    shared = {**vars(options.terms), **vars(options.network)}
    chosen = TransferOptions(quiet=options.quiet).having(**{name: shared[name] for name in options.given})
    return resolve(chosen, options.crop)


def _digest(pictures: tuple[np.ndarray, ...]) -> str:
    """One hash of all photographs."""
    digest = hashlib.sha256()
    for picture in pictures:
        digest.update(str(picture.shape).encode())
        digest.update(picture.tobytes())
    return digest.hexdigest()
