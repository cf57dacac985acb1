"""A disk that is really full: a tmpfs with a few pages left, seen by one process only (needs root).

The process gets a mount namespace of its own, so that nothing is left mounted however it ends.
"""

from __future__ import annotations

import ctypes
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fresh_processes import ProcessDied, answer_of
from benchmarks.made_up_commands import CommandEnd, Fault, Place, run_command
from benchmarks.stored_state import StoredState, look

# From <sched.h> and <sys/mount.h>.
CLONE_NEWNS = 0x20000
MS_REMOUNT = 32
MS_REC_PRIVATE = 0x4000 | (1 << 18)

SPACIOUS = "64m"


@dataclass(frozen=True, slots=True)
class DiskCase:
    """What happened on a small disk, before and after it was made larger."""

    place: Place
    end: CommandEnd
    after: StoredState
    again: CommandEnd
    last: StoredState


def on_small_disk(base: Place, folder: Path, arguments: tuple[str, ...], spare: int) -> DiskCase:
    """Run a command on a copy that fills its disk but for some pages, then again with room.

    For a process of its own, which is not good for anything else afterwards.

    Args:
        base: what is copied.
        folder: of the case, where the disk is mounted.
        arguments: of the command, with ``{}`` for the folder of the case.
        spare: pages left.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    _call("unshare", CLONE_NEWNS)
    _call("mount", None, b"/", None, MS_REC_PRIVATE, None)
    _mount(folder, SPACIOUS)
    place = Place(folder)
    shutil.copytree(base.folder, folder, dirs_exist_ok=True)
    # What has been opened once has its log; the disk is full to the page after that.
    look(place)
    disk = os.statvfs(folder)
    _mount(folder, str((disk.f_blocks - disk.f_bfree + spare) * disk.f_frsize), MS_REMOUNT)
    line = [argument.format(place.folder) for argument in arguments]
    end = run_command(place, line, Fault(ignore_free_space=True))
    _mount(folder, SPACIOUS, MS_REMOUNT)
    after = look(place)
    again = run_command(place, line)
    return DiskCase(place, end, after, again, look(place))


def small_disks_possible() -> bool:
    """Tell whether this process may mount a disk that only it sees."""
    try:
        return answer_of(_try)
    except ProcessDied:
        return False


def _try() -> bool:
    try:
        _call("unshare", CLONE_NEWNS)
        _call("mount", None, b"/", None, MS_REC_PRIVATE, None)
        _mount(Path("/tmp"), SPACIOUS)
    except OSError:
        return False
    return True


def _mount(folder: Path, size: str, flags: int = 0) -> None:
    _call("mount", b"tmpfs", os.fsencode(folder), b"tmpfs", flags, f"size={size}".encode())


def _call(name: str, *arguments: object) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
