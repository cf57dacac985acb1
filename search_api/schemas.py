"""What enters and leaves the HTTP API: msgspec structs, which are also the OpenAPI schema.

Unknown keys are refused everywhere, so a misspelt option is an error instead of being ignored.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from encoders.media.content import Medium, TranscriptOrigin

MAX_TEXT_CHARS = 2000
MAX_LIMIT = 200
DEFAULT_LIMIT = 10
MAX_SEARCHES = 64
"""Most searches in one batch."""

MAX_QUERY_VECTORS = 4096
"""Most raw vectors in one batch."""

MAX_NAMES = 64
"""Most modalities or channels that one request may list."""

Limit = Annotated[int, msgspec.Meta(ge=1, le=MAX_LIMIT, description="How many items to return.")]
Names = Annotated[list[str], msgspec.Meta(min_length=1, max_length=MAX_NAMES)]
FilterBody = Annotated[
    dict[str, Any],
    msgspec.Meta(
        description="Filter language: and, or, not; field with equals, in, range or exists.",
        examples=[{"field": "language", "equals": "en"}],
    ),
]


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An error, as RFC 9457 describes it, with a stable ``code`` for programs."""

    type: str
    title: str
    status: int
    detail: str = ""
    code: str = ""
    errors: list[dict[str, Any]] = []
    """What is wrong where, for requests that do not fit the schema."""

    context: dict[str, Any] = {}
    """The values behind ``detail``."""


class _Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Query(_Request, frozen=True, kw_only=True):
    """What is being looked for: words, or something like an item of the collection."""

    text: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TEXT_CHARS)] | None = None
    item_id: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] | None = None

    def __post_init__(self) -> None:
        given = [name for name in ("text", "item_id") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                "query takes exactly one of text, item_id; got "
                + (" and ".join(given) if given else "neither")
            )
        if self.text is not None and not self.text.strip():
            raise ValueError("query.text holds no words")


class SearchOptions(_Request, frozen=True, kw_only=True):
    """Where to look and how much to return; every search takes these."""

    collection: str | None = None
    """``None``: the collection that this server is configured with."""

    modalities: Names | None = None
    """Media that hits may have; ``None``: any."""

    channels: Names | None = None
    """Channels to search; ``None``: all that can answer."""

    filter: FilterBody | None = None

    limit: Limit = DEFAULT_LIMIT


class SearchRequest(SearchOptions, frozen=True, kw_only=True):
    """``POST /v1/search``."""

    query: Query


class MediaSearchRequest(SearchOptions, frozen=True, kw_only=True):
    """The ``request`` part of ``POST /v1/search/media``; the query is the ``file`` part."""


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """A place inside an item that matched."""

    channel: str
    start_seconds: float | None
    """First instant inside; ``None`` where there is no time."""

    stop_seconds: float | None
    """First instant after; ``None`` where there is no time."""

    score: float
    """Cosine of the best segment there with the query."""

    text: str | msgspec.UnsetType = msgspec.UNSET
    """The words there, if there are any."""


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """An item that answers the query."""

    item_id: str
    modality: Medium
    score: float
    """Fused over the channels: higher is nearer; comparable only inside one answer."""

    confidence: float | None
    """``None`` until scores are calibrated."""

    location: str
    attributes: dict[str, Any]
    moments: list[Moment]


