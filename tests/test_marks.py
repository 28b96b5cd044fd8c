"""Seals: of the bytes as they were written, and of no others."""

import random
from pathlib import Path

import pytest

from jaxstyle.marks import UNSEALED, has_seal, is_sealed, replace_in_place, sealed


def text(seed: int) -> bytes:
    draw = random.Random(seed)
    return draw.randbytes(draw.randrange(200)) + UNSEALED.encode() + draw.randbytes(draw.randrange(200))


@pytest.mark.parametrize("seed", range(5))
def test_a_seal_holds_for_these_bytes_only(seed: int) -> None:
    content = sealed(text(seed))
    assert len(content) == len(text(seed)) and has_seal(content)
    assert not has_seal(text(seed)) and not has_seal(content + b" ") and not has_seal(content[:-1])
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1
        assert not has_seal(bytes(changed)), place


def test_names_that_look_like_seals_do_no_harm() -> None:
    for decoy in (UNSEALED, UNSEALED.replace("0", "a"), sealed(UNSEALED.encode()).decode()):
        assert has_seal(sealed(f"{UNSEALED} {decoy} {decoy}".encode()))
        assert not has_seal(f"{decoy} text".encode())


def test_no_place_for_a_seal() -> None:
    with pytest.raises(ValueError, match="not found"):
        sealed(b"nothing")


def test_only_plain_files_have_seals(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(sealed(text(1)))
    (tmp_path / "link").symlink_to("a")
    (tmp_path / "dangling").symlink_to("none")
    assert is_sealed(tmp_path / "a") and is_sealed(tmp_path / "link")
    assert not is_sealed(tmp_path) and not is_sealed(tmp_path / "none") and not is_sealed(tmp_path / "dangling")


def test_a_word_of_a_sealed_file_is_replaced_in_place(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(sealed(f'{{"seal": "{UNSEALED}", "status": "running", "more": "running"}}'.encode()))
    before = path.stat().st_ino
    replace_in_place(path, b'"status": "running",', b'"status": "failed" ,')
    assert path.stat().st_ino == before and is_sealed(path)
    assert b'"status": "failed" , "more": "running"' in path.read_bytes()
    kept = path.read_bytes()
    for old, new in ((b"absent", b"absent"), (b"failed", b"longer one")):
        with pytest.raises(ValueError):
            replace_in_place(path, old, new)
    assert path.read_bytes() == kept
    path.write_bytes(b'"status": "running",')
    with pytest.raises(ValueError):
        replace_in_place(path, b"running", b"stopped")
    assert path.read_bytes() == b'"status": "running",'
