"""What one API worker holds: the collection it serves and everything that answers from it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeAlias

import structlog
from litestar.di import NamedDependency
from litestar.params import SkipValidation

from encoders.errors import KindredError
from encoders.loading import EncoderLoader
from encoders.query_plan import plan_queries
from encoders.serving.version_maker import VersionRequest
from indexer.catalog.catalog import Catalog
from indexer.config import CollectionConfig, load_collection
from indexer.live_view import LiveCollection, LiveView
from search_api.bounded_pool import BoundedPool
from search_api.errors import NotReady, UnknownCollection
from search_api.metrics import Metrics
from search_api.playable import Playables
from search_api.query_vectors import QueryEncoder, planned_channels
from search_api.questions import Questions
from search_api.remembered_texts import RememberedTexts
from search_api.remote_query_encoder import RemoteQueryEncoder
from search_api.searcher import Searcher
from search_api.settings import Settings
from search_api.thumbnails import Thumbnails

log = structlog.get_logger("kindred.api")


class EncoderService(QueryEncoder, Protocol):
    """A query encoder that a server can watch and ask for what pages show."""

    async def ping(self) -> None:
        """Return when it is able to answer; raise `KindredError` if it is not."""
        ...

    async def thumbnail(
        self, path: Path, max_side_px: int, *, at_seconds: float | None = None
    ) -> bytes:
        """Return a small WebP of a picture, or of the frame that a video shows at an instant."""
        ...

    async def version(self, request: VersionRequest) -> str:
        """Have a version made that browsers play; see `VersionMaker.version`."""
        ...

    async def aclose(self) -> None:
        """Let go of what is held."""
        ...


@dataclass(eq=False)
class SearchService:
    """The parts that routes work with."""

    settings: Settings
    config: CollectionConfig
    catalog: Catalog
    collection: LiveCollection
    encoder: EncoderService
    pool: BoundedPool
    metrics: Metrics
    view_problem: str | None = "nothing has been read yet"
    """Why there is no view, or why the newest state could not be read; ``None``: all is well."""

    searcher: Searcher = field(init=False)
    thumbnails: Thumbnails = field(init=False)
    playables: Playables = field(init=False)
    questions: Questions = field(init=False)
    _view: LiveView | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        texts = RememberedTexts(
            self.encoder,
            max_bytes=self.settings.remembered_text_bytes,
            on_question=self._count_question,
        )
        self.searcher = Searcher(self.config, self.view, texts, run=self.pool.run)
        self.thumbnails = Thumbnails(
            self.settings.data.thumbnails, self.encoder.thumbnail, self.pool
        )
        self.playables = Playables(self.settings.data.playable, self.encoder.version, self.pool)
        self.questions = Questions(
            self.settings.data.questions, self.settings.max_upload_bytes, self.pool
        )

    def _count_question(self, remembered: bool) -> None:
        self.metrics.text_questions.labels("yes" if remembered else "no").inc()

    def view(self) -> LiveView:
        """Return what can be found now.

        Raises:
            NotReady: nothing could be read so far.
        """
        if self._view is None:
            raise NotReady(f"collection {self.config.name} cannot be read yet: {self.view_problem}")
        return self._view

    def refresh(self) -> None:
        """Take up new writes and a new snapshot; on failure go on answering from what there is."""
        try:
            self.collection.refresh()
            self._view = self.collection.view()
        except Exception as error:
            # Whatever is wrong (a damaged snapshot, a full disk, a locked catalog), the next
            # attempt is due in a moment and what was read before still answers.
            problem = error.message if isinstance(error, KindredError) else type(error).__name__
            if problem != self.view_problem:
                log.error("cannot read the newest state", exc_info=error)
            self.view_problem = problem
            self.metrics.refresh_failures.inc()
            return
        self.view_problem = None
        name = self.config.name
        self.metrics.items.labels(name).set(int(self._view.live.sum()))
        self.metrics.delta_items.labels(name).set(self._view.num_delta_items)
        self.metrics.change_seq.labels(name).set(self._view.change_seq)

    async def keep_fresh(self) -> None:
        """Refresh until cancelled, in a thread of its own so that searches never delay it."""
        pool = BoundedPool(1, 0, "refresh")
        try:
            while True:
                await pool.run(self.refresh)
                await asyncio.sleep(self.settings.refresh_seconds)
        finally:
            pool.close()

    async def reasons_not_ready(self) -> Sequence[str]:
        """Return why searches cannot be answered now; empty when they can."""
        reasons = []
        if self._view is None:
            reasons.append(f"collection {self.config.name}: {self.view_problem}")
        try:
            await self.encoder.ping()
        except KindredError as error:
            reasons.append(error.message)
        return reasons

    async def aclose(self) -> None:
        """Close everything, after what runs now."""
        await self.encoder.aclose()
        await asyncio.to_thread(self.pool.close)
        self.catalog.close()

    def require_collection(self, name: str | None) -> None:
        """Refuse a collection that is not served here."""
        if name not in (None, self.config.name):
            raise UnknownCollection(
                f"no collection {name!r} is served here; there is: {self.config.name}",
                collections=[self.config.name],
            )


Service: TypeAlias = NamedDependency[SkipValidation[SearchService]]
"""The service of this worker, as a route's argument."""


MakeEncoder: TypeAlias = Callable[[Settings, CollectionConfig], EncoderService]


def open_service(settings: Settings, make_encoder: MakeEncoder, metrics: Metrics) -> SearchService:
    """Open the catalog and the live view that ``settings`` name."""
    config = load_collection(settings.collection)
    encoder = make_encoder(settings, config)
    catalog = Catalog.open(settings.data)
    return SearchService(
        settings=settings,
        config=config,
        catalog=catalog,
        collection=LiveCollection(catalog, settings.data, config, encoder.plan.identities),
        encoder=encoder,
        pool=BoundedPool(settings.search_threads, settings.max_waiting_searches, "search"),
        metrics=metrics,
    )


def remote_encoder(settings: Settings, config: CollectionConfig) -> RemoteQueryEncoder:
    """Return the client of the encoder process that the supervisor started."""
    if settings.encoder_socket is None:
        raise NotReady("no encoder process was started for this worker")
    loader = EncoderLoader(settings.models)
    return RemoteQueryEncoder(
        Path(settings.encoder_socket),
        plan_queries(planned_channels(config), loader.identify),
        text_seconds=settings.text_seconds,
        file_seconds=settings.file_seconds,
    )
