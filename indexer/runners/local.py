"""Encoding on this machine: batches run over items, vectors are committed with their item."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from encoders.config import EncoderConfig, UtteranceSegments, WhisperConfig
from encoders.encoder import Encoder
from encoders.errors import KindredError
from encoders.media.segmentation import utterance_segments
from encoders.space import Vectors, require_same_space
from encoders.speech.recognizer import SpeechRecognizer
from indexer.catalog.records import ChannelVectors, Failure, ItemWrite, Outcome
from indexer.catalog.takedown_records import TakenDown, why_refused
from indexer.decode_ahead import DecodeAhead
from indexer.jobs import Job, Piece, Sealed, Settled, SpeechPiece, failed_outcome
from indexer.outcomes import IngestSummary
from indexer.pieces import spoken_piece
from indexer.planned_item import ChannelTask
from indexer.runners.waiting_speech import HeardPiece, WaitingSpeech

BATCH_SIZE = 32
WRITES_PER_TRANSACTION = 64
MAX_UNWRITTEN_SECONDS = 2.0
"""A finished item is written with the first message that comes this long after the last write."""


class EncodeFailed(KindredError):
    """An encoder raised on one item's content."""

    code = "encoder_failed"


class ModelOpener(Protocol):
    """Gives what a run encodes with: `EncoderLoader`, or models of another process."""

    def open(self, config: EncoderConfig) -> Encoder[Any]:
        """Return an encoder."""
        ...

    def open_recognizer(self, config: WhisperConfig) -> SpeechRecognizer:
        """Return what hears speech."""
        ...


class RunStore(Protocol):
    """Where a run puts what it made: the catalog."""

    def failures(self, collection: str) -> Sequence[Failure]:
        """Return the locations whose latest outcome is a failure."""
        ...

    def write(
        self,
        collection: str,
        writes: Sequence[ItemWrite],
        outcomes: Sequence[Outcome],
        *,
        run_id: str | None,
    ) -> object:
        """Store finished items and outcomes; see `Catalog.write`."""
        ...


