"""Decoding ahead, with a sandbox that decodes nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from encoders.media.content import Block, Document, Sound, SoundInfo
from encoders.media.decoder_child import DecoderUnavailable
from encoders.media.rejection import MediaRejected
from encoders.media.segmentation import window_ranges
from indexer.catalog.catalog import Catalog
from indexer.config import load_collection
from indexer.data_dir import DataDir
from indexer.decode_ahead import MAX_QUEUED_BYTES, DecodeAhead
from indexer.jobs import Message, Piece, Sealed, Settled
from indexer.known_files import KnownFiles
from indexer.pieces import stretches
from indexer.pipeline import channel_identities
from indexer.plan import Planner
from indexer.walk import find_files
from tests.indexer.fakes import FakeLoader
from tests.indexer.small_media import write_sound

CONFIG = load_collection("starter")
RATE_HZ = 16_000


class NoSandbox:
    """Answers as told: a sound of ``held_seconds`` whose header promises ``promised_seconds``."""

    def __init__(self, promised_seconds: float = 0.0, held_seconds: float = 0.0) -> None:
        self.promised_seconds = promised_seconds
        self.held_seconds = held_seconds
        self.blocks: tuple[str, ...] = ()
        self.hangs = False
        self.num_sounds = 0

    def sound_info(self, path: Path) -> Future[SoundInfo]:
        return done(SoundInfo(self.promised_seconds, RATE_HZ, 1))

    def sound(self, path: Path, start: float, stop: float, rate: int) -> Future[Sound]:
        self.num_sounds += 1
        if self.hangs:
            return Future()
        seconds = max(0.0, min(stop, self.held_seconds) - start)
        return done(Sound(np.ones(round(seconds * rate), np.float32), rate))

    def document(self, path: Path, format: str) -> Future[Document]:
        return done(Document(tuple(Block(text) for text in self.blocks)))


def done(value: Any) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_result(value)
    return future


def ahead(tmp_path: Path, sandbox: NoSandbox) -> DecodeAhead:
    with Catalog.open(DataDir(tmp_path / "data")) as catalog:
        catalog.register_collection(CONFIG)
        identities = channel_identities(CONFIG, FakeLoader())  # type: ignore[arg-type]
        planner = Planner(catalog, CONFIG, identities, {}, KnownFiles())
        return DecodeAhead(
            find_files([tmp_path / "media"]), planner, sandbox, FakeLoader().open_recognizer
        )  # type: ignore[arg-type]


def messages(tmp_path: Path, sandbox: NoSandbox) -> list[Message]:
    return list(ahead(tmp_path, sandbox))


@pytest.fixture(autouse=True)
def media(tmp_path: Path) -> Path:
    (tmp_path / "media").mkdir()
    return tmp_path / "media"


@pytest.mark.parametrize("seconds", [0.5, 10.0, 59.0, 61.0, 3600.0])
def test_stretches_hold_every_window_once_and_stay_short(seconds: float) -> None:
    windows = window_ranges(seconds, 10.0, 5.0)
    runs = list(stretches(windows, 60.0))
    assert [window for run in runs for window in run] == windows
    assert all(run[-1][1] - run[0][0] <= 60.0 for run in runs)
    assert len(list(stretches(windows, 1.0))) == len(windows)


def test_a_run_that_ends_early_waits_for_no_decoder(tmp_path: Path, media: Path) -> None:
    write_sound(media / "long.wav", 0.1)
    sandbox = NoSandbox(promised_seconds=80_000.0)
    sandbox.hangs = True
    waiting = ahead(tmp_path, sandbox)
    stop = threading.Timer(0.3, waiting._queue.put, [RuntimeError("the device is gone")])
    stop.start()
    with pytest.raises(RuntimeError, match="the device is gone"):
        list(waiting)
    assert not waiting._thread.is_alive()
    assert sandbox.num_sounds < 20


def until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not reached():
        assert time.monotonic() < deadline, "nothing more was decoded for 30 s"
        time.sleep(0.01)


def test_a_batch_of_short_sounds_is_decoded_while_nobody_takes_any(
    tmp_path: Path, media: Path
) -> None:
    for number in range(64):
        write_sound(media / f"{number}.wav", 0.1)
    sandbox = NoSandbox(10.0, 10.0)
    found = iter(ahead(tmp_path, sandbox))
    next(found)
    until(lambda: sandbox.num_sounds >= 64)
    assert sum(isinstance(message, Sealed) for message in found) == 64


def test_little_of_a_long_sound_waits_to_be_encoded(tmp_path: Path, media: Path) -> None:
    write_sound(media / "long.wav", 0.1)
    sandbox = NoSandbox(36_000.0, 36_000.0)
    waiting = ahead(tmp_path, sandbox)
    found = iter(waiting)
    next(found)
    until(lambda: waiting._queued_bytes > 0.8 * MAX_QUEUED_BYTES)
    time.sleep(0.3)
    assert waiting._queued_bytes <= MAX_QUEUED_BYTES
    # A minute takes 7 MB, windows that overlap counted twice; 16 more are asked for.
    assert sandbox.num_sounds <= 30
    assert isinstance(list(found)[-1], Sealed)
    assert waiting._queued_bytes == 0


@pytest.mark.parametrize("held_seconds", [3.0, 95.0, 140.0, 148.0])
def test_a_sound_shorter_than_promised_fails_once(
    tmp_path: Path, media: Path, held_seconds: float
) -> None:
    write_sound(media / "a.wav", 0.1)
    found = messages(tmp_path, NoSandbox(150.0, held_seconds))
    (settled,) = [message for message in found if isinstance(message, Settled)]
    assert (settled.outcome.state, settled.outcome.reason) == ("failed", "truncated")
    assert not any(isinstance(message, Sealed) for message in found)


def test_a_sound_short_by_rounding_is_taken(tmp_path: Path, media: Path) -> None:
    write_sound(media / "a.wav", 0.1)
    found = messages(tmp_path, NoSandbox(150.0, 149.9))
    assert isinstance(found[-1], Sealed)
    pieces = [message for message in found if isinstance(message, Piece)]
    assert sum(len(piece.segments) for piece in pieces) == len(window_ranges(150.0, 10.0, 5.0))


def test_a_sound_of_less_than_a_sample_has_no_sound(tmp_path: Path, media: Path) -> None:
    write_sound(media / "a.wav", 0.1)
    (settled,) = messages(tmp_path, NoSandbox(1e-5, 1e-5))
    assert isinstance(settled, Settled)
    assert settled.outcome.reason == "no_sound"


def test_a_text_without_passages_has_no_text(tmp_path: Path, media: Path) -> None:
    (media / "a.txt").write_text("words that the decoder does not hand over")
    (settled,) = messages(tmp_path, NoSandbox())
    assert isinstance(settled, Settled)
    assert settled.outcome.reason == "no_text"


def test_whatever_ends_the_thread_ends_the_run(
    tmp_path: Path, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (media / "a.txt").write_text("words")

    def broken(*args: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("indexer.pieces.passages", broken)
    sandbox = NoSandbox()
    sandbox.blocks = ("words",)
    with pytest.raises(ZeroDivisionError):
        messages(tmp_path, sandbox)


def test_a_rejected_decode_is_settled_with_its_job(
    tmp_path: Path, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_sound(media / "a.wav", 0.1)
    sandbox = NoSandbox(10.0, 10.0)
    refused: Future[SoundInfo] = Future()
    refused.set_exception(MediaRejected("corrupt", "no frame"))
    monkeypatch.setattr(sandbox, "sound_info", lambda path: refused)
    (settled,) = messages(tmp_path, sandbox)
    assert isinstance(settled, Settled)
    assert settled.job is not None
    assert settled.job.failed


def test_decoders_that_do_not_start_fail_the_run_and_no_item(
    tmp_path: Path, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (media / "a.txt").write_text("words")
    sandbox = NoSandbox()
    broken: Future[Document] = Future()
    broken.set_exception(DecoderUnavailable("exit code 127"))
    monkeypatch.setattr(sandbox, "document", lambda path, format: broken)
    with pytest.raises(DecoderUnavailable):
        messages(tmp_path, sandbox)
