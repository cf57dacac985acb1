"""The client whose methods are awaited."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

import httpx
import numpy as np
from numpy.typing import NDArray

from encoders.media.content import Medium
from encoders.space import Vectors
from indexer.item_operations import GivenVectors
from search_api.client import calls
from search_api.client.calls import Call, File
from search_api.client.errors import ApiError, JobFailed, problem_of
from search_api.client.options import PAGE_SIZE
from search_api.client.options import search_options as _options
from search_api.client.retrying import PATIENT, Retries
from search_api.client.transport import (
    DEFAULT_TIMEOUT_SECONDS,
    client_options,
    decoded,
    embedded,
    sendable,
    unreachable,
    wait_before_next,
)
from search_api.embedding_schemas import EmbeddingsRequest
from search_api.schemas import (
    DEFAULT_LIMIT,
    BatchedSearch,
    CollectionOut,
    FailureOut,
    ItemOut,
    RollbackOut,
    RollbackRequest,
    SearchRequest,
    SearchResponse,
    SnapshotOut,
    TranscriptOut,
    VectorSearchResponse,
)
from search_api.takedown_schemas import ReceiptOut, TakedownRequest
from search_api.write_schemas import (
    BatchAnswer,
    BatchOperation,
    DocumentedBatch,
    ItemWritten,
    JobAccepted,
    JobOut,
    PutFileOptions,
    PutItem,
)

T = TypeVar("T")


class AsyncKindredClient:
    """Talks to a Kindred server from an event loop.

    Use it in an ``async with`` block, or `close` it.

    Args:
        url: of the server; else the variable ``KINDRED_URL``, else this machine's port 8080.
        api_key: from ``kindred keys create``; else the variable ``KINDRED_API_KEY``, else none.
        timeout_seconds: how long to wait for a connection, and between two parts of an answer.
        retries: how often and when requests are sent again that the server was too busy for, or
            that were lost. Writes carry a key, so that none is carried out twice; takedowns and
            rollbacks are sent again only if the server has not seen them.
        transport: carries the requests; httpx's own by default.

    Every method raises `ApiError` for what the server refuses and `Unreachable` where no whole
    answer came.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        api_key: str | None = None,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
        retries: Retries = PATIENT,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        options = client_options(url, api_key, timeout_seconds)
        self._http = httpx.AsyncClient(**options, transport=transport)
        self._retries = retries

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def search(
        self,
        text: str | None = None,
        *,
        item_id: str | None = None,
        modalities: Sequence[str] | str | None = None,
        channels: Sequence[str] | str | None = None,
        filter: Mapping[str, Any] | None = None,
        limit: int = DEFAULT_LIMIT,
        collection: str | None = None,
    ) -> SearchResponse:
        """Return the items nearest to a text, or to a stored item, best first.

        Args:
            text: what is looked for, in words.
            item_id: an item to find similar ones of; either this or ``text``.
            modalities: only items of these media: image, audio, video, text.
            channels: ask these channels only.
            filter: in the filter language.
            limit: how many items, at most 200.
            collection: the configured one where it is left out.
        """
        options = _options(modalities, channels, filter, limit, collection)
        return await self.send(calls.search(text, item_id, options))

    async def search_file(
        self,
        file: File,
        *,
        name: str | None = None,
        modalities: Sequence[str] | str | None = None,
        channels: Sequence[str] | str | None = None,
        filter: Mapping[str, Any] | None = None,
        limit: int = DEFAULT_LIMIT,
        collection: str | None = None,
    ) -> SearchResponse:
        """Return the items nearest to a picture, sound, video or text file, best first."""
        options = _options(modalities, channels, filter, limit, collection)
        return await self.send(calls.search_file(file, name, options))

    async def search_batch(self, searches: Sequence[SearchRequest]) -> list[BatchedSearch]:
        """Return what each of up to 64 searches answered, or why it could not be."""
        return (await self.send(calls.search_batch(searches))).results

    async def search_vectors(
        self,
        vectors: NDArray[np.float32],
        channel: str,
        *,
        filter: Mapping[str, Any] | None = None,
        limit: int = DEFAULT_LIMIT,
        collection: str | None = None,
    ) -> VectorSearchResponse:
        """Return ids and scores of the items nearest to each of many vectors.

        Args:
            vectors: ``(up to 4096, dim)`` in the space of ``channel``, of any length but zero.
            channel: which is asked.
            filter: in the filter language.
            limit: how many items for each, at most 200.
            collection: the configured one where it is left out.
        """
        call = calls.search_vectors(vectors, channel, limit, filter, collection)
        return await self.send(call)

    async def embed(
        self,
        texts: Sequence[str],
        channel: str,
        *,
        input_type: Literal["query", "passage"] = "query",
        collection: str | None = None,
    ) -> Vectors:
        """Return texts as vectors of a channel's space: ``(len(texts), dim)`` float32 unit rows.

        Args:
            texts: at most 256.
            channel: one that words can ask.
            input_type: ``passage`` for vectors that are to be stored in a channel of texts.
            collection: the configured one where it is left out.
        """
        request = EmbeddingsRequest(
            model=channel,
            input=list(texts),
            input_type=input_type,
            encoding_format="base64",
            collection=collection,
        )
        return embedded(await self.send(calls.embed(request)))

    async def item(self, item_id: str, *, collection: str | None = None) -> ItemOut:
        """Return what is stored about an item."""
        return await self.send(calls.item(item_id, collection))

    async def items(
        self,
        *,
        medium: Medium | None = None,
        page_size: int = PAGE_SIZE,
        collection: str | None = None,
    ) -> AsyncIterator[ItemOut]:
        """Yield every item in order of the ids, read page by page.

        Args:
            medium: only items of this one.
            page_size: how many are asked for at once, at most 200.
            collection: the configured one where it is left out.
        """
        after = None
        while True:
            page = await self.send(calls.item_page(after, page_size, medium, collection))
            for item in page.items:
                yield item
            after = page.next_after
            if after is None:
                return

    async def transcript(self, item_id: str, *, collection: str | None = None) -> TranscriptOut:
        """Return what is said in an item."""
        return await self.send(calls.transcript(item_id, collection))

    async def put_text(
        self,
        item_id: str,
        text: str,
        *,
        attributes: Mapping[str, Any] | None = None,
        respond_async: bool = False,
        collection: str | None = None,
    ) -> ItemWritten | JobAccepted:
        """Store a text as the item of this id, in the place of whatever it was.

        Args:
            item_id: letters, digits and ``._:-``.
            text: cut and encoded as a text file is.
            attributes: those of the collection's schema must have its types.
            respond_async: make it a job and do not wait for it.
            collection: the configured one where it is left out.
        """
        content = PutItem(text=text, attributes=dict(attributes or {}), collection=collection)
        return await self.send(calls.put(item_id, content, respond_async=respond_async))

    async def put_vectors(
        self,
        item_id: str,
        medium: Medium,
        channels: Mapping[str, GivenVectors],
        *,
        attributes: Mapping[str, Any] | None = None,
        respond_async: bool = False,
        collection: str | None = None,
    ) -> ItemWritten | JobAccepted:
        """Store vectors that were made elsewhere, by channel; each names its space."""
        content = PutItem(
            medium=medium,
            channels=dict(channels),
            attributes=dict(attributes or {}),
            collection=collection,
        )
        return await self.send(calls.put(item_id, content, respond_async=respond_async))

    async def put_file(
        self,
        item_id: str,
        file: File,
        *,
        name: str | None = None,
        attributes: Mapping[str, Any] | None = None,
        respond_async: bool = False,
        collection: str | None = None,
    ) -> ItemWritten | JobAccepted:
        """Store a file as the item of this id; it is sent as it is read, never held whole.

        A long sound or video becomes a job, which `wait_for` waits for.
        """
        options = PutFileOptions(attributes=dict(attributes or {}), collection=collection)
        call = calls.put_file(item_id, file, name, options, respond_async=respond_async)
        return await self.send(call)

    async def delete(self, item_id: str, *, collection: str | None = None) -> None:
        """Remove an item from search; a later write or ingest brings it back."""
        await self.send(calls.delete(item_id, collection))

    async def batch(
        self,
        operations: Sequence[BatchOperation],
        *,
        respond_async: bool = False,
        collection: str | None = None,
    ) -> BatchAnswer | JobAccepted:
        """Carry out up to 1000 operations in order; one that cannot be fails alone."""
        request = DocumentedBatch(operations=list(operations), collection=collection)
        return await self.send(calls.batch(request, respond_async=respond_async))

    async def job(self, job_id: str, *, collection: str | None = None) -> JobOut:
        """Return how far a job is."""
        return await self.send(calls.job(job_id, collection))

    async def wait_for(
        self,
        job_id: str,
        *,
        timeout_seconds: float = 3600.0,
        poll_seconds: float = 1.0,
        collection: str | None = None,
    ) -> JobOut:
        """Return a job once it is over.

        Raises:
            JobFailed: none of its operations succeeded.
            TimeoutError: it is not over yet; it goes on all the same.
        """
        ends = time.monotonic() + timeout_seconds
        while True:
            job = await self.job(job_id, collection=collection)
            if job.state == "failed":
                raise JobFailed(job)
            if job.state == "done":
                return job
            if time.monotonic() >= ends:
                raise TimeoutError(f"{job_id} is {job.state} after {timeout_seconds:g} s")
            await asyncio.sleep(poll_seconds)

    async def take_down(
        self,
        item_ids: Sequence[str],
        *,
        same_content: bool = False,
        purge: bool = False,
        reason: str | None = None,
        requested_by: str = "HTTP API",
        collection: str | None = None,
    ) -> ReceiptOut:
        """Hide items everywhere at once, refuse them from now on, and return the receipt.

        Args:
            item_ids: at most 1000; unknown ones are blocked too.
            same_content: items with equal bytes as well.
            purge: erase before answering what else goes with older snapshots.
            reason: for the receipt.
            requested_by: for the receipt.
            collection: the configured one where it is left out.
        """
        request = TakedownRequest(
            item_ids=list(item_ids),
            same_content=same_content,
            purge=purge,
            reason=reason,
            requested_by=requested_by,
            collection=collection,
        )
        return await self.send(calls.take_down(request))

    async def receipt(self, takedown_id: str, *, collection: str | None = None) -> ReceiptOut:
        """Return a takedown as it stands now."""
        return await self.send(calls.receipt(takedown_id, collection))

    async def roll_back(
        self, snapshot: str | None = None, *, collection: str | None = None
    ) -> RollbackOut:
        """Serve the snapshot before the live one, or the one named."""
        request = RollbackRequest(snapshot=snapshot, collection=collection)
        return await self.send(calls.roll_back(request))

    async def collections(self) -> list[CollectionOut]:
        """Return the collections that are served and what they hold."""
        return (await self.send(calls.collections())).collections

    async def snapshots(self, *, collection: str | None = None) -> list[SnapshotOut]:
        """Return the snapshots that can be served, newest first."""
        return (await self.send(calls.snapshots(collection))).snapshots

    async def failures(self, *, collection: str | None = None) -> list[FailureOut]:
        """Return every file that could not be taken in, and why."""
        return (await self.send(calls.failures(collection))).failures

    async def check_ready(self) -> None:
        """Return if searches can be answered now.

        Raises:
            ApiError: they cannot; its problem says why.
            Unreachable: nothing answers at all.
        """
        await self.send(calls.ready())

    async def download(self, item_id: str, path: Path, *, collection: str | None = None) -> None:
        """Write the file of an item to ``path``, as it comes; the path holds all of it or nothing.

        It is not asked for again by itself.

        Args:
            item_id: the item.
            path: of a file in a folder that exists; what was there is replaced.
            collection: the configured one where it is left out.
        """
        call = calls.media(item_id, collection)
        part = path.with_name(f".{path.name}.part")
        try:
            async with self._http.stream(call.method, call.path, params=call.params) as response:
                if response.status_code not in call.answers:
                    await response.aread()
                    raise ApiError(problem_of(response))
                with part.open("wb") as file:
                    async for some in response.aiter_bytes():
                        file.write(some)
            part.replace(path)
        except httpx.TransportError as error:
            raise unreachable(call, self._http.base_url, error) from error
        finally:
            part.unlink(missing_ok=True)

    async def send(self, call: Call[T]) -> T:
        """Send a request, again where that may help, and return what it is answered."""
        attempt = 1
        while True:
            outcome = await self._attempt(call)
            wait = None
            if isinstance(outcome, httpx.TransportError) or outcome.is_error:
                wait = wait_before_next(self._retries, call, attempt, outcome)
            if wait is None:
                break
            await asyncio.sleep(wait)
            attempt += 1
        if isinstance(outcome, httpx.TransportError):
            raise unreachable(call, self._http.base_url, outcome) from outcome
        return decoded(call, outcome)

    async def _attempt(self, call: Call[Any]) -> httpx.Response | httpx.TransportError:
        with sendable(call) as told:
            try:
                return await self._http.request(**told)
            except httpx.TransportError as error:
                return error
