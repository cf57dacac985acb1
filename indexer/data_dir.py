"""Where state lives on disk: one folder holds everything a Kindred installation remembers."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

DATA_DIR_VARIABLE = "KINDRED_DATA_DIR"
DEFAULT_DATA_DIR = Path("kindred-data")
BLOBS_FOLDER = "blobs"


@dataclass(frozen=True, slots=True)
class DataDir:
    """The paths inside a data folder."""

    root: Path

    @classmethod
    def from_environment(cls) -> DataDir:
        """Return the folder named by ``KINDRED_DATA_DIR``, or ``./kindred-data``."""
        return cls(Path(os.environ.get(DATA_DIR_VARIABLE) or DEFAULT_DATA_DIR).absolute())

    @property
    def catalog_path(self) -> Path:
        """The SQLite catalog."""
        return self.root / "catalog.sqlite"

    @property
    def all_snapshots(self) -> Path:
        """The folder that holds one folder of snapshots for each collection."""
        return self.root / "snapshots"

    def snapshots(self, collection: str) -> Path:
        """The folder of a collection's snapshots and of the pointer to the live one."""
        return self.all_snapshots / collection

    @property
    def catalog_lock(self) -> Path:
        """The lock file held while the catalog is created or its schema is brought up to date."""
        return self.root / "catalog.lock"

    @property
    def locks(self) -> Path:
        """The folder of the lock files of collections."""
        return self.root / "locks"

    def writer_lock(self, collection: str) -> Path:
        """The lock file that one ingest or reindex of a collection holds."""
        return self.locks / f"{collection}.lock"

    def lease(self, collection: str) -> Path:
        """The file that says how many writers a collection has had and who is the newest."""
        return self.root / "locks" / f"{collection}.lease"

    def publish_lock(self, collection: str) -> Path:
        """The lock file held while another snapshot of a collection becomes the live one."""
        return self.locks / f"{collection}.publish.lock"

    def fold_lock(self, collection: str) -> Path:
        """The lock file of whoever folds the delta of a collection into a new snapshot."""
        return self.root / "locks" / f"{collection}.fold.lock"

    @property
    def blobs(self) -> Path:
        """Originals that were uploaded, by content; see `BlobStore`."""
        return self.root / BLOBS_FOLDER

    @property
    def keys(self) -> Path:
        """The API keys that a server accepts; of each only a hash."""
        return self.root / "keys.json"

    @property
    def thumbnails(self) -> Path:
        """Small pictures made once for display, by content; safe to delete."""
        return self.root / "thumbnails"

    @property
    def playable(self) -> Path:
        """Versions of media that browsers play, by content; safe to delete."""
        return self.root / "playable"

    @property
    def questions(self) -> Path:
        """Files that people searched with on the search page, kept a while; safe to delete."""
        return self.root / "questions"

    @property
    def content_caches(self) -> tuple[Path, ...]:
        """Folders in which a file's name begins with the sha256 of a content, two digits deep."""
        return self.thumbnails, self.playable, self.questions

    @property
    def run(self) -> Path:
        """Sockets and other files of running processes; safe to delete while nothing runs."""
        return self.root / "run"

    @property
    def passing(self) -> tuple[Path, ...]:
        """What is no state: caches, locks and sockets. A backup leaves it out."""
        return (
            self.catalog_lock,
            self.locks,
            self.thumbnails,
            self.playable,
            self.questions,
            self.run,
        )
