from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from indexer.ann.faiss_index import FaissIndex, load_faiss
from indexer.durable_files import (
    file_sha256,
    remove_half_written,
    replace_durably,
    sync_folder,
    write_array,
    write_file,
)


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


def write_index(path: Path) -> None:
    index = FaissIndex("words", 16, load_faiss().IndexFlatIP(16))
    index.add(np.arange(8), np.ones((8, 16), np.float32))
    index.write(path)


@pytest.mark.parametrize(
    "write",
    [
        lambda path: write_file(path, b"content"),
        lambda path: write_array(path, np.arange(8)),
        write_index,
    ],
)
def test_a_few_bytes_for_which_there_is_no_room_are_an_error_that_names_the_file(
    write: Callable[[Path], None],
) -> None:
    with pytest.raises(OSError, match="/dev/full") as raised:
        write(Path("/dev/full"))
    assert raised.value.errno == errno.ENOSPC


def test_a_folder_that_cannot_be_synced_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match=f"Input/output error: '{tmp_path}'"):
        sync_folder(tmp_path)


def test_arrays_are_read_again_as_they_were(tmp_path: Path) -> None:
    array = np.arange(12, dtype=np.int64).reshape(3, 4)
    for written in (array, array[:0], np.asfortranarray(array)[:, 1:]):
        write_array(tmp_path / "array.npy", written)
        read = np.load(tmp_path / "array.npy", allow_pickle=False)
        assert (read.dtype, read.tolist()) == (written.dtype, written.tolist())


def test_what_killed_replacements_left_is_removed(tmp_path: Path) -> None:
    replace_durably(tmp_path / "live", b"one")
    (tmp_path / ".live-0a1b2c3d").write_bytes(b"half")
    remove_half_written(tmp_path / "live")
    assert [path.name for path in tmp_path.iterdir()] == ["live"]
