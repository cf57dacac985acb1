from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from encoders.media.media_file import open_media
from encoders.media.rejection import MediaRejected


def reason_of(path: Path, max_bytes: int | None = None) -> str:
    with pytest.raises(MediaRejected) as caught, open_media(path, max_bytes=max_bytes):
        pass
    return caught.value.reason


def test_a_regular_file_opens_also_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    (tmp_path / "link").symlink_to("file")
    with open_media(tmp_path / "link", max_bytes=3) as file:
        assert file.read() == b"abc"


def test_a_missing_file_has_vanished(tmp_path: Path) -> None:
    (tmp_path / "broken").symlink_to("nowhere")
    (tmp_path / "file").write_bytes(b"abc")
    assert reason_of(tmp_path / "none") == "vanished"
    assert reason_of(tmp_path / "broken") == "vanished"
    assert reason_of(tmp_path / "file" / "below") == "vanished"


def test_a_fifo_is_refused_at_once_instead_of_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.png")
    assert reason_of(tmp_path / "fifo.png") == "unreadable"


def test_folders_devices_and_sockets_are_not_opened(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        assert reason_of(tmp_path / "socket") == "unreadable"
    assert reason_of(tmp_path) == "unreadable"
    assert reason_of(Path(os.devnull)) == "unreadable"


def test_a_loop_of_links_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert reason_of(tmp_path / "a") == "unreadable"


def test_size_limits_hold(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "four").write_bytes(b"abcd")
    assert reason_of(tmp_path / "empty") == "empty"
    assert reason_of(tmp_path / "four", max_bytes=3) == "too_many_bytes"
