"""Makes docs/gallery.md: what the commands make, each picture by a whole command, with its seconds.

    python scripts/make_gallery.py PICTURES... [--only transfer] [--again] [--words ...]

PICTURES are folders with the pictures that CREDITS names. What has been made is kept, so that a run that was stopped
goes on; --again makes it anew.
"""

import argparse
import contextlib
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw

import jaxstyle
from jaxstyle.pictures.write import read_record

DOCS = Path(__file__).resolve().parents[1] / "docs"
CREDITS = {
    "astronaut": "Eileen Collins, NASA, public domain",
    "chelsea": "Chelsea, S. van der Walt, CC0",
    "lake-sherburne": "Lake Sherburne, Budgie backgrounds, CC0",
    "ocean-waves": "Ocean waves, Budgie backgrounds, CC0",
    "singaporean-cityscape": "Singapore, Budgie backgrounds, CC0",
    "starry_night": "van Gogh, The Starry Night, 1889",
    "great_wave": "Hokusai, The Great Wave, about 1831",
    "the_scream": "Munch, The Scream, 1893",
    "matisse_hat": "Matisse, Woman with a Hat, 1905",
    "hoitsu_flowers": "Sakai Hoitsu, flowers",
    "vg_la_cafe": "van Gogh, a café",
    "monet_water_lilies": "Monet, Water Lilies, 1919",
    "picabia_udnie": "Picabia, Udnie, 1913",
    "piranesi_carceri": "Piranesi, Carceri",
    "shipwreck": "Turner, The Shipwreck, 1805",
    "composition_vii": "Kandinsky, Composition VII, 1913",
    "rbx_cobblestone": "cobblestone, Poly Haven, CC0",
}
GAP = 8  # pixels of white between pictures
QUALITY = 84
WIDEST = 900  # pixels of a sheet


@dataclass(frozen=True)
class Scene:
    """A picture of the gallery.

    Attributes:
      section: the heading that it is under.
      name: of its file.
      command: words of the command line; {picture} stands for a picture, {out} for the result.
      result: where it is, if not at {out}; beside that.
      inputs: whether what the command was given is shown beside it.
      shares: of the first of two styles; the command runs once for each, with {first} and {second} for the weights, and
        the results are shown in a row.
    """

    section: str
    name: str
    command: str
    result: str = ""
    inputs: bool = True
    shares: tuple[float, ...] = ()

    def pictures(self) -> tuple[str, ...]:
        """The pictures that the command is given."""
        named = re.findall(r"\{([\w-]+)\}", self.command)
        return tuple(name for name in dict.fromkeys(named) if name in CREDITS)


def _scenes() -> Iterator[Scene]:
    pairs = (
        ("lake-sherburne", "starry_night"),
        ("chelsea", "great_wave"),
        ("singaporean-cityscape", "the_scream"),
        ("astronaut", "matisse_hat"),
        ("ocean-waves", "hoitsu_flowers"),
        ("singaporean-cityscape", "vg_la_cafe"),
        ("lake-sherburne", "monet_water_lilies"),
        ("chelsea", "picabia_udnie"),
        ("astronaut", "piranesi_carceri"),
        ("ocean-waves", "shipwreck"),
        ("singaporean-cityscape", "composition_vii"),
        ("chelsea", "the_scream"),
    )
    for number, (content, style) in enumerate(pairs):
        size = 512 if number < 2 else 384
        command = f"transfer {{{content}}} {{{style}}} --size {size} -o {{out}}"
        yield Scene("Transfer", f"{content}_{style}", command)
    yield Scene(
        "Colours, regions and mixtures",
        "colour",
        "transfer {astronaut} {starry_night} --color content --size 384 -o {out}",
    )
    masked = "transfer {lake-sherburne} {starry_night} {great_wave} --masks {land} {lake} --size 384 -o {out}"
    yield Scene("Colours, regions and mixtures", "regions", masked)
    mixed = "transfer {chelsea} {the_scream} {great_wave} --mix 1 1 --size 384 -o {out}"
    yield Scene("Colours, regions and mixtures", "mixture", mixed)
    yield Scene("One pass", "one_pass_trained", "stylize {singaporean-cityscape} --style starry_night -o {out}")
    strip = "stylize {chelsea} --style starry_night:{first} great_wave:{second} --size 256 -o {out}"
    yield Scene("One pass", "interpolation", strip, inputs=False, shares=(1, 0.75, 0.5, 0.25, 0))
    yield Scene("One pass", "styles", "styles {lake-sherburne} -o {out}", inputs=False)
    sweep = "sweep {astronaut} {the_scream} --style-weight 3 30 300 --tv-weight 0.1 10 --size 192 -o {out}"
    yield Scene("Sweeps and studies", "sweep", sweep, "sheet.png", inputs=False)
    textured = "texture {rbx_cobblestone} --size 192 -o {out}"
    yield Scene("Sweeps and studies", "textures", textured, inputs=False)
    reconstructed = "reconstruct {chelsea} --size 192 -o {out}"
    yield Scene("Sweeps and studies", "reconstructions", reconstructed, inputs=False)


SCENES = tuple(_scenes())


def drawn_masks(folder: Path) -> dict[str, Path]:
    """The two regions of Lake Sherburne: what is above the shore, and the lake."""
    found = {}
    for name, rows in {"land": (0, 435), "lake": (436, 576)}.items():
        mask = Image.new("L", (1024, 576))
        ImageDraw.Draw(mask).rectangle((0, rows[0], 1024, rows[1]), fill=255)
        found[name] = folder / f"{name}.png"
        mask.save(found[name])
    return found


