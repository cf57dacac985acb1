"""Items on their way through an ingest: what is handed from planning to decoding to encoding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from encoders.errors import KindredError
from encoders.media.content import Segment, Transcript, TranscriptOrigin, Utterance
from encoders.media.rejection import MediaRejected
from encoders.space import Vectors
from encoders.speech.recognizer import RecordingLanguage, SpeechWindow
from indexer.catalog.records import ItemRecord, Outcome, OutcomeState
from indexer.errors import AttributesError
from indexer.plan import Plans
from indexer.planned_item import ChannelTask, PlannedItem, Skipped
from indexer.walk import FoundFile


@dataclass(slots=True, eq=False)
class Job:
    """An item on its way through decoding and encoding."""

    planned: PlannedItem
    item: ItemRecord
    pending: int = 0
    """Pieces handed over and not yet encoded."""

    sealed: bool = False
    """No further piece will come."""

    failed: bool = False
    """No more of it need be decoded or encoded; both sides may find that out."""

    settled: bool = False
    """Its outcome was counted: set and read by the encoding side alone."""

    parts: dict[str, list[tuple[tuple[Segment, ...], Vectors]]] = field(default_factory=dict)
    """Encoded pieces by channel, in order."""

    heard: dict[str, Heard] = field(default_factory=dict)
    """What is said, by the `ChannelTask.segmentation_id` of channels of speech."""


@dataclass(slots=True, eq=False)
class Heard:
    """What is said in an item, as far as it is known."""

    utterances: list[Utterance]
    recording: RecordingLanguage
    origin: TranscriptOrigin

    def transcript(self) -> Transcript:
        """Return it in the form that is stored."""
        return Transcript(tuple(self.utterances), self.recording.language, self.origin)


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Contents of one job that the same encoders take."""

    job: Job
    tasks: tuple[ChannelTask, ...]
    segments: tuple[Segment, ...]
    contents: Sequence[Any]
    """As many as segments: `Picture`, `Sound` or ``str``."""


@dataclass(frozen=True, slots=True, eq=False)
class SpeechPiece:
    """Windows of speech of one job, in order, that the same recogniser hears."""

    job: Job
    tasks: tuple[ChannelTask, ...]
    """Channels that encode what is said."""

    windows: Sequence[SpeechWindow]


@dataclass(frozen=True, slots=True)
class Sealed:
    """All pieces of a job have been handed over."""

    job: Job


@dataclass(frozen=True, slots=True)
class Settled:
    """A file whose outcome is known without encoding anything more."""

    outcome: Outcome
    planned: PlannedItem | None = None
    job: Job | None = None
    """Of a file that failed after something of it may have been handed over."""


Message: TypeAlias = Piece | SpeechPiece | Sealed | Settled


def failed_outcome(item: ItemRecord, error: KindredError) -> Outcome:
    """Return the outcome row of a file that could not be taken."""
    reason = error.reason if isinstance(error, MediaRejected) else error.code
    return Outcome(
        location=item.location,
        item_id=item.item_id,
        state="failed",
        reason=reason,
        detail=error.message,
        content_sha256=item.content_sha256,
    )


def planned_or_settled(planner: Plans, found: FoundFile) -> PlannedItem | Settled:
    """Plan a file; what needs no encoding, or cannot be taken, is settled at once."""
    try:
        planned = planner.plan(found)
    except (MediaRejected, AttributesError) as error:
        reason = error.reason if isinstance(error, MediaRejected) else error.code
        return Settled(_outcome(found, "failed", reason, error.message))
    if isinstance(planned, Skipped):
        return Settled(_outcome(found, "skipped", planned.reason, planned.detail))
    if planned.tasks:
        return planned
    state: OutcomeState = "unchanged"
    if planned.moved:
        state = "moved"
    elif planned.reused:
        state = "encoded"
    item = planned.item
    outcome = Outcome(
        location=item.location,
        item_id=item.item_id,
        state=state,
        reason=None,
        detail=None,
        content_sha256=item.content_sha256,
    )
    return Settled(outcome, planned)


def _outcome(found: FoundFile, state: OutcomeState, reason: str, detail: str) -> Outcome:
    return Outcome(
        location=found.listed_location,
        item_id=None,
        state=state,
        reason=reason,
        detail=detail,
        content_sha256=None,
    )
