from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from indexer.durable_files import file_sha256, replace_durably


def test_content_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "live"
    replace_durably(path, b"one")
    with path.open("rb") as reader:
        replace_durably(path, b"two")
        assert reader.read() == b"one"
    assert path.read_bytes() == b"two"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_replacement_leaves_the_old_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "live"
    replace_durably(path, b"one")

    def broken(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="Input/output error"):
        replace_durably(path, b"two")
    assert path.read_bytes() == b"one"
    assert list(tmp_path.iterdir()) == [path]


def test_a_digest_follows_the_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for content in (b"one", b"two!", b"two?"):
        path.write_bytes(content)
        os.utime(path, ns=(0, hash(content) % 10**9))
        assert file_sha256(path) == hashlib.sha256(content).hexdigest()
