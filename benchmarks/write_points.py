"""Stopping at each point where a process changes files: to name it, to fail there, to die there.

Nothing in the product knows of it. Python's own calls are replaced while `watching`, and with them
the opening of files by Arrow, whose writes then go their own way.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

OnPoint = Callable[[str, str], None]
"""Called before each change with what is done and to which path; what it raises is raised there."""

# Ids of snapshots and takedowns, and what makes temporary names unlike each other.
_SNAPSHOT_ID = re.compile(r"\d{8}T\d{6}(\.\d{6})?Z-[0-9a-f]{6}([0-9a-f]{2})?")
_RANDOM_SUFFIX = re.compile(r"-[0-9a-f]{8}\b")

# Segments of Qdrant Edge.
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

# Channels go through the same steps one after another.
_CHANNEL = re.compile(r"(?<=/channels/)[^/']+")


def step_name(action: str, path: str, root: Path) -> str:
    """Return the name of a step, the same in every run: ``rename snapshots/made-up/.live-#``."""
    return f"{action} {same_in_every_run(Path(path).relative_to(root).as_posix())}"


def same_in_every_run(text: str) -> str:
    """Return a text with words for what differs from run to run, such as ids of snapshots."""
    for pattern, word in (
        (_SNAPSHOT_ID, "ID"),
        (_UUID, "UUID"),
        (_RANDOM_SUFFIX, "-#"),
        (_CHANNEL, "CHANNEL"),
    ):
        text = pattern.sub(word, text)
    return text


class _WatchedFile(io.FileIO):
    """A file whose every write to the system is a point."""

    def __init__(self, path: Any, mode: str, on_point: OnPoint, opener: Any = None) -> None:
        super().__init__(path, mode, opener=opener)
        self._on_point = on_point

    def write(self, data: Any) -> int:
        self._on_point("write", os.fspath(self.name))
        return super().write(data)


@contextmanager
def watching(root: Path, on_point: OnPoint) -> Iterator[None]:
    """Call ``on_point`` before every change below ``root`` that this process makes in the block.

    Args:
        root: changes elsewhere pass unseen.
        on_point: told ``open`` (for writing), ``write``, ``sendfile``, ``fsync``, ``rename``,
            ``link``, ``mkdir``, ``unlink`` and ``rmdir``, and the absolute path.
    """
    inside = f"{root.absolute()}{os.sep}"

    def point(action: str, path: Any, folder: int | None = None) -> None:
        name = _absolute(path, folder)
        if name.startswith(inside):
            on_point(action, name)

    with ExitStack() as stack:

        def replace(target: str, made: Callable[..., Any]) -> None:
            stack.enter_context(patch(target, made))

        for target, action in (
            ("os.rename", "rename"),
            ("os.replace", "rename"),
            ("os.mkdir", "mkdir"),
            ("os.unlink", "unlink"),
            ("os.remove", "unlink"),
            ("os.rmdir", "rmdir"),
            ("os.fsync", "fsync"),
            ("os.sendfile", "sendfile"),
        ):
            replace(target, _pointed(getattr(os, target.removeprefix("os.")), action, point))
        replace("os.link", _pointed_link(os.link, point))
        replace("os.open", _pointed_open(os.open, point))
        replace("io.open", _watched_open(io.open, inside, point))
        replace("builtins.open", _watched_open(io.open, inside, point))
        replace("pyarrow.OSFile", _pointed_arrow_file(point))
        yield


Point = Callable[..., None]


def _absolute(path: Any, folder: int | None) -> str:
    if isinstance(path, int):
        return str(_folder_of(path))
    name = Path(os.fsdecode(path))
    return str(name.absolute() if folder is None else _folder_of(folder) / name)


def _folder_of(descriptor: int) -> Path:
    return Path(f"/proc/self/fd/{descriptor}").readlink()


def _pointed(real: Callable[..., Any], action: str, point: Point) -> Callable[..., Any]:
    def call(path: Any, *arguments: Any, **options: Any) -> Any:
        point(action, path, options.get("dir_fd"))
        return real(path, *arguments, **options)

    return call


def _pointed_open(real: Callable[..., int], point: Point) -> Callable[..., int]:
    def call(path: Any, flags: int, *arguments: Any, **options: Any) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR):
            point("open", path, options.get("dir_fd"))
        return real(path, flags, *arguments, **options)

    return call


def _watched_open(real: Callable[..., Any], inside: str, point: Point) -> Callable[..., Any]:
    def call(file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        writes = set(mode) & set("wax+")
        if not writes or isinstance(file, int) or not _absolute(file, None).startswith(inside):
            return real(file, mode, *arguments, **options)
        point("open", file)
        raw = _WatchedFile(file, mode.replace("b", "").replace("t", ""), point)
        buffered = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        if "b" in mode:
            return buffered
        # Text files here are written whole; buffering, the first option, does not matter.
        return io.TextIOWrapper(buffered, *arguments[1:], **options)

    return call


def _pointed_link(real: Callable[..., None], point: Point) -> Callable[..., None]:
    def call(source: Any, target: Any, **options: Any) -> None:
        point("link", target, options.get("dst_dir_fd"))
        real(source, target, **options)

    return call


def _pointed_arrow_file(point: Point) -> Callable[..., Any]:
    real = __import__("pyarrow").OSFile

    def call(path: Any, mode: str = "r", *arguments: Any) -> Any:
        if "w" in mode:
            point("open", path)
        return real(path, mode, *arguments)

    return call
