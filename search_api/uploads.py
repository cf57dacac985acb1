"""Uploaded files: kept under a name of our own while one request works with them."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path, PurePosixPath

import structlog
from litestar.datastructures import UploadFile

from encoders.media.rejection import MediaRejected
from indexer.durable_files import naming
from search_api.bounded_pool import BoundedPool
from search_api.errors import UploadTooLarge

log = structlog.get_logger("kindred.api")

HINT_SUFFIXES = frozenset({".txt", ".md", ".markdown", ".html", ".htm", ".json", ".jsonl"})
"""Suffixes kept from the sender's file name: text formats that look alike from the inside. All
other names are ignored, content decides.
"""


def hint_suffix(filename: str) -> str:
    """Return the suffix of ``filename`` if it says which text format this is, else nothing."""
    suffix = PurePosixPath(filename.replace("\\", "/")).suffix.lower()
    return suffix if suffix in HINT_SUFFIXES else ""


@asynccontextmanager
async def spooled(
    upload: UploadFile, folder: Path, *, max_bytes: int, pool: BoundedPool
) -> AsyncIterator[Path]:
    """Give the upload a path for as long as the context lasts.

    Args:
        upload: as the HTTP layer received it.
        folder: where the file is written; made if missing.
        max_bytes: most bytes taken.
        pool: for copying.

    Raises:
        UploadTooLarge: it is larger than ``max_bytes``.
    """
    path = upload_path(upload, folder)
    try:
        await pool.run(lambda: copy_upload(upload, path, max_bytes=max_bytes))
        yield path
    except MediaRejected as error:
        raise renamed_rejection(error, path, upload) from error
    finally:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:  # what came of the upload stands; the folder is swept later
            log.warning("cannot remove what was received", error=str(error))


def renamed_rejection(error: MediaRejected, path: Path, upload: UploadFile) -> MediaRejected:
    """Return a rejection of ``path`` that calls the file what its sender does."""
    shown = PurePosixPath(upload.filename.replace("\\", "/")).name or "the upload"
    return named_as_sent(error, path, shown)


def named_as_sent(error: MediaRejected, path: Path, shown: str) -> MediaRejected:
    """Return a rejection of ``path`` that calls the file ``shown``."""
    message = error.message.replace(str(path), shown).replace(path.name, shown)
    return MediaRejected(error.reason, message, **error.detail)


def upload_path(upload: UploadFile, folder: Path) -> Path:
    """Return a path in ``folder`` that nothing else has."""
    return folder / f"upload-{uuid.uuid4().hex}{hint_suffix(upload.filename)}"


def copy_upload(upload: UploadFile, path: Path, *, max_bytes: int) -> None:
    """Write an upload to ``path``, whose folder is made if missing.

    Raises:
        UploadTooLarge: it is larger than ``max_bytes``.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    source = upload.file
    size_bytes = source.seek(0, 2)
    source.seek(0)
    if size_bytes > max_bytes:
        raise UploadTooLarge(
            f"the file has {size_bytes} bytes; at most {max_bytes} are taken",
            size_bytes=size_bytes,
            max_bytes=max_bytes,
        )
    with naming(path), path.open("xb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
