"""Looking at the headers of a corpus, and drawing a fair sample of it."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from encoders.media.content import Medium
from encoders.media.rejection import MediaRejected
from encoders.media.sandbox import DecodeSandbox
from encoders.media.sniff import sniff
from indexer.config import CollectionConfig
from indexer.outcomes import FailedFile
from indexer.walk import FoundFile

REQUESTS_AHEAD = 32
"""Headers asked for at once."""

FINGERPRINT_BYTES = 65_536
"""Read from either end of files of equal size, to tell copies."""

MIN_FILES_PER_MEDIUM = 60
"""Of a medium that is rare in a corpus so many are drawn, or all there are."""


@dataclass(frozen=True, slots=True)
class ProbedFile:
    """A file as its header describes it."""

    found: FoundFile
    medium: Medium
    size_bytes: int

    seconds: float
    """Length of sound and video; 0 of pictures and text."""

    @property
    def extent(self) -> tuple[float, int]:
        """What files of a medium are ordered by: length, then size."""
        return self.seconds, self.size_bytes


@dataclass(slots=True)
class Probe:
    """What the headers of a corpus say."""

    num_found: int = 0
    files: dict[Medium, list[ProbedFile]] = field(default_factory=lambda: defaultdict(list))
    """Files that have to be decoded and encoded."""

    num_copies: int = 0
    """Files of the same content as one of these: they take its vectors."""

    num_skipped: int = 0
    """Files that the collection has no channel for."""

    unreadable: list[FailedFile] = field(default_factory=list)


def probe(
    files: Iterable[FoundFile],
    config: CollectionConfig,
    sandbox: DecodeSandbox,
    on_progress: Callable[[int], None] = lambda num_probed: None,
) -> Probe:
    """Read the header of every file.

    Args:
        files: what a walk found.
        config: the collection they would go into.
        sandbox: measures sounds and videos.
        on_progress: called with the number of files looked at so far.
    """
    found = Probe()
    copies = _Copies()
    for file in _probed(files, sandbox):
        found.num_found += 1
        on_progress(found.num_found)
        if isinstance(file, FailedFile):
            found.unreadable.append(file)
            continue
        if not config.channels_for(file.medium):
            found.num_skipped += 1
            continue
        try:
            is_copy = copies.is_copy(file)
        except OSError as error:
            found.unreadable.append(_failed(file.found, error))
            continue
        if is_copy:
            found.num_copies += 1
        else:
            found.files[file.medium].append(file)
    return found


def draw(
    files: Mapping[Medium, Sequence[ProbedFile]], num_wanted: int, num_groups: int
) -> dict[Medium, list[list[ProbedFile]]]:
    """Draw a sample stratified by medium, and by length and size inside each.

    Files of a medium are put in order and taken at equal distances, so every length has its share;
    the groups are dealt out of the sample in turn, so each is a smaller sample of the same kind.

    Args:
        files: by medium.
        num_wanted: how many in all, more where a medium would get fewer than
            `MIN_FILES_PER_MEDIUM`.
        num_groups: into how many groups each medium's sample is dealt; empty ones are left out.

    Returns:
        Groups of files by medium.
    """
    num_files = sum(map(len, files.values()))
    drawn = {}
    for medium, candidates in files.items():
        share = -(-num_wanted * len(candidates) // max(1, num_files))
        num_drawn = min(len(candidates), max(share, MIN_FILES_PER_MEDIUM))
        ordered = sorted(candidates, key=lambda file: (file.extent, file.found.location))
        step = len(ordered) / max(1, num_drawn)
        sample = [ordered[int((number + 0.5) * step)] for number in range(num_drawn)]
        drawn[medium] = [group for n in range(num_groups) if (group := sample[n::num_groups])]
    return {medium: groups for medium, groups in drawn.items() if groups}


def _probed(
    files: Iterable[FoundFile], sandbox: DecodeSandbox
) -> Iterator[ProbedFile | FailedFile]:
    """Look at files in order, several headers ahead."""
    waiting: deque[tuple[FoundFile, Medium, Future[Any] | None]] = deque()
    for file in files:
        try:
            waiting.append((file, *_asked(file, sandbox)))
        except (MediaRejected, OSError) as error:
            yield _failed(file, error)
        while len(waiting) > REQUESTS_AHEAD:
            yield _measured(*waiting.popleft())
    while waiting:
        yield _measured(*waiting.popleft())


def _asked(file: FoundFile, sandbox: DecodeSandbox) -> tuple[Medium, Future[Any] | None]:
    if file.problem is not None:
        raise MediaRejected("unreadable", file.problem)
    medium = sniff(file.path).medium
    if medium == "audio":
        return medium, sandbox.sound_info(file.path)
    return medium, sandbox.video_info(file.path) if medium == "video" else None


def _measured(
    file: FoundFile, medium: Medium, header: Future[Any] | None
) -> ProbedFile | FailedFile:
    try:
        seconds = 0.0 if header is None else float(header.result().duration_seconds)
        return ProbedFile(file, medium, file.path.stat().st_size, seconds)
    except (MediaRejected, OSError) as error:
        return _failed(file, error)


def _failed(file: FoundFile, error: MediaRejected | OSError) -> FailedFile:
    reason = error.reason if isinstance(error, MediaRejected) else "unreadable"
    return FailedFile(file.listed_location, reason, str(error))


class _Copies:
    """Tells files of equal content; only files of equal size are read, and of them the ends."""

    def __init__(self) -> None:
        self._single: dict[int, str] = {}
        self._digests: dict[int, set[str]] = {}

    def is_copy(self, file: ProbedFile) -> bool:
        """Tell whether a file of the same content came before.

        Raises:
            OSError: one of them is gone or cannot be read.
        """
        size = file.size_bytes
        if size not in self._single:
            self._single[size] = file.found.location
            return False
        if size not in self._digests:
            self._digests[size] = {_ends(self._single[size], size)}
        digest = _ends(file.found.location, size)
        known = digest in self._digests[size]
        self._digests[size].add(digest)
        return known


def _ends(location: str, size_bytes: int) -> str:
    """Return a digest of the first and the last bytes of a file."""
    with open(location, "rb") as file:  # noqa: PTH123  (a location may hold any bytes)
        digest = hashlib.sha256(file.read(FINGERPRINT_BYTES))
        file.seek(max(0, size_bytes - FINGERPRINT_BYTES), os.SEEK_SET)
        digest.update(file.read(FINGERPRINT_BYTES))
    return digest.hexdigest()
