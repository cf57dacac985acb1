"""Files that are given as URLs: fetched if the server's settings allow it, and within them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from encoders.media.rejection import MediaRejected
from search_api.errors import UrlNotTaken
from search_api.settings import Settings
from search_api.uploads import hint_suffix, named_as_sent
from search_api.url_fetch import FetchLimits, fetch
from search_api.web_address import WebAddress, read_url

log = structlog.get_logger("kindred.fetch")


def fetch_limits(settings: Settings) -> FetchLimits | None:
    """Return what a server may fetch; ``None``: nothing."""
    if not settings.fetch_urls:
        return None
    return FetchLimits(
        max_bytes=settings.max_upload_bytes,
        max_seconds=settings.fetch_seconds,
        ports=frozenset(int(port) for port in settings.fetch_ports.split(",")),
    )


class LinkedFiles:
    """Fetches files for one server. Safe to use from several threads.

    Args:
        limits: see `fetch_limits`.
    """

    def __init__(self, limits: FetchLimits | None) -> None:
        self._limits = limits

    def check(self, url: str) -> WebAddress:
        """Refuse a URL that could never be fetched; nothing is asked of anybody.

        Raises:
            UrlNotTaken: this server fetches nothing.
            UrlRefused: it is not one that is fetched.
        """
        return read_url(url, self._allowed().ports)

    @contextmanager
    def fetched(self, url: str, folder: Path) -> Iterator[tuple[Path, str]]:
        """Fetch a file and keep it for as long as the context lasts; blocks.

        Args:
            url: as somebody sent it.
            folder: where the file is kept; made if missing.

        Yields:
            The file, and what to call it: where it lay, without what may be a key.

        Raises:
            UrlNotTaken, UrlRefused, UploadTooLarge, FetchFailed: see `check` and `url_fetch.fetch`.
        """
        limits = self._allowed()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = folder / f"url-{uuid.uuid4().hex}"
        try:
            done = fetch(url, path, limits)
            log.info("fetched", url=done.address.shown, bytes=done.size_bytes)
            # Some formats of text are told apart by their names alone.
            path = path.rename(path.with_suffix(hint_suffix(done.address.file_name)))
            yield path, done.address.shown
        except MediaRejected as error:
            raise named_as_sent(error, path, done.address.shown) from error
        finally:
            path.unlink(missing_ok=True)

    def _allowed(self) -> FetchLimits:
        if self._limits is None:
            raise UrlNotTaken("this server fetches nothing from URLs; send the file itself")
        return self._limits
