"""Answering searches: the one path that the command line and the HTTP API share."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeVar, cast

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from encoders.media.content import MEDIA, Medium
from encoders.query_encoding import MAX_QUERY_SEGMENTS, ChannelQuery, evenly_spaced
from indexer.ann.vector_index import ItemCondition, weakest_mode
from indexer.config import CollectionConfig
from indexer.live_view import LiveView, UnknownChannel
from search_api.channel_search import search_channel
from search_api.errors import (
    ItemNotFound,
    NoChannel,
    UnknownCollection,
    UnknownModality,
)
from search_api.filters import Filter, filter_fields, parse_filter
from search_api.fusion import RankedItem, fuse_ranks, merge_channels
from search_api.hits import make_hits
from search_api.item_selection import select_items
from search_api.live_recall import AnsweredSearch
from search_api.query_vectors import QueryEncoder
from search_api.schemas import (
    SearchOptions,
    SearchRequest,
    SearchResponse,
    VectorSearchResponse,
)
from search_api.vector_search import read_vectors, search_vectors

T = TypeVar("T")


class Runner(Protocol):
    """Runs CPU work away from the event loop."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]:
        """Return what ``work()`` returns."""
        ...


class Searcher:
    """Searches one collection.

    Args:
        config: the collection.
        view_of: gives what can be found now; called once per search, so one answer never mixes
            two states.
        query_encoder: turns questions into vectors.
        run: runs the part that does not wait; a thread by default.
        on_answer: told of every search that was answered; returns at once and raises nothing.
    """

    def __init__(
        self,
        config: CollectionConfig,
        view_of: Callable[[], LiveView],
        query_encoder: QueryEncoder,
        *,
        run: Runner = asyncio.to_thread,
        on_answer: Callable[[AnsweredSearch], None] = lambda answered: None,
    ) -> None:
        self._config = config
        self._view_of = view_of
        self._query_encoder = query_encoder
        self._run = run
        self._on_answer = on_answer
        self._fields = filter_fields(config.attributes)

    async def search(self, request: SearchRequest) -> SearchResponse:
        """Answer a question in words, or one by example of a stored item.

        Raises:
            UnknownCollection, UnknownChannel, UnknownModality, FilterError: naming what there is.
            ItemNotFound: the example is not in the collection.
            NoChannel: no selected channel can answer.
        """
        started = time.perf_counter()
        channels = self._selected_channels(request)
        self._parsed_filter(request)
        view = self._view_of()
        if request.query.item_id is not None:
            item_id = request.query.item_id
            return await self._run(
                lambda: self._search_like(view, item_id, channels, request, started)
            )
        askable = self._askable(channels, "text")
        queries = await self._query_encoder.encode_text(cast(str, request.query.text), askable)
        return await self._run(lambda: self._rank(view, queries, request, started))

    async def search_file(self, path: Path, options: SearchOptions) -> SearchResponse:
        """Answer a question that is a picture, sound, video or text file.

        Raises:
            MediaRejected: the file cannot be read as media.
            NoChannel: no selected channel can be asked with its medium.
            UnknownCollection, UnknownChannel, UnknownModality, FilterError: naming what there is.
        """
        started = time.perf_counter()
        channels = self._selected_channels(options)
        self._parsed_filter(options)
        view = self._view_of()
        if options.channels is None:
            # Fused by rank, a few titled items would stand before the same content without a title.
            channels = [name for name in channels if not self._is_about(name)]
        found = await self._query_encoder.encode_file(path, channels)
        askable = self._askable(channels, found.medium)
        if not found.channels:
            raise NoChannel(
                f"the {found.medium} holds nothing that the selected channels "
                f"({', '.join(askable)}) can be asked with; a video without sound shows pictures "
                "only",
                medium=found.medium,
                channels=askable,
            )
        return await self._run(lambda: self._rank(view, found.channels, options, started))

    async def search_vectors(
        self, content: bytes, channel: str, options: SearchOptions
    ) -> VectorSearchResponse:
        """Return the items nearest to each of many raw vectors.

        Args:
            content: float32, lowest byte first, row by row.
            channel: whose space they are in.
            options: modalities, filter and limit; its channels are not looked at.

        Raises:
            InvalidRequest: they are not vectors of this channel's length.
            UnknownCollection, UnknownChannel, UnknownModality, FilterError: naming what there is.
            NoChannel: the channel holds nothing of these modalities.
        """
        started = time.perf_counter()
        self._selected_channels(msgspec.structs.replace(options, channels=[channel]))
        self._parsed_filter(options)
        view = self._view_of()

        def work() -> VectorSearchResponse:
            vectors = read_vectors(content, view.channels[channel].dim)
            among, condition = self._selected(view, options)
            answer = search_vectors(view, channel, vectors, options.limit, among, condition)
            return VectorSearchResponse(
                item_ids=answer.item_ids,
                scores=answer.scores,
                snapshot=view.snapshot_id,
                mode=answer.mode,
                took_ms=round(1000 * (time.perf_counter() - started), 3),
            )

        return await self._run(work)

    def _selected_channels(self, options: SearchOptions) -> list[str]:
        """Return the channels that the request selects, in collection order, after checking it."""
        name = self._config.name
        if options.collection not in (None, name):
            raise UnknownCollection(
                f"no collection {options.collection!r} is served here; there is: {name}",
                collections=[name],
            )
        _require_known(
            options.channels,
            self._config.channels,
            UnknownChannel,
            f"collection {name} has no channel",
        )
        _require_known(options.modalities, MEDIA, UnknownModality, "there is no modality")
        modalities = cast("list[Medium]", options.modalities or list(MEDIA))
        selected = [
            channel
            for channel, config in self._config.channels.items()
            if (options.channels is None or channel in options.channels)
            and any(config.takes(medium) for medium in modalities)
        ]
        if not selected:
            raise NoChannel(
                f"no selected channel holds {' or '.join(modalities)}; channels by medium: "
                + "; ".join(f"{m}: {', '.join(self._config.channels_for(m))}" for m in MEDIA),
            )
        return selected

    def _selected(
        self, view: LiveView, options: SearchOptions
    ) -> tuple[NDArray[np.bool_] | None, ItemCondition | None]:
        return select_items(view, options.modalities, self._parsed_filter(options))

    def _parsed_filter(self, options: SearchOptions) -> Filter | None:
        return None if options.filter is None else parse_filter(options.filter, self._fields)

    def _askable(self, channels: list[str], medium: Medium) -> list[str]:
        plan = self._query_encoder.plan
        askable = [channel for channel in channels if channel in plan.sources[medium]]
        if not askable:
            can = "; ".join(f"{c}: {' or '.join(plan.media_for(c))}" for c in channels)
            raise NoChannel(
                f"no selected channel can be asked with {medium}; they take {can}",
                medium=medium,
                channels=channels,
            )
        return askable

    def _search_like(
        self,
        view: LiveView,
        item_id: str,
        channels: list[str],
        request: SearchRequest,
        started: float,
    ) -> SearchResponse:
        row = view.item_row(item_id)
        if row is None:
            raise ItemNotFound(
                f"collection {self._config.name} has no item {item_id!r}", item_id=item_id
            )
        queries = self._stored_queries(view, row, channels)
        if not queries:
            raise NoChannel(
                f"item {item_id!r} has no vectors that the selected channels "
                f"({', '.join(channels)}) can be compared with",
                item_id=item_id,
                channels=channels,
            )
        return self._rank(view, queries, request, started, excluded_row=row)

    def _stored_queries(
        self, view: LiveView, row: int, channels: list[str]
    ) -> dict[str, ChannelQuery]:
        """Return, per selected channel, what the item has there, or else in that channel's space.

        What a video shows asks for what is shown, what is said in it for what is said; where it has
        nothing of the kind, all its content asks. Words about an item ask for words about items.
        """
        own: dict[str, NDArray[np.float32]] = {}
        stored: dict[tuple[str, bool], list[NDArray[np.float32]]] = {}
        for channel, info in view.channels.items():
            rows = view.segment_rows(channel, row)
            if len(rows):
                chosen = np.asarray(
                    evenly_spaced(rows.tolist(), MAX_QUERY_SEGMENTS), dtype=np.int64
                )
                key = (info.space_id, self._is_about(channel))
                own[channel] = view.vectors(channel, chosen)
                stored.setdefault(key, []).append(own[channel])
        queries: dict[str, ChannelQuery] = {}
        for channel in channels:
            if channel not in view.channels:
                continue
            space_id = view.channels[channel].space_id
            vectors = (
                [own[channel]]
                if channel in own
                else stored.get((space_id, self._is_about(channel)))
            )
            if vectors:
                queries[channel] = ChannelQuery(space_id, np.concatenate(vectors))
        return queries

    def _is_about(self, channel: str) -> bool:
        """Tell whether a channel holds words about items instead of their content."""
        return bool(self._config.channels[channel].fields)

    def _rank(
        self,
        view: LiveView,
        queries: Mapping[str, ChannelQuery],
        options: SearchOptions,
        started: float,
        *,
        excluded_row: int | None = None,
    ) -> SearchResponse:
        """Search every channel, fuse, and describe the best items."""
        among, condition = self._selected(view, options)
        answers = {
            channel: search_channel(
                view,
                channel,
                query,
                limit=options.limit,
                among=among,
                condition=condition,
                excluded_row=excluded_row,
            )
            for channel, query in queries.items()
            if channel in view.channels
        }
        nearest_rows = {channel: answer.nearest_rows for channel, answer in answers.items()}
        self._on_answer(AnsweredSearch(view, queries, nearest_rows, among))
        by_space: dict[str, list[Sequence[RankedItem]]] = defaultdict(list)
        for channel, answer in answers.items():
            by_space[view.channels[channel].space_id].append(answer.items)
        merged = {space: merge_channels(found) for space, found in by_space.items()}
        fused = fuse_ranks(merged, self._num_spaces(view, list(answers), merged))[: options.limit]
        return SearchResponse(
            hits=make_hits(view, fused, answers),
            next_cursor=None,
            snapshot=view.snapshot_id,
            mode=weakest_mode(answer.mode for answer in answers.values()),
            took_ms=round(1000 * (time.perf_counter() - started), 3),
        )

    def _num_spaces(
        self, view: LiveView, channels: list[str], merged: Mapping[str, Sequence[RankedItem]]
    ) -> dict[int, int]:
        """Return, for each item found, in how many of the spaces searched its medium has channels.

        Args:
            view: what was searched.
            channels: those that were searched.
            merged: what was found in each space.
        """
        in_medium = {
            medium: len(
                {
                    view.channels[channel].space_id
                    for channel in channels
                    if self._config.channels[channel].takes(medium)
                }
            )
            for medium in MEDIA
        }
        rows = sorted({item.item_row for items in merged.values() for item in items})
        media = view.items.column("medium").take(pa.array(rows, "int64")).to_pylist()
        return {row: in_medium[medium] for row, medium in zip(rows, media, strict=True)}


def _require_known(
    given: list[str] | None,
    known: Iterable[str],
    error: type[UnknownChannel] | type[UnknownModality],
    message: str,
) -> None:
    unknown = [name for name in given or [] if name not in known]
    if unknown:
        raise error(
            f"{message} {', '.join(map(repr, unknown))}; there are: {', '.join(known)}",
            unknown=unknown,
            known=list(known),
        )
