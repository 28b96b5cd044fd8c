"""`transfer`: one picture painted in the manner of others."""

from collections.abc import Callable, Sequence

from jaxstyle.engine.devices import spread
from jaxstyle.engine.memory import in_memory
from jaxstyle.engine.plan import make_plan
from jaxstyle.engine.run import Progress, Result, Stand, run
from jaxstyle.engine.starts import Start
from jaxstyle.networks import Network
from jaxstyle.objective import Objective, Weights
from jaxstyle.regions import Masks
from jaxstyle.solvers import Solver
from jaxstyle.types import Key, Picture, StyleMask


def transfer(
    content: Picture,
    styles: Picture | Sequence[Picture],
    *,
    network: Network,
    weights: Weights | None = None,
    objective: Objective | None = None,
    solver: Solver | None = None,
    steps: int | None = None,
    init: Start | Picture = "content",
    min_size: int | None = None,
    average: float = 0.0,
    key: Key | None = None,
    masks: Masks | None = None,
    style_masks: Sequence[StyleMask | None] | None = None,
    margin: int = 0,
    report_every: int | None = None,
    memory: int | None = None,
    tile: int | None = None,
    devices: int | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    begin: Stand | None = None,
    on_stand: Callable[[Stand], None] | None = None,
) -> Result:
    """Paints the content in the manner of the styles (Gatys, Ecker and Bethge 2015,
    https://arxiv.org/abs/1508.06576), from coarse to fine.

    At each scale the pictures are resized alike, `steps` steps are taken, and the result, enlarged, is the start of
    the next scale; a start that is a picture, the content say, brings the details that the coarser scale could not
    hold. The solver begins anew at each scale: moments and curvature of a coarser grid mean little on a finer one, and
    its first steps are short. Large shapes settle at the coarse scales, where they are a few pixels wide and steps are
    cheap.

    Args:
      content: (h, w, 3), in [0, 1]; the result has its size.
      styles: one picture or several, of any sizes; `weights.mix` says how they are mixed.
      network: from `load_network`.
      weights: of the terms; new values do not recompile.
      objective: layers and formulae; None: the network's layers.
      solver: `Lbfgs`, which is the default, `OptaxLbfgs` or `Adam`.
      steps: at each scale; None for 30, or 80 of `Adam`, whose steps are shorter.
      init: "content", "noise", "style", "blur", or a picture.
      min_size: long side in pixels of the coarsest scale; None for half the content's, but at least 128 and at most
        180. Equal to the content's: a single scale.
      average: decay of a running mean of the images, in [0, 1), which is then the result; 0 for the last image.
      key: `jax.random` key for the start from noise; None for a fixed one.
      masks: (k, h, w) in [0, 1], of the content's size: where each of the k styles goes (Gatys et al. 2016,
        https://arxiv.org/abs/1611.07865). Where they sum to less than 1, so much of the content shows, and where all
        are 0 it stays as it is. Weights mean what they do without masks, however small a region is. None: all styles
        everywhere, mixed.
      style_masks: for each style a mask (h, w) of its size, the part of it that is taken, or None for all; None for
        all of all.
      margin: pixels to paint beyond each border, in proportion at coarser scales, and cut off; the content, a start
        that is a picture, and masks go on there as in a mirror. 24 take away the frame of saturated colours, some 8
        pixels wide at 256 as at 512, that `Weights.mix_layers` leaves. Losses are those of the whole canvas.
      report_every: steps between two looks at the result; None for 10 on CPU, 25 elsewhere, where so many are
        compiled as one program.
      memory: bytes that may be used; None for what the device has free, where it says so. A picture that does not fit
        is seen in tiles, where the loss allows.
      tile: side in pixels of tiles in which scales that are larger are seen, in less memory, with a look at the result
        after each step: the same loss and gradient but for rounding (`tiled_value_and_grad`). None for whole pictures
        where they fit.
      devices: how many the picture is spread over, by rows, in as much less memory on each; None for as many of this
        host's accelerators as a large picture is worth, one for each 2^18 pixels. With more than this host has, all
        hosts are to make the same call (`jax.distributed`).
      on_progress: called with a `Progress` at each of these looks, and of where it goes on.
      begin: where an earlier transfer with the same arguments stood; this one goes on from there, to the same end.
        None: from the start.
      on_stand: called with where the transfer stands, a `Stand`, just before each of these looks. Its arrays are to be
        copied by the look after (`jax.device_get`), as later steps use up their memory.

    Raises:
      InputError: an image, a size, a number or a layer that cannot be used, or pictures too large for the memory.
      DivergedError: the loss became NaN or infinite; the error holds the last good image.
    """
    plan, _ = make_plan(
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
        tile=tile,
    )
    plan = in_memory(spread(plan, devices), available=memory)
    return run(plan, on_progress=on_progress, begin=begin, on_stand=on_stand)
