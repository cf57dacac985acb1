"""Finding files: folders, single files and list files become one sorted stream."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from indexer.attributes import sidecar_names, sidecar_of
from indexer.errors import SourceMissing
from indexer.transcript_files import RECORDING_SUFFIXES, TranscriptNames

_ESCAPED_BYTE = re.compile(rb"\\udc([0-9a-f]{2})")


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file that an ingest was pointed at."""

    path: Path
    """Absolute; symbolic links to folders above it are resolved."""

    source: str
    """The folder that ``relative_path`` counts from."""

    relative_path: str
    """With forward slashes."""

    sidecar: Path | None = None
    """The JSON file beside it that carries its attributes."""

    transcripts: tuple[Path, ...] = ()
    """Files beside it that say what is said in it, the best name first."""

    problem: str | None = None
    """Why it cannot be read, for a folder that could not be looked into."""

    @property
    def location(self) -> str:
        """The absolute path as text."""
        return os.fspath(self.path)

    @property
    def listed_location(self) -> str:
        """The location as outcomes name it: bytes that are not UTF-8 are shown as escapes.

        The catalog and JSON hold text only.
        """
        return self.location.encode("utf-8", "backslashreplace").decode()


def find_files(paths: Sequence[Path]) -> Iterator[FoundFile]:
    """Yield every file below ``paths`` once, in a stable order.

    Hidden files and folders are passed over, and sidecars and transcripts are attached to the file
    they belong to instead of being found themselves. Links to folders are not followed: they can
    form circles. A folder that cannot be read is yielded itself, with its ``problem``, so that it
    is counted.

    Args:
        paths: folders, files, or ``@LIST`` files with one path a line.

    Raises:
        SourceMissing: one of ``paths`` is not there; raised before the first file is yielded.
    """
    roots = [root for path in paths for root in _expand(path)]
    for root in roots:
        if not root.exists():
            raise SourceMissing(f"no file or folder at {root}", path=str(root))
    seen: set[str] = set()
    beside: dict[Path, TranscriptNames] = {}
    for root in roots:
        resolved = root.resolve()
        found = _walk(resolved, resolved) if resolved.is_dir() else _single(resolved, beside)
        for file in found:
            if file.location not in seen:
                seen.add(file.location)
                yield file


def _expand(path: Path) -> Iterator[Path]:
    text = os.fspath(path)
    if not text.startswith("@"):
        yield path
        return
    list_file = Path(text[1:])
    try:
        lines = list_file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise SourceMissing(f"list file {list_file}: {error}", path=str(list_file)) from error
    for line in lines:
        if line.strip():
            yield list_file.parent / line.strip()


def is_gone(location: str) -> bool:
    """Tell whether there is certainly nothing at a path: one that may not be looked at is there.

    Args:
        location: a path, perhaps with bytes that are not UTF-8 as `FoundFile.listed_location` shows
            them.
    """
    raw = _ESCAPED_BYTE.sub(lambda match: bytes.fromhex(match[1].decode()), os.fsencode(location))
    return _nothing_at(location) and _nothing_at(os.fsdecode(raw))


def _nothing_at(location: str) -> bool:
    try:
        os.lstat(location)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _single(path: Path, transcripts: dict[Path, TranscriptNames]) -> Iterator[FoundFile]:
    """Yield one file with what lies beside it.

    Args:
        path: the file.
        transcripts: of folders that were looked through, once each: a list may name all of a large
            folder's files. Others are added.
    """
    beside = frozenset(name for name in sidecar_names(path) if path.with_name(name).is_file())
    if path.parent not in transcripts and path.suffix.lower() in RECORDING_SUFFIXES:
        transcripts[path.parent] = TranscriptNames(_names_in(path.parent))
    names = transcripts.get(path.parent)
    yield FoundFile(
        path,
        os.fspath(path.parent),
        path.name,
        sidecar_of(path, beside),
        names.of(path) if names else (),
    )


def _names_in(folder: Path) -> list[str]:
    """Return the names of files, none if the folder cannot be listed: its files may be read."""
    try:
        return _listed(folder)[0]
    except OSError:
        return []


def _walk(folder: Path, source: Path) -> Iterator[FoundFile]:
    try:
        names, folders = _listed(folder)
    except OSError as error:
        relative_path = folder.relative_to(source).as_posix()
        problem = f"the folder cannot be read: {error.strerror}"
        yield FoundFile(folder, os.fspath(source), relative_path, problem=problem)
        return
    beside = frozenset(names)
    described = {
        sidecar.name: name
        for name in names
        if (sidecar := sidecar_of(folder / name, beside)) is not None
    }
    transcripts = TranscriptNames(names)
    attached = {path.name for name in names for path in transcripts.of(folder / name)}
    for name in names:
        if name in described or name in attached:
            continue
        path = folder / name
        yield FoundFile(
            path,
            os.fspath(source),
            path.relative_to(source).as_posix(),
            sidecar_of(path, beside),
            transcripts.of(path),
        )
    for name in folders:
        yield from _walk(folder / name, source)


def _listed(folder: Path) -> tuple[list[str], list[str]]:
    """Return the names of files and of folders, each sorted."""
    files, folders = [], []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.name)
            elif not entry.is_dir():
                files.append(entry.name)
    return sorted(files), sorted(folders)
