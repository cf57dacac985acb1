"""Files that people search with on the search page: kept a while, so that a permalink works."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from litestar.datastructures import UploadFile

from encoders.media.rejection import MediaRejected
from encoders.media.sniff import Sniffed, sniff
from search_api.blob_cache import BlobCache
from search_api.bounded_pool import BoundedPool
from search_api.errors import QuestionGone
from search_api.uploads import (
    HINT_SUFFIXES,
    copy_upload,
    hint_suffix,
    renamed_rejection,
    upload_path,
)

MAX_CACHE_BYTES = 2_000_000_000
KEPT_SECONDS = 24 * 3600.0
"""A file that nobody has searched with for a day is removed."""

INCOMING = "in"
"""Folder of files whose digest is not known yet."""

_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Question:
    """A file that somebody searches with."""

    sha256: str
    path: Path
    sniffed: Sniffed


class Questions:
    """The files of a data folder that people search with.

    Args:
        folder: where they are kept; safe to delete.
        max_file_bytes: largest file taken.
        pool: for reading and writing files.
    """

    def __init__(self, folder: Path, max_file_bytes: int, pool: BoundedPool) -> None:
        self._folder = folder
        self._max_file_bytes = max_file_bytes
        self._pool = pool
        self._cache = BlobCache(
            folder,
            max_bytes=max(MAX_CACHE_BYTES, 2 * max_file_bytes),
            max_age_seconds=KEPT_SECONDS,
        )

    async def keep(self, upload: UploadFile) -> Question:
        """Keep an uploaded file.

        Raises:
            MediaRejected: it is nothing that one can search with.
            UploadTooLarge: it is larger than what is taken.
        """
        return await self._pool.run(lambda: self._keep(upload))

    async def find(self, sha256: str) -> Question:
        """Return a kept file.

        Raises:
            QuestionGone: it is not kept any more, or never was.
        """
        return await self._pool.run(lambda: self._find(sha256))

    def _keep(self, upload: UploadFile) -> Question:
        incoming = upload_path(upload, self._folder / INCOMING)
        try:
            copy_upload(upload, incoming, max_bytes=self._max_file_bytes)
            sniffed = sniff(incoming)
            with incoming.open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            # A text keeps the part of its name that says which kind of text it is.
            path = self._cache.path(sha256 + hint_suffix(upload.filename))
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            incoming.replace(path)
        except MediaRejected as error:
            raise renamed_rejection(error, incoming, upload) from error
        finally:
            incoming.unlink(missing_ok=True)
        self._cache.added(path.stat().st_size)
        return Question(sha256, path, sniffed)

    def _find(self, sha256: str) -> Question:
        if _SHA256.fullmatch(sha256):
            for suffix in ("", *sorted(HINT_SUFFIXES)):
                path = self._cache.find(sha256 + suffix)
                if path is not None:
                    return Question(sha256, path, sniff(path))
        raise QuestionGone(
            "The file of this search is not kept any more. Choose it again to repeat the search."
        )