def shown(inputs: list[Path], result: Path) -> Image.Image:
    """The result, and left of it what the command was given, as high together as it is."""
    made = Image.open(result).convert("RGB")
    made.thumbnail((WIDEST, WIDEST), Image.Resampling.LANCZOS)
    if not inputs:
        return made
    height = (made.height - GAP * (len(inputs) - 1)) // len(inputs)
    small = []
    for path in inputs:
        picture = Image.open(path).convert("RGB")
        picture.thumbnail((made.width // 2, height), Image.Resampling.LANCZOS)
        small.append(picture)
    width = max(picture.width for picture in small)
    sheet = Image.new("RGB", (width + GAP + made.width, made.height), "white")
    for number, picture in enumerate(small):
        top = number * (height + GAP) if number < len(small) - 1 else made.height - picture.height
        sheet.paste(picture, (width - picture.width, top))
    sheet.paste(made, (width + GAP, 0))
    return sheet


def in_a_row(paths: list[Path]) -> Image.Image:
    """Pictures of one size beside each other."""
    pictures = [Image.open(path).convert("RGB") for path in paths]
    width, height = pictures[0].size
    row = Image.new("RGB", (len(pictures) * (width + GAP) - GAP, height), "white")
    for number, picture in enumerate(pictures):
        row.paste(picture, (number * (width + GAP), 0))
    return row


def make(scene: Scene, found: dict[str, Path], further: list[str]) -> dict[str, object]:
    """Runs a scene's command, saves its sheet, and says how long the command took."""
    with tempfile.TemporaryDirectory() as scratch:
        places = {**found, **drawn_masks(Path(scratch))}
        results, seconds = [], 0.0
        for number, share in enumerate(scene.shares or (1,)):
            out = Path(scratch) / (f"result{number}" if scene.result else f"result{number}.png")
            values = {**places, "out": out, "first": f"{share:g}", "second": f"{1 - share:g}"}
            words = [word.format(**values) for word in scene.command.split()]
            began = time.perf_counter()
            subprocess.run([sys.executable, "-m", "jaxstyle.cli", *words, *further], check=True)
            seconds += time.perf_counter() - began
            results.append(out / scene.result if scene.result else out)
        result = results[0]
        if len(results) > 1:
            result = Path(scratch) / "row.png"
            in_a_row(results).save(result)
        inputs = [found[name] for name in scene.pictures()] if scene.inputs else []
        shown(inputs, result).save(DOCS / "gallery" / f"{scene.name}.webp", quality=QUALITY, method=6)
        fact: dict[str, object] = {"seconds": round(seconds)}
        with Image.open(result) as picture:
            fact["size"] = f"{picture.width} x {picture.height}"
        with contextlib.suppress(jaxstyle.InputError, KeyError):  # sheets have no record, one pass no such setting
            fact["network"] = read_record(result)["settings"]["network"]
    return fact


def page(facts: dict[str, dict[str, object]]) -> str:
    """The page, from what each sheet's facts say."""
    lines = [
        "# Gallery",
        "",
        "Each picture by the command under it, on two cores. Seconds are those of the whole command, some with other",
        "work beside it; the network is the default unless the command names one. Made by `scripts/make_gallery.py`.",
        "Pictures made larger are in [the guide](guide/upscale.md).",
        "",
    ]
    section = ""
    for scene in SCENES:
        if scene.name not in facts:
            continue
        if scene.section != section:
            section = scene.section
            lines += [f"## {section}", ""]
        fact = facts[scene.name]
        names = {name: f"{name}.jpg" for name in scene.pictures()}
        given = {"out": "out.png", "land": "land.png", "lake": "lake.png", "first": "X", "second": "Y"}
        command = scene.command.format(**names, **given)
        credits = "; ".join(CREDITS[name] for name in scene.pictures())
        details = ", ".join(str(fact[name]) for name in ("network", "size") if name in fact)
        pairs = ", ".join(f"{share:g} and {1 - share:g}" for share in scene.shares)
        shares = f" X and Y are {pairs}; the seconds are those of all." if pairs else ""
        lines += [
            f"![{credits}](gallery/{scene.name}.webp)",
            "",
            f"    jaxstyle {command}",
            "",
            f"{credits}. {details}, {fact['seconds']} s.{shares}",
            "",
        ]
    return "\n".join(lines)


def main() -> None:
    """Makes what is wanted and not yet there, and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path, nargs="+")
    parser.add_argument("--only", default="", help="scenes whose section or name begins so")
    parser.add_argument("--again", action="store_true", help="also what is there")
    parser.add_argument("--words", nargs=argparse.REMAINDER, default=[], help="further words of the commands")
    args = parser.parse_args()
    found = {name: path for folder in args.pictures for name in CREDITS if (path := folder / f"{name}.jpg").exists()}
    if lacking := sorted(CREDITS.keys() - found.keys()):
        parser.error(f"no folder has {', '.join(lacking)} (.jpg)")
    (DOCS / "gallery").mkdir(exist_ok=True)
    known = DOCS / "gallery" / "facts.json"
    facts = json.loads(known.read_text()) if known.exists() else {}
    for scene in SCENES:
        wanted = (
            not args.only or scene.section.lower().startswith(args.only.lower()) or scene.name.startswith(args.only)
        )
        if wanted and (args.again or scene.name not in facts):
            facts[scene.name] = make(scene, found, args.words)
            known.write_text(json.dumps(facts, indent=1) + "\n")
            (DOCS / "gallery.md").write_text(page(facts))


if __name__ == "__main__":
    main()