class SearchResponse(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to any search."""

    hits: list[Hit]
    next_cursor: str | None
    snapshot: str | None
    """The snapshot that answered; ``None`` when everything came from writes not yet indexed."""

    mode: str
    """``exact`` when every vector was compared, ``exact_filtered`` when an approximate index was
    left aside and every vector that the filter keeps was compared, else ``approximate``. Of several
    channels the least is said.
    """

    took_ms: float


class BatchSearchRequest(_Request, frozen=True, kw_only=True):
    """``POST /v1/search/batch`` as JSON."""

    searches: Annotated[list[SearchRequest], msgspec.Meta(min_length=1, max_length=MAX_SEARCHES)]


class BatchedSearch(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one search of a batch; exactly one of both is there."""

    answer: SearchResponse | None = None
    error: Problem | None = None
    """Why it could not be answered; the others are not touched by it."""


class BatchSearchResponse(msgspec.Struct, frozen=True, kw_only=True):
    """What each search answered, in order."""

    results: list[BatchedSearch]


class VectorSearchResponse(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to raw vectors: for each its nearest items, nearest first."""

    item_ids: list[list[str]]
    scores: list[list[float]]
    """Cosine of each item's best segment, in step with ``item_ids``."""

    snapshot: str | None
    mode: str
    took_ms: float


class ItemOut(msgspec.Struct, frozen=True, kw_only=True):
    """An item as it is stored."""

    item_id: str
    modality: Medium
    format: str
    location: str
    attributes: dict[str, Any]
    content_sha256: str
    size_bytes: int
    duration_seconds: float | None
    width_px: int | None
    height_px: int | None
    created_at: str | None
    updated_at: str | None


class WordOut(msgspec.Struct, frozen=True, kw_only=True):
    """A spoken word."""

    text: str
    start_seconds: float
    stop_seconds: float
    probability: float | None
    """How sure the recogniser was; ``None`` for words out of a transcript file."""


class UtteranceOut(msgspec.Struct, frozen=True, kw_only=True):
    """Something said in one go."""

    text: str
    start_seconds: float
    stop_seconds: float
    words: list[WordOut]
    """Empty where only the whole utterance is timed."""


class TranscriptOut(msgspec.Struct, frozen=True, kw_only=True):
    """``GET /v1/items/{id}/transcript``."""

    language: str | None
    origin: TranscriptOrigin
    """``recognized`` by a model, or read from a ``file`` beside the recording."""

    utterances: list[UtteranceOut]


class ItemPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some items in order of their ids."""

    items: list[ItemOut]
    next_after: str | None
    """Give this as ``after`` to read on; ``None`` at the end."""


class ChannelOut(msgspec.Struct, frozen=True, kw_only=True):
    """A channel of a collection."""

    media: list[str]
    space_id: str | None
    dim: int | None
    segments: int
    """Vectors that can be found now."""

    asked_with: list[Medium]
    """Media that a query of this channel may have."""


class CollectionOut(msgspec.Struct, frozen=True, kw_only=True):
    """A collection and what it holds now."""

    name: str
    default: bool
    items: int
    segments: int
    failed: int
    delta: int
    """Items that answer from memory because no snapshot holds them yet."""

    snapshot: str | None
    attributes: dict[str, str]
    channels: dict[str, ChannelOut]


class CollectionList(msgspec.Struct, frozen=True, kw_only=True):
    """``GET /v1/collections``."""

    collections: list[CollectionOut]


class FailureOut(msgspec.Struct, frozen=True, kw_only=True):
    """A file that could not be taken in, and why."""

    location: str
    item_id: str | None
    reason: str | None
    detail: str | None
    attempts: int
    first_seen: str
    last_seen: str


class FailureList(msgspec.Struct, frozen=True, kw_only=True):
    """``GET /v1/failures``."""

    failures: list[FailureOut]


class SnapshotOut(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot that can be served."""

    id: str
    created: str
    live: bool
    items: int
    segments: int
    through_seq: int
    """Every change up to this number is in it."""

    recall: dict[str, float]
    """Recall@10 by channel, measured when it was built."""

    overruled: list[str]
    """What the gate found wrong with it, if it was published by force."""

    gate: dict[str, Any] | None
    """What the gate measured: share of failed files, known items, overlap with the snapshot before,
    latency ratio, warnings; null where that was not kept.
    """


class SnapshotList(msgspec.Struct, frozen=True, kw_only=True):
    """``GET /v1/snapshots``, newest first."""

    snapshots: list[SnapshotOut]


class RollbackRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``POST /v1/rollback``."""

    snapshot: str | None = None
    """Which one to serve; the one before the live one when left out."""

    collection: str | None = None


class RollbackOut(msgspec.Struct, frozen=True, kw_only=True):
    """What is served now."""

    snapshot: str
    delta: int
    """Items written since it was built, which are searched beside it."""


class Health(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``GET /healthz`` and ``GET /readyz`` when searches can be answered."""

    status: str

    problems: list[str] = []
    """Why the newest state is not what answers, such as a live snapshot that is damaged."""
