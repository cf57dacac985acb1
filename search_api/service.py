"""What one API worker holds: the collection it serves and everything that answers from it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import structlog
from litestar.di import NamedDependency
from litestar.params import SkipValidation

from encoders.encoder import EncoderIdentity
from encoders.errors import KindredError, SpaceMismatch
from encoders.identification import spoken_language
from encoders.loading import EncoderLoader
from encoders.query_plan import plan_queries
from encoders.serving.errors import EncoderUnavailable
from indexer.ann.opening import IndexDevice
from indexer.catalog.catalog import Catalog
from indexer.catalog.records import ItemRecord
from indexer.config import CollectionConfig, load_collection
from indexer.live_view import LiveCollection, LiveView
from indexer.manifest import SnapshotCorrupt, SnapshotUnreadable, read_manifest
from indexer.pipeline import recognizer_ids
from indexer.publish import PointerStamp, live_snapshot_path, pointer_stamp
from indexer.served_collection import (
    IdentitiesOf,
    is_made_by,
    own_collection,
    served_collection,
)
from search_api.bounded_pool import BoundedPool
from search_api.encoder_service import EncoderService
from search_api.encoder_sockets import encoder_key, encoder_socket
from search_api.errors import NotReady, UnknownCollection
from search_api.folding import Folding
from search_api.live_recall import LiveRecall
from search_api.metrics import Metrics
from search_api.model_guard import ModelGuard
from search_api.playable import Playables
from search_api.query_vectors import planned_channels
from search_api.questions import Questions
from search_api.remembered_texts import RememberedTexts
from search_api.remote_models import ItemFacts
from search_api.remote_query_encoder import RemoteQueryEncoder
from search_api.searcher import Searcher
from search_api.settings import Settings
from search_api.thumbnails import Thumbnails
from search_api.writes import Writes

log = structlog.get_logger("kindred.api")


@dataclass(eq=False)
class SearchService:
    """The parts that routes work with."""

    settings: Settings
    config: CollectionConfig
    catalog: Catalog
    collection: LiveCollection
    encoder: EncoderService
    make_encoder: MakeEncoder
    pool: BoundedPool
    metrics: Metrics
    view_problem: str | None = "nothing has been read yet"
    """Why there is no view, or why the newest state could not be read; ``None``: all is well."""

    live_recall: LiveRecall = field(init=False)
    searcher: Searcher = field(init=False)
    thumbnails: Thumbnails = field(init=False)
    playables: Playables = field(init=False)
    questions: Questions = field(init=False)
    writes: Writes = field(init=False)
    folding: Folding = field(init=False)
    _view: LiveView | None = field(default=None, init=False)
    _refreshing: threading.Lock = field(default_factory=threading.Lock, init=False)
    _pointer: PointerStamp | None = field(default=None, init=False)
    _successor: CollectionConfig | None = field(default=None, init=False)
    _switch_problem: str | None = field(default=None, init=False)
    _retiring: set[asyncio.Task[None]] = field(default_factory=set, init=False)

    def __post_init__(self) -> None:
        self.live_recall = LiveRecall(self.settings.recall_sample_every, self.metrics)
        self.searcher = self._new_searcher()
        # Whatever encoder process there is then decodes for them.
        self.thumbnails = Thumbnails(
            self.settings.data.thumbnails,
            lambda *content, **how: self.encoder.thumbnail(*content, **how),
            self.pool,
            self.is_stored,
        )
        self.playables = Playables(
            self.settings.data.playable,
            lambda request: self.encoder.version(request),
            self.pool,
            self.is_stored,
        )
        self.questions = Questions(
            self.settings.data.questions, self.settings.max_upload_bytes, self.pool
        )
        self.folding = Folding(self.settings, self.config.name, lambda: self._view, self.refresh)
        self.writes = Writes(
            self.settings,
            self.config.name,
            self.catalog,
            # Those of now: a live snapshot that other encoders made brings them along.
            lambda: (self.config, self.encoder),
            self.refresh,
            ModelGuard(self.settings.data, self.config.name, self.identities_of),
        )

    def _new_searcher(self) -> Searcher:
        """Return what answers with the present encoder from the views of the present collection.

        Both belong to it for good: a question that was asked before a switch is answered as if
        there had been none.
        """
        texts = RememberedTexts(
            self.encoder,
            max_bytes=self.settings.remembered_text_bytes,
            on_question=self._count_question,
        )
        collection = self.collection
        return Searcher(
            self.config,
            lambda: self.view() if collection is self.collection else collection.view(),
            texts,
            run=self.pool.run,
            on_answer=self.live_recall.offer,
        )

    def identities_of(self, config: CollectionConfig) -> Mapping[str, EncoderIdentity]:
        """Return the encoders of a collection without loading any."""
        return self.make_encoder(self.settings, config).plan.identities

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

    def is_stored(self, item: ItemRecord) -> bool:
        """Tell whether the catalog still has ``item``, with this content."""
        stored = self.catalog.item(self.config.name, item.item_id)
        return stored is not None and stored.content_sha256 == item.content_sha256

    def refresh(self) -> None:
        """Take up new writes and a new snapshot; on failure go on answering from what there is.

        Whatever was committed before the call can be found after it.
        """
        collection = self.collection
        try:
            collection.refresh()
        except Exception as error:
            # What was written is in the view all the same, unless there is none yet.
            self._note_problem(error)
        else:
            self.view_problem = None
        self._show(collection)

    def _note_problem(self, error: Exception) -> None:
        if isinstance(error, SpaceMismatch) and self._successor is not None:
            return  # the encoders of the live snapshot are being loaded
        # Whatever is wrong (a damaged snapshot, a full disk, a locked catalog), the next attempt is
        # due in a moment and what was read before still answers.
        problem = error.message if isinstance(error, KindredError) else type(error).__name__
        if problem != self.view_problem:
            log.error("cannot read the newest state", exc_info=error)
        self.view_problem = problem
        self.metrics.refresh_failures.inc()

    def _show(self, collection: LiveCollection) -> None:
        """Answer from what a collection has read last."""
        # One at a time: the view of an earlier call must not take the place of a later one's.
        with self._refreshing:
            view = collection.latest
            if view is None or collection is not self.collection:  # switched meanwhile
                return
            self._view = view
        name = self.config.name
        self.metrics.items.labels(name).set(int(view.live.sum()))
        self.metrics.delta_items.labels(name).set(view.num_delta_items)
        self.metrics.change_seq.labels(name).set(view.change_seq)

    async def keep_fresh(self) -> None:
        """Refresh until cancelled, in a thread of its own so that searches never delay it."""
        pool = BoundedPool(1, 0, "refresh")
        try:
            while True:
                await self._follow_encoders(pool)
                await pool.run(self.refresh)
                await asyncio.sleep(self.settings.refresh_seconds)
        finally:
            pool.close()

    async def _follow_encoders(self, pool: BoundedPool) -> None:
        """Answer with the encoders that made the live snapshot, as soon as they are there.

        Until then the view of before goes on answering, with the encoders of before.
        """
        try:
            config = await pool.run(self._find_successor)
            if config is None:
                self._switch_problem = None
                return
            encoder = self.make_encoder(self.settings, config)
            try:
                await encoder.ping()
                collection = _live_collection(self.settings, self.catalog, config, encoder)
                view = await pool.run(collection.view)
            except BaseException:
                await encoder.aclose()
                raise
        except EncoderUnavailable:
            return  # being loaded
        except Exception as error:
            if str(error) != self._switch_problem:
                log.error("cannot switch to the encoders of the live snapshot", exc_info=error)
            self._switch_problem = str(error)
            return
        retired = asyncio.create_task(self._retire(self.encoder))
        self._retiring.add(retired)
        retired.add_done_callback(self._retiring.discard)
        with self._refreshing:  # nobody may be about to show a view of before
            self.config, self.encoder, self.collection = config, encoder, collection
            self._view, self._successor, self._switch_problem = view, None, None
            self.searcher = self._new_searcher()
        log.info("switched encoders", snapshot=view.snapshot_id)

    def _find_successor(self) -> CollectionConfig | None:
        """Return the collection of the live snapshot if other encoders made it than are asked."""
        data, name = self.settings.data, self.config.name
        stamp = pointer_stamp(data, name)
        if stamp != self._pointer:
            self._pointer, self._successor = stamp, None
            path = live_snapshot_path(data, name)
            if path is not None and not is_made_by(
                read_manifest(path), self.encoder.plan.identities
            ):
                self._successor = own_collection(path, self.identities_of)
        return self._successor

    async def _retire(self, encoder: EncoderService) -> None:
        """Let go of an encoder once nothing that was asked of it can be under way."""
        await asyncio.sleep(self.settings.file_seconds)
        await encoder.aclose()

    async def reasons_not_ready(self) -> Sequence[str]:
        """Return why searches cannot be answered now; empty when they can."""
        reasons = []
        view = self._view
        if view is None:
            reasons.append(f"collection {self.config.name}: {self.view_problem}")
        else:
            try:
                # Not in the searches' pool, which may be waiting for that very server.
                await asyncio.to_thread(view.check)
            except KindredError as error:
                reasons.append(error.message)
        try:
            await self.encoder.ping()
        except KindredError as error:
            reasons.append(error.message)
        return reasons

    def problems(self) -> list[str]:
        """Return why searches are answered from an older state than the newest; mostly empty."""
        if self._view is None:
            return []
        problems = [problem for problem in (self.view_problem, self._switch_problem) if problem]
        # Everybody may ask whether the server is ready, and need not know where its files lie.
        return [problem.replace(f"{self.settings.data.root}/", "") for problem in problems]

    async def aclose(self) -> None:
        """Close everything, after what runs now."""
        for retiring in self._retiring:
            retiring.cancel()
        await self.encoder.aclose()
        await self.writes.aclose()
        await asyncio.to_thread(self.pool.close)
        await asyncio.to_thread(self.live_recall.close)
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


def served_config(settings: Settings, identities_of: IdentitiesOf) -> CollectionConfig:
    """Return the collection to begin with: the configured one, or the live snapshot's own.

    Raises:
        ConfigError: the configured one is wrong.
    """
    config = load_collection(settings.collection)
    try:
        path = live_snapshot_path(settings.data, config.name)
        return served_collection(path, config, identities_of)
    except (SnapshotCorrupt, SnapshotUnreadable):
        return config  # whoever opens the snapshot says what is wrong with it


def open_service(settings: Settings, make_encoder: MakeEncoder, metrics: Metrics) -> SearchService:
    """Open the catalog and the live view that ``settings`` name."""
    config = served_config(settings, lambda one: make_encoder(settings, one).plan.identities)
    encoder = make_encoder(settings, config)
    catalog = Catalog.open(settings.data)
    return SearchService(
        settings=settings,
        config=config,
        catalog=catalog,
        collection=_live_collection(settings, catalog, config, encoder),
        encoder=encoder,
        make_encoder=make_encoder,
        pool=BoundedPool(settings.search_threads, settings.max_waiting_searches, "search"),
        metrics=metrics,
    )


def remote_encoder(settings: Settings, config: CollectionConfig) -> RemoteQueryEncoder:
    """Return the client of the encoder process that the supervisor started."""
    if settings.encoder_sockets is None:
        raise NotReady("no encoder process was started for this worker")
    loader = EncoderLoader(settings.models)
    channels = planned_channels(config)
    plan = plan_queries(channels, loader.identify)

    def find_facts() -> ItemFacts:
        ears = [each.recognizer for each in config.channels.values() if each.recognizer]
        return ItemFacts(
            {channel.encoder: plan.identities[name] for name, channel in config.channels.items()},
            recognizer_ids(config, loader),
            {each: spoken_language(each, settings.models) for each in ears},
        )

    return RemoteQueryEncoder(
        encoder_socket(Path(settings.encoder_sockets), encoder_key(channels, plan)),
        plan,
        text_seconds=settings.text_seconds,
        file_seconds=settings.file_seconds,
        find_facts=find_facts,
    )


def _live_collection(
    settings: Settings, catalog: Catalog, config: CollectionConfig, encoder: EncoderService
) -> LiveCollection:
    device = IndexDevice(settings.index_device, settings.index_float16)
    return LiveCollection(catalog, settings.data, config, encoder.plan.identities, device=device)
