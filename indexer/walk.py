"""Finding files: folders, single files and list files become one sorted stream."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from indexer.attributes import sidecar_of
from indexer.errors import SourceMissing


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

    @property
    def location(self) -> str:
        """The absolute path as text."""
        return os.fspath(self.path)


def find_files(paths: Sequence[Path]) -> Iterator[FoundFile]:
    """Yield every file below ``paths`` once, in a stable order.

    Hidden files and folders are passed over, and sidecars are attached to the file they describe
    instead of being found themselves. Links to folders are not followed: they can form circles.

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
    for root in roots:
        resolved = root.resolve()
        found = _walk(resolved, resolved) if resolved.is_dir() else _single(resolved)
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


def _single(path: Path) -> Iterator[FoundFile]:
    names = frozenset(entry.name for entry in os.scandir(path.parent))
    yield FoundFile(path, os.fspath(path.parent), path.name, sidecar_of(path, names))


def _walk(folder: Path, source: Path) -> Iterator[FoundFile]:
    with os.scandir(folder) as entries:
        listed = sorted(
            (entry for entry in entries if not entry.name.startswith(".")),
            key=lambda entry: entry.name,
        )
    folders = [entry.name for entry in listed if entry.is_dir(follow_symlinks=False)]
    linked = {entry.name for entry in listed if entry.is_symlink() and entry.is_dir()}
    names = [
        entry.name for entry in listed if entry.name not in folders and entry.name not in linked
    ]
    beside = frozenset(names)
    described = {
        sidecar.name: name
        for name in names
        if (sidecar := sidecar_of(folder / name, beside)) is not None
    }
    for name in names:
        if name in described:
            continue
        path = folder / name
        yield FoundFile(
            path, os.fspath(source), path.relative_to(source).as_posix(), sidecar_of(path, beside)
        )
    for name in folders:
        yield from _walk(folder / name, source)
