"""From what a request says of an item to an operation that can be carried out, now or in a job."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import msgspec

from encoders.errors import KindredError
from encoders.media.sandbox import DecodeSandbox
from encoders.media.sniff import sniff
from indexer.blob_store import BlobStore
from indexer.catalog.catalog import Catalog
from indexer.config import CollectionConfig
from indexer.item_operations import JobOperation, Operation, PutBlob, PutUrl, PutVectors
from indexer.item_writer import ItemWriter
from indexer.runners.local import ModelOpener
from search_api.encoder_service import EncoderService
from search_api.linked_files import LinkedFiles
from search_api.write_schemas import ItemContent, PutFileOptions

MAX_SYNC_TEXT_BYTES = 100_000
"""Longer texts, of some hundred passages, become jobs."""


Serving: TypeAlias = Callable[[], tuple[CollectionConfig, EncoderService]]
"""Gives the collection that serves now, and its models; they change when a live snapshot does."""


class ItemIntake:
    """Checks what is to be stored and keeps its original. Safe to use from several threads.

    Args:
        serving: gives the collection and the models that serve now.
        catalog: where items go.
        blobs: where originals go.
        max_sync_media_seconds: longer sounds and videos take long.
        links: fetches what is given as a URL.
    """

    def __init__(
        self,
        serving: Serving,
        catalog: Catalog,
        blobs: BlobStore,
        max_sync_media_seconds: float,
        links: LinkedFiles,
    ) -> None:
        self.blobs = blobs
        self._links = links
        self._serving = serving
        self._catalog = catalog
        self._max_sync_media_seconds = max_sync_media_seconds
        self._opening = threading.Lock()
        self._sandbox: DecodeSandbox | None = None
        self._writer: ItemWriter | None = None
        self._encoder: EncoderService | None = None

    def writer(self) -> ItemWriter:
        """Return what prepares writes; its decoder begins with the first of them."""
        config, encoder = self._serving()
        with self._opening:
            if self._writer is None or self._encoder is not encoder:
                self._catalog.register_collection(config)
                recognizer_ids = encoder.recognizer_ids()
                self._sandbox = self._sandbox or DecodeSandbox()
                self._writer = ItemWriter(
                    self._catalog,
                    config,
                    encoder.plan.identities,
                    recognizer_ids,
                    self.blobs,
                    self._sandbox,
                )
                self._encoder = encoder
            return self._writer

    def tools(self, timeout_seconds: float) -> tuple[ItemWriter, ModelOpener]:
        """Return what prepares writes and the models it needs, which belong together.

        Called where the event loop runs, after `writer` was called elsewhere.
        """
        _, encoder = self._serving()
        return self.writer(), encoder.item_models(timeout_seconds)

    def content(self, item_id: str, content: ItemContent) -> JobOperation:
        """Return the operation that stores ``content``.

        Its original is on the disk then, unless it is a URL: that is left to a job.

        Raises:
            UrlNotTaken, UrlRefused: see `LinkedFiles.check`.
            KindredError: it could never be stored; see `ItemWriter.check`.
        """
        writer = self.writer()
        if content.url is not None:
            self._links.check(content.url)
            linked = PutUrl(item_id=item_id, url=content.url, attributes=content.attributes)
            writer.check_attributes(linked)
            return linked
        if content.channels is not None:
            assert content.medium is not None, "the schema asks for both"
            vectors = PutVectors(
                item_id=item_id,
                medium=content.medium,
                channels=content.channels,
                attributes=content.attributes,
            )
            writer.check(vectors)
            return vectors
        text = content.text or ""
        words = text.encode()
        described = PutBlob(
            item_id=item_id,
            sha256=hashlib.sha256(words).hexdigest(),
            size_bytes=len(words),
            mtime_ns=0,
            medium="text",
            format="plain",
            name=f"{item_id}.txt",
            attributes=content.attributes,
        )
        writer.check(described)
        return msgspec.structs.replace(described, mtime_ns=self.blobs.add_text(text).mtime_ns)

    def file(self, described: PutBlob, path: Path) -> PutBlob:
        """Take a received file into the blob store, unless it could never be stored.

        Raises:
            KindredError: see `ItemWriter.check`.
        """
        self.writer().check(described)
        return msgspec.structs.replace(described, mtime_ns=self.blobs.add(path).mtime_ns)

    def fetched(self, operation: PutUrl) -> PutBlob | KindredError:
        """Fetch the original of an item and return how to store it, or why that cannot be."""
        options = PutFileOptions(attributes=operation.attributes)
        try:
            with self._links.fetched(operation.url, self.blobs.incoming) as (path, name):
                return self.file(described_file(operation.item_id, path, name, options), path)
        except KindredError as error:
            return error

    def takes_long(self, operation: Operation) -> bool:
        """Tell whether nobody should wait for an operation.

        Raises:
            MediaRejected: its file cannot be read.
        """
        if not isinstance(operation, PutBlob):
            return False
        if operation.medium == "text":
            return operation.size_bytes > MAX_SYNC_TEXT_BYTES
        return self.writer().media_seconds(operation) > self._max_sync_media_seconds

    def close(self) -> None:
        """End the decoder."""
        if self._sandbox is not None:
            self._sandbox.close()


def described_file(item_id: str, path: Path, name: str, options: PutFileOptions) -> PutBlob:
    """Say what a received file is.

    Raises:
        MediaRejected: nothing that Kindred takes.
    """
    sniffed = sniff(path)
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return PutBlob(
        item_id=item_id,
        sha256=sha256,
        size_bytes=path.stat().st_size,
        mtime_ns=0,
        medium=sniffed.medium,
        format=sniffed.format,
        name=name,
        attributes=options.attributes,
    )
