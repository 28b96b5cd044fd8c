"""Where a picture goes: through links, over files that are there, and not over those that may not be written."""

import os
import stat
import tempfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jaxstyle.errors import InputError
from jaxstyle.files import write_files
from jaxstyle.pictures.read import load_image
from jaxstyle.pictures.write import check_writable, read_record, save_image


def picture(value=0.5):
    return np.full((16, 20, 3), value, np.float32)


def refused(path, *words):
    before = {p: p.lstat() for p in path.parent.iterdir()}
    for call in (lambda: check_writable(path), lambda: save_image(path, picture(), {"a": 1})):
        with pytest.raises(InputError) as caught:
            call()
        assert all(word in str(caught.value) for word in words), caught.value
    assert {p: p.lstat().st_mtime_ns for p in path.parent.iterdir()} == {p: s.st_mtime_ns for p, s in before.items()}


@pytest.mark.parametrize("there", [True, False], ids=["a file", "nothing yet"])
@pytest.mark.parametrize("relative", [True, False])
def test_what_a_link_leads_to_is_written(tmp_path, there, relative):
    (tmp_path / "big").mkdir()
    real, link = tmp_path / "big" / "real.png", tmp_path / "link.png"
    if there:
        save_image(real, picture(0.1))
    link.symlink_to(Path("big") / "real.png" if relative else real)
    check_writable(link)
    save_image(link, picture(0.75), {"a": 1})
    assert link.is_symlink()
    assert real.is_file()
    assert not real.is_symlink()
    np.testing.assert_allclose(load_image(real), 0.75, atol=1 / 255)
    assert read_record(link) == {"a": 1}
    assert sorted(x.name for x in tmp_path.iterdir()) == ["big", "link.json", "link.png"]
    assert [x.name for x in (tmp_path / "big").iterdir()] == ["real.png"]


def test_links_to_links_and_folders_that_are_links(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "folder").symlink_to("real")
    (tmp_path / "a.png").symlink_to("b.png")
    (tmp_path / "b.png").symlink_to("folder/c.png")
    save_image(tmp_path / "a.png", picture())
    save_image(tmp_path / "folder" / "d.png", picture())
    assert sorted(x.name for x in (tmp_path / "real").iterdir()) == ["c.png", "d.png"]
    assert all((tmp_path / x).is_symlink() for x in ("a.png", "b.png", "folder"))


def test_links_that_lead_nowhere(tmp_path):
    (tmp_path / "a.png").symlink_to("a.png")
    refused(tmp_path / "a.png", "leads back to itself")
    (tmp_path / "b.png").symlink_to("absent/b.png")
    refused(tmp_path / "b.png", "absent", "no directory")
    (tmp_path / "folder").mkdir()
    (tmp_path / "c.png").symlink_to("folder")
    refused(tmp_path / "c.png", "directory")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "d.png").symlink_to("pipe")
    refused(tmp_path / "d.png", "not a plain file")


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="there is no second filesystem")
def test_a_link_to_another_filesystem(tmp_path):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as other:
        (tmp_path / "a.png").symlink_to(Path(other) / "b.png")
        save_image(tmp_path / "a.png", picture())
        save_image(tmp_path / "a.png", picture(0.25))
        assert os.listdir(other) == ["b.png"]
        np.testing.assert_allclose(load_image(Path(other) / "b.png"), 0.25, atol=1 / 255)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o755, 0o200])
def test_a_file_keeps_its_permissions(tmp_path, mode):
    path = tmp_path / "a.png"
    save_image(path, picture(0.1), {"a": 1})
    path.chmod(mode)
    save_image(path, picture(), {"a": 2})
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert read_record(path) == {"a": 2}


def test_while_it_is_written_a_private_file_is_private(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"old")
    path.chmod(0o600)
    seen = []

    def write(file):
        seen.extend(stat.S_IMODE(x.stat().st_mode) for x in tmp_path.iterdir())
        file.write(b"new")

    write_files({path: write})
    assert seen == [0o600, 0o600]
    assert path.read_bytes() == b"new"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may give files away")
def test_a_file_keeps_its_owner(tmp_path):
    path = tmp_path / "a.png"
    save_image(path, picture())
    os.chown(path, 1234, 5678)
    save_image(path, picture())
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 5678)


@pytest.mark.parametrize("name", ["a.png", "a.json"])
def test_a_write_protected_file_is_refused(tmp_path, name):
    save_image(tmp_path / "a.png", picture(0.1), {"a": 1})
    (tmp_path / name).chmod(0o444)
    refused(tmp_path / "a.png", "write-protected", name)
    assert read_record(tmp_path / "a.png") == {"a": 1}
    assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o444
    (tmp_path / "link.png").symlink_to("a.png")
    if name == "a.png":
        refused(tmp_path / "link.png", "write-protected")


def test_all_that_is_written_together_is_checked_first(tmp_path):
    """A page of a sweep, say, which the user has protected."""
    (tmp_path / "b").write_bytes(b"mine")
    (tmp_path / "b").chmod(0o400)
    with pytest.raises(PermissionError, match="write-protected"):
        write_files({tmp_path / name: lambda file: file.write(b"new") for name in "ab"})
    assert [x.name for x in tmp_path.iterdir()] == ["b"]
    assert (tmp_path / "b").read_bytes() == b"mine"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="takes root to be someone else")
def test_what_another_may_write_is_not_ours_to_replace():
    """A file of someone else's, in a folder that all may write, and a folder that is closed."""
    save = save_image
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        (folder / "closed").mkdir(mode=0o755)
        save(folder / "theirs.png", picture())
        os.chown(folder / "theirs.png", 1234, 1234)
        (folder / "theirs.png").chmod(0o644)
        os.seteuid(65534)
        try:
            refused(folder / "theirs.png", "Permission denied")
            refused(folder / "closed" / "a.png", "Permission denied")
            save(folder / "mine.png", picture())
        finally:
            os.seteuid(0)
        assert (folder / "theirs.png").stat().st_uid == 1234


def test_the_picture_goes_out_in_8_bits_and_not_in_float(tmp_path):
    """What is held besides the picture is a quarter of it, and Pillow's own copy."""
    import tracemalloc

    image = np.random.default_rng(0).random((2000, 3000, 3), dtype=np.float32)
    save_image(tmp_path / "small.png", picture())
    tracemalloc.start()
    try:
        save_image(tmp_path / "a.tif", image)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < image.nbytes  # it was three times that
    with Image.open(tmp_path / "a.tif") as written:
        np.testing.assert_array_equal(np.asarray(written), np.rint(image * 255).astype(np.uint8))
