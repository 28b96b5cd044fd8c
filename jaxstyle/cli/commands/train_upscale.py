"""Train a network that makes pictures larger, on photographs.

Writes FILE.h5, for jaxstyle upscale --weights. Photographs are made smaller and the network learns to undo it: by
pixels; or, from a network so trained, by what compact sees and a critic that learns beside it. The same command again
goes on where it was stopped: checkpoints lie in FILE.training beside it, which may be removed in the end. Needs Grain
and Orbax: pip install 'jaxstyle[train]'.
"""

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from jaxstyle import defaults
from jaxstyle.cli.extras import needs
from jaxstyle.cli.messages import name_of, say
from jaxstyle.cli.outputs import WEIGHTS, Outputs, explained
from jaxstyle.cli.parser import Named, Several
from jaxstyle.cli.values import POSITIVE, SEED, STEPS, Choice, Text, Whole
from jaxstyle.errors import InputError
from jaxstyle.files import shown

LOOK = 100  # steps between two lines
SAVE = 300  # steps between two checkpoints
FITTED = 60  # batches that the last convolutions are fitted to


@dataclass(frozen=True, kw_only=True)
class Options:
    """What `train-upscale` can be told.

    Attributes:
      photos: folders of photographs, or files; the larger and sharper the better, 100 or more
      out: result (.h5)
      sharp: pixel: near in each pixel. perceptual: sharp to the eye
      begin: network to begin with: pixel, perceptual or a file (default: none; with --sharp perceptual: pixel)
      steps: one takes some 0.2 s on two cores, three times that with --sharp perceptual
      batch: crops of a step
      crop: pixels a side of a crop
      rate: Adam's, at its height (default: {UPSCALE_RATES[pixel]:g}; with --sharp perceptual
        {UPSCALE_RATES[perceptual]:g})
      seed: of the network's start and of the crops
      overwrite: replace files that are there and not jaxstyle's own, too
      quiet: print only the result's name
    """

    photos: Annotated[tuple[str, ...], Several(Text("DIR"))]
    out: Annotated[str, Text("FILE"), Named("-o", "--out")]
    sharp: Annotated[str, Choice(defaults.UPSCALERS, "HOW")] = defaults.UPSCALERS[0]
    begin: Annotated[str | None, Text("FILE"), Named("--from")] = None
    steps: Annotated[int, STEPS] = defaults.UPSCALE_STEPS
    batch: Annotated[int, Whole(1, 1024)] = defaults.UPSCALE_BATCH
    crop: Annotated[int, Whole(48, 512)] = defaults.UPSCALE_CROP
    rate: Annotated[float | None, POSITIVE] = None
    seed: Annotated[int, SEED] = defaults.SEED
    overwrite: bool = False
    quiet: bool = False


def run(options: Options) -> int:
    """Checks what can be checked, trains, writes the network."""
    out = Path(options.out)
    if out.suffix.lower() not in WEIGHTS:
        raise InputError(f"{shown(out)} cannot be written: the name must end in one of {', '.join(WEIGHTS)}")
    if not out.parent.is_dir():
        raise InputError(f"{shown(out)} cannot be written: there is no directory {shown(out.parent)}")
    if options.crop % 12:
        raise InputError(f"--crop is {options.crop}; it must be a multiple of 12, so that 2, 3 and 4 divide it")
    begin = options.begin or (defaults.UPSCALERS[0] if options.sharp == "perceptual" else None)
    outputs = Outputs(read=[begin], overwrite=options.overwrite)
    outputs.add(out)
    with outputs.claimed():
        _train(options, outputs, out, begin)
    print(name_of(out))
    return 0


def _train(options: Options, outputs: Outputs, out: Path, begin: str | None) -> None:
    """Trains, writes the network."""
    # Only now, since JAX takes a second to load, and wrong input need not wait for it.
    import jax

    from jaxstyle.cli.startup import start_jax
    from jaxstyle.superres.files import initial, load_upscaler, save_upscaler
    from jaxstyle.superres.network import UpscaleNetwork, Upscaler
    from jaxstyle.superres.train import fitted_heads, make_contest, make_steps
    from jaxstyle.weights import load_network

    with needs("train", "training"):
        from jaxstyle.training.loop import Look, train
        from jaxstyle.training.photos import crops, read_photos
    start_jax()
    photos = read_photos(options.photos, smallest=options.crop)
    if begin is None:
        module = UpscaleNetwork()
        upscaler = Upscaler(jax.jit(lambda key: initial(module, key))(jax.random.key(options.seed)), module)
    else:
        upscaler = load_upscaler(begin)
    rate = options.rate or defaults.UPSCALE_RATES[options.sharp]
    state: Any
    if seen := options.sharp == "perceptual":
        judge = load_network("compact")
        state, step = make_contest(upscaler, judge, rate=rate, steps=options.steps, seed=options.seed)
    else:
        state, step = make_steps(upscaler, rate=rate, steps=options.steps)

    def look(look: Look) -> None:
        terms = ", ".join(f"{name} {value:.4f}" for name, value in sorted(look.losses.items()))
        say(f"{look.step}/{look.steps} steps, {look.seconds:.0f} s: {terms}")

    settings: dict[str, Any] = {"photos": len(photos.pictures), "sharp": options.sharp, "from": begin, "rate": rate}
    settings |= {name: getattr(options, name) for name in ("steps", "batch", "crop", "seed")}
    if not options.quiet:
        refused = f"; passed over: {'; '.join(photos.refused)}" if photos.refused else ""
        say(f"training on {len(photos.pictures)} photographs{refused}")
    state = train(
        state,
        step,
        crops(photos, side=options.crop, batch=options.batch, seed=options.seed),
        steps=options.steps,
        folder=out.with_suffix(".training"),
        settings=settings,
        look_every=LOOK,
        save_every=SAVE,
        on_look=None if options.quiet else look,
    )
    trained = state.network if seen else state
    upscaler = Upscaler(jax.device_get(trained.mean), upscaler.module)
    if not seen:
        others = crops(photos, side=options.crop, batch=options.batch, seed=options.seed + 1)
        upscaler, left = fitted_heads(upscaler, itertools.islice(others, FITTED))
        told = ", ".join(f"x{factor} {share:.1%}" for factor, share in left.items())
        if not options.quiet:
            say(f"last convolutions fitted; of the squared error there are left {told}")
    source = ", ".join(f"{name} {value}" for name, value in settings.items())
    with outputs.writing(out), explained(out):
        save_upscaler(out, upscaler, source=source, licence="the trainer's")