class LocalRunner:
    """Encodes what `DecodeAhead` hands over and writes finished items to the catalog."""

    def __init__(
        self,
        catalog: RunStore,
        collection: str,
        run_id: str,
        loader: ModelOpener,
        summary: IngestSummary,
        on_progress: Callable[[IngestSummary], None],
    ) -> None:
        self._catalog = catalog
        self._collection = collection
        self._run_id = run_id
        self._loader = loader
        self._summary = summary
        self._failing = {failure.location for failure in catalog.failures(collection)}
        self._on_progress = on_progress
        self._waiting: dict[tuple[str, ...], list[Piece]] = defaultdict(list)
        self._waiting_speech = WaitingSpeech(loader.open_recognizer)
        self._writes: list[ItemWrite] = []
        self._outcomes: list[Outcome] = []
        self._holds_encoded = False
        self._last_write = time.monotonic()

    def run(self, messages: DecodeAhead) -> None:
        """Encode and store everything that comes; the summary is kept up to date."""
        for message in messages:
            if isinstance(message, Settled):
                self._settle(message)
            elif isinstance(message, Sealed):
                message.job.sealed = True
                self._finish_if_complete(message.job)
            elif isinstance(message, SpeechPiece):
                message.job.pending += 1
                self._take_heard(self._waiting_speech.add(message))
            else:
                self._collect(message)
            self._write_if_due()
            self._on_progress(self._summary)
        self._take_heard(self._waiting_speech.finish())
        for key in list(self._waiting):
            self._encode(key)
            self._write_if_due()
        self._write()
        self._on_progress(self._summary)
        self._summary.stages |= {
            "decode_wait": messages.decode_wait_seconds,
            "preprocess": messages.preprocess_seconds,
            "hear": self._waiting_speech.seconds,
        }

    def _settle(self, settled: Settled) -> None:
        outcome = settled.outcome
        if settled.job is not None:
            if settled.job.settled:
                return
            settled.job.settled = True
        self._summary.count(outcome)
        if outcome.state != "unchanged" or outcome.location in self._failing:
            # A million unchanged files need no million rows; only an old failure has to go.
            self._outcomes.append(outcome)
        if settled.planned is not None and settled.planned.changed:
            self._writes.append(settled.planned.write())
            self._summary.segments += sum(
                len(channel.segments) for channel in settled.planned.reused
            )

    def _collect(self, piece: Piece) -> None:
        piece.job.pending += 1
        # Tasks over the same content share a batch, and so one pass through a shared network.
        key = tuple(task.identity.encoder_id for task in piece.tasks)
        waiting = self._waiting[key]
        waiting.append(piece)
        if sum(len(entry.contents) for entry in waiting) >= BATCH_SIZE:
            self._encode(key)

    def _take_heard(self, found: list[HeardPiece]) -> None:
        """Take what was said to the encoders of text."""
        for heard in found:
            job, tasks = heard.piece.job, heard.piece.tasks
            if heard.error is not None:
                self._fail(job, f"{type(heard.error).__name__}: {heard.error}")
                continue
            job.heard[tasks[0].segmentation_id].utterances.extend(heard.utterances)
            cut = tasks[0].segments
            assert isinstance(cut, UtteranceSegments), "speech is cut into utterances"
            piece = spoken_piece(job, tasks, utterance_segments(heard.utterances, cut.max_seconds))
            if piece is not None:
                self._collect(piece)
            job.pending -= 1
            self._finish_if_complete(job)

    def _fail(self, job: Job, message: str) -> None:
        if not job.failed:
            job.failed = True
            self._settle(Settled(failed_outcome(job.item, EncodeFailed(message)), job=job))

    def _encode(self, key: tuple[str, ...]) -> None:
        pieces = [piece for piece in self._waiting.pop(key, []) if not piece.job.failed]
        if not pieces:
            return
        started = time.perf_counter()
        # Outside: weights that cannot be loaded are no item's fault and end the run.
        encoders = [self._opened(task) for task in pieces[0].tasks]
        loaded = time.perf_counter()
        self._summary.stages["load"] += loaded - started
        try:
            self._encode_pieces(pieces, encoders)
        except KindredError:
            raise  # a device that is not there: no item can be encoded
        except Exception as error:
            # Models raise whatever they like. One item must not take its batch down with it, so
            # each is tried alone, and only the one that fails again is given up.
            for piece in pieces:
                self._encode_alone(piece, encoders, error)
        finally:
            self._summary.stages["encode"] += time.perf_counter() - loaded
        for piece in pieces:
            piece.job.pending -= 1
            self._finish_if_complete(piece.job)

    def _opened(self, task: ChannelTask) -> Encoder[Any]:
        """Return the encoder of a task, unless its weights are no longer those it was planned with.

        Raises:
            SpaceMismatch: naming both spaces.
        """
        encoder: Encoder[Any] = self._loader.open(task.encoder)
        require_same_space(
            f"the encoder of channel {task.channel!r}",
            encoder.identity.space_id,
            encoder.identity.dim,
            "this run",
            task.identity.space_id,
            task.identity.dim,
        )
        return encoder

    def _encode_alone(
        self, piece: Piece, encoders: list[Encoder[Any]], batch_error: Exception
    ) -> None:
        if piece.job.failed:
            return
        try:
            self._encode_pieces([piece], encoders)
        except Exception as error:
            self._fail(piece.job, f"{type(error).__name__}: {error} (in its batch: {batch_error})")

    def _encode_pieces(self, pieces: list[Piece], encoders: list[Encoder[Any]]) -> None:
        contents: list[Any] = [content for piece in pieces for content in piece.contents]
        encoded: list[Vectors] = []
        for encoder in encoders:
            self._summary.encoder_calls += 1
            vectors = encoder.encode(contents)
            expected = (len(contents), encoder.identity.dim)
            if vectors.shape != expected or not np.isfinite(vectors).all():
                raise ValueError(
                    f"the encoder answered with {vectors.shape} numbers, expected {expected}, all "
                    "of them finite"
                )
            encoded.append(vectors)
        first = 0
        for piece in pieces:
            last = first + len(piece.contents)
            # Tasks are matched by position: two items share encoders, not channel names.
            for task, vectors in zip(piece.tasks, encoded, strict=True):
                piece.job.parts.setdefault(task.channel, []).append(
                    (piece.segments, vectors[first:last])
                )
            first = last

    def _finish_if_complete(self, job: Job) -> None:
        if job.failed or job.settled or not job.sealed or job.pending:
            return
        job.settled = True
        encoded = tuple(_channel_vectors(task, job) for task in job.planned.tasks)
        write = replace(job.planned.write(encoded), item=job.item)
        self._writes.append(write)
        self._holds_encoded = True
        outcome = Outcome(
            location=job.item.location,
            item_id=job.item.item_id,
            state="encoded",
            reason=None,
            detail=None,
            content_sha256=job.item.content_sha256,
        )
        self._outcomes.append(outcome)
        self._summary.count(outcome)
        self._summary.segments += sum(len(channel.segments) for channel in write.channels)

    def _write_if_due(self) -> None:
        overdue = time.monotonic() - self._last_write > MAX_UNWRITTEN_SECONDS
        num_waiting = max(len(self._writes), len(self._outcomes))
        full = num_waiting >= WRITES_PER_TRANSACTION
        # Encoding takes longer than a commit, so what it made never waits: a run that is killed has
        # to repeat no more than the batch under way.
        if full or self._holds_encoded or (overdue and num_waiting):
            self._write()

    def _write(self) -> None:
        started = time.perf_counter()
        while self._writes or self._outcomes:
            try:
                self._catalog.write(
                    self._collection, self._writes, self._outcomes, run_id=self._run_id
                )
            except TakenDown as error:
                self._give_up(error.refused)
            else:
                break
        self._writes, self._outcomes = [], []
        self._holds_encoded = False
        self._last_write = time.monotonic()
        self._summary.stages["write"] += time.perf_counter() - started

    def _give_up(self, refused: Mapping[str, str]) -> None:
        """Drop items that were taken down after they were planned; their outcome says so."""
        states = {outcome.item_id: outcome.state for outcome in self._outcomes}
        outcomes = [outcome for outcome in self._outcomes if outcome.item_id not in refused]
        for write in self._writes:
            item = write.item
            if item.item_id not in refused:
                continue
            outcome = Outcome(
                location=item.location,
                item_id=item.item_id,
                state="skipped",
                reason="taken_down",
                detail=why_refused(refused[item.item_id]),
                content_sha256=item.content_sha256,
            )
            outcomes.append(outcome)
            # New attributes of an unchanged file are written without an outcome.
            self._summary.recount(states.get(item.item_id, "unchanged"), outcome)
            self._summary.segments -= sum(len(channel.segments) for channel in write.channels)
        self._outcomes = outcomes
        self._writes = [write for write in self._writes if write.item.item_id not in refused]


def _channel_vectors(task: ChannelTask, job: Job) -> ChannelVectors:
    # A recording in which nobody speaks, a video without sound: looked at, and nothing found.
    parts = job.parts.get(task.channel, [])
    heard = job.heard.get(task.segmentation_id)
    return ChannelVectors(
        channel=task.channel,
        encoder_id=task.identity.encoder_id,
        space_id=task.identity.space_id,
        segmentation_id=task.segmentation_id,
        source_sha256=task.source_sha256,
        segments=tuple(segment for segments, _ in parts for segment in segments),
        vectors=np.concatenate(
            [np.empty((0, task.identity.dim), np.float32), *(vectors for _, vectors in parts)]
        ),
        transcript=None if heard is None else heard.transcript(),
    )
