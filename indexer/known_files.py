"""What the catalog knew of files when a run began, and which of them moved.

An item's id goes with its content: a file that was renamed, moved to another folder, or exchanged
places with others keeps its id.
"""

from __future__ import annotations

import hashlib
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path

from encoders.media.item import item_id_for
from encoders.media.rejection import MediaRejected
from indexer.catalog.catalog import Catalog
from indexer.catalog.records import KnownItem
from indexer.catalog.takedown_records import Blocks
from indexer.walk import FoundFile, is_gone


@dataclass(slots=True)
class KnownFiles:
    """What the catalog held when the run began."""

    by_location: dict[str, KnownItem] = field(default_factory=dict)
    by_content: dict[str, list[KnownItem]] = field(default_factory=lambda: defaultdict(list))
    item_ids: set[str] = field(default_factory=set)
    """Ids in use, those given in this run included."""

    blocks: Blocks = field(default_factory=Blocks)
    """What was taken down and is not taken in."""

    taken: set[str] = field(default_factory=set)
    """Ids that a moved file has been given in this run."""

    sha256_of: dict[str, str] = field(default_factory=dict)
    """Contents that were hashed before planning, by location."""

    hash_seconds: float = 0.0
    """How long the contents of files were hashed."""

    _displaced: set[str] = field(default_factory=set)
    """Ids of items whose place now holds the content of another item."""

    _gone: dict[str, list[KnownItem]] = field(default_factory=dict)
    """For each content asked about, the items whose file is not where it was; looked up once."""

    @classmethod
    def load(cls, catalog: Catalog, collection: str) -> KnownFiles:
        """Read the items of a collection."""
        known = cls(blocks=catalog.takedowns.blocks(collection))
        for entry in catalog.known_items(collection):
            known.by_location[entry.item.location] = entry
            known.by_content[entry.item.content_sha256].append(entry)
            known.item_ids.add(entry.item.item_id)
        return known

    def look_for_exchanges(self, files: Iterable[FoundFile]) -> None:
        """Find out whether files took each other's places, so that ids go with the content.

        Swapping two names, or renumbering 1, 2, 3 to 2, 3, 4, leaves no place empty. Files whose
        place is known and whose bytes changed are hashed here, once; where one of them holds the
        content of another item, the item that was there before is displaced.
        """
        for found in files:
            known = self.by_location.get(found.location)
            if known is None or is_untouched(known, found.path):
                continue
            try:
                sha256 = self.hashed(found.path)
            except MediaRejected:
                continue  # planning says what is wrong with it
            self.sha256_of[found.location] = sha256
            if sha256 != known.item.content_sha256 and sha256 in self.by_content:
                self._displaced.add(known.item.item_id)

    def hashed(self, path: Path) -> str:
        """Return the sha256 of a file's content and note how long it took.

        Raises:
            MediaRejected: the file vanished or cannot be read.
        """
        started = time.perf_counter()
        try:
            return content_sha256(path)
        finally:
            self.hash_seconds += time.perf_counter() - started

    def at(self, location: str) -> KnownItem | None:
        """Return the item whose content lay at ``location`` and has not gone elsewhere."""
        known = self.by_location.get(location)
        return None if known is None or known.item.item_id in self._displaced else known

    def moved_from(self, found: FoundFile, content_sha256: str) -> KnownItem | None:
        """Return the item of this content that lay elsewhere and is not there any more."""
        if content_sha256 not in self._gone:
            twins = self.by_content.get(content_sha256, ())
            self._gone[content_sha256] = [
                entry
                for entry in twins
                if entry.item.item_id in self._displaced or is_gone(entry.item.location)
            ]
        gone = self._gone[content_sha256]
        if not gone:
            return None
        # Of several twins the one that lay most alike: a renamed folder keeps them apart.
        best = max(gone, key=lambda entry: _common_end(Path(entry.item.location), found.path))
        gone.remove(best)
        self.taken.add(best.item.item_id)
        return best

    def new_id(self, found: FoundFile) -> str:
        """Return an id for a file that is not known.

        A moved item takes its id along, so the one that belongs to this place may be in use.
        """
        item_id = item_id_for(found.source, found.relative_path)
        number = 1
        while item_id in self.item_ids:
            number += 1
            item_id = item_id_for(found.source, f"{found.relative_path}\0{number}")
        self.item_ids.add(item_id)
        return item_id

    def missing_under(self, sources: set[str], seen: set[str], attached: set[str]) -> list[str]:
        """Return the ids of items below ``sources`` whose file was neither seen nor is there.

        Files in ``attached`` are there, but no items any more.
        """
        return [
            entry.item.item_id
            for location, entry in self.by_location.items()
            if location not in seen
            and entry.item.item_id not in self.taken
            and any(Path(location).is_relative_to(source) for source in sources)
            and (location in attached or is_gone(location))
        ]


def is_untouched(known: KnownItem, path: Path) -> bool:
    """Tell whether a file has the size and time of change that it had when it was last read."""
    try:
        stat = path.stat()
    except OSError:
        return False
    return (known.item.size_bytes, known.item.mtime_ns) == (stat.st_size, stat.st_mtime_ns)


def _common_end(left: Path, right: Path) -> int:
    """Return how many of the last parts of two paths are equal."""
    pairs = zip(reversed(left.parts), reversed(right.parts), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def content_sha256(path: Path) -> str:
    """Return the sha256 of a file's bytes, in hex.

    Raises:
        MediaRejected: the file vanished or cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError as error:
        raise MediaRejected("vanished", "the file was there when the run began") from error
    except OSError as error:
        raise MediaRejected("unreadable", str(error)) from error
