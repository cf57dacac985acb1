"""Opening files that strangers named: only regular ones, never blocking, with typed refusals."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from encoders.media.rejection import MediaRejected


@contextmanager
def open_media(path: Path, *, max_bytes: int | None = None) -> Iterator[BinaryIO]:
    """Open a regular file for reading.

    Directories, devices, sockets and FIFOs are never opened: opening one can block or act.

    Args:
        path: the file; symbolic links are followed.
        max_bytes: largest size allowed.

    Raises:
        MediaRejected: ``vanished``, ``unreadable``, ``empty`` or ``too_many_bytes``.
    """
    with _open_regular(path) as file:
        _require_size(os.fstat(file.fileno()).st_size, max_bytes)
        yield file


def _open_regular(path: Path) -> BinaryIO:
    try:
        _require_regular(path, path.stat())
        # Non-blocking, and checked again, should something else have taken its place just now.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        file = os.fdopen(descriptor, "rb")
        try:
            _require_regular(path, os.fstat(descriptor))
        except MediaRejected:
            file.close()
            raise
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MediaRejected("vanished", f"there is no file at {path} any more") from error
    except PermissionError as error:
        raise MediaRejected("unreadable", f"no permission to read {path}") from error
    except OSError as error:
        raise MediaRejected("unreadable", f"cannot open {path}: {error.strerror}") from error
    return file


def _require_regular(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = {
            stat.S_IFDIR: "a folder",
            stat.S_IFIFO: "a FIFO",
            stat.S_IFSOCK: "a socket",
            stat.S_IFCHR: "a device",
            stat.S_IFBLK: "a device",
        }.get(stat.S_IFMT(status.st_mode), "something else")
        raise MediaRejected("unreadable", f"{path} is {kind}, not a regular file")


def _require_size(num_bytes: int, max_bytes: int | None) -> None:
    if num_bytes == 0:
        raise MediaRejected("empty", "the file has no bytes")
    if max_bytes is not None and num_bytes > max_bytes:
        raise MediaRejected(
            "too_many_bytes",
            f"{num_bytes} bytes; at most {max_bytes} are read",
            num_bytes=num_bytes,
            max_bytes=max_bytes,
        )
