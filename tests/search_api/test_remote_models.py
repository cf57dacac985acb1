"""The encoder process's models as the pipeline uses them: the same vectors and words as here."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest

from encoders.config import ConceptsConfig, EncoderConfig, SentenceConfig, WhisperConfig
from encoders.media.content import Picture, Sound, Utterance
from encoders.query_plan import plan_queries
from encoders.serving.encoder_process import serve
from encoders.serving.errors import DeadlineExceeded
from encoders.serving.item_messages import pack_windows, unpack_windows
from encoders.speech.recognizer import RecordingLanguage, SpeechWindow
from search_api.remote_models import ItemFacts, RemoteModels
from search_api.remote_query_encoder import RemoteQueryEncoder
from tests.encoders.serving.test_encoder_process import CHANNELS, socket_path
from tests.fake_encoders import FakeLoader

__all__ = ["socket_path"]

T = TypeVar("T")
PICTURES = ConceptsConfig(classifier="efficientnet_lite2")
SOUNDS = ConceptsConfig(classifier="yamnet")
WORDS = SentenceConfig()
EARS = WhisperConfig()


class Votes:
    """A recogniser that hears how much language it was told of so far."""

    recognizer_id = "votes"

    def open_cutter(self) -> Any:
        raise AssertionError("recordings are cut where they are decoded")

    def recognize(
        self, windows: Sequence[SpeechWindow], *, max_seconds: float
    ) -> list[list[Utterance]]:
        heard = []
        for window in windows:
            window.recording.vote({"en": 0.75, "de": 0.25}, window.voiced_seconds)
            text = f"{window.recording.language} {window.recording.state().voiced_seconds:g}"
            heard.append([Utterance(text, window.start_seconds, window.start_seconds + 1)])
        return heard


@contextlib.asynccontextmanager
async def models(
    path: Path, loader: FakeLoader, timeout_seconds: float = 30.0
) -> AsyncIterator[RemoteModels]:
    stop = asyncio.Event()
    ears: Callable[[WhisperConfig], Votes] = lambda config: Votes()  # noqa: E731
    server = asyncio.create_task(serve(path, CHANNELS, loader, stop=stop, open_recognizer=ears))
    while not await asyncio.to_thread(path.exists):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    configs: list[EncoderConfig] = [PICTURES, SOUNDS, WORDS]
    facts = ItemFacts({one: loader.identify(one) for one in configs}, {}, {EARS: None})
    client = RemoteQueryEncoder(
        path, plan_queries(CHANNELS, loader.identify), find_facts=lambda: facts
    )
    try:
        yield client.item_models(timeout_seconds)
    finally:
        await client.aclose()
        stop.set()
        await server


@pytest.mark.asyncio
async def test_contents_of_every_medium_give_the_vectors_they_give_here(socket_path: Path) -> None:
    loader = FakeLoader()
    rng = np.random.default_rng(0)
    pictures = [
        Picture(np.full((size, 2 * size, 3), rng.integers(0, 255), np.uint8))
        for size in range(3, 13)
    ]
    sounds = [Sound(rng.normal(size=800).astype(np.float32), 8000) for _ in range(3)]
    texts = [f"word{number}" for number in range(11)]
    async with models(socket_path, loader) as remote:
        for config, contents in ((PICTURES, pictures), (SOUNDS, sounds), (WORDS, texts)):
            encoder = remote.open(config)
            got = await asyncio.to_thread(encoder.encode, contents)
            expected = loader.open(config).encode(contents)
            np.testing.assert_allclose(got, expected, rtol=0, atol=1e-7)
            assert got.dtype == np.float32
        assert (await asyncio.to_thread(remote.open(WORDS).encode, [])).shape == (0, 64)


@pytest.mark.asyncio
async def test_what_a_recording_is_spoken_in_is_remembered_here(socket_path: Path) -> None:
    recordings = [RecordingLanguage(), RecordingLanguage()]
    windows = [
        SpeechWindow(
            Sound(np.zeros(160, np.float32), 16_000), 10.0 * at, ((10.0 * at, 10.0 * at + 4),),
            recordings[at % 2],
        )
        for at in range(10)
    ]  # fmt: skip
    async with models(socket_path, FakeLoader()) as remote:
        ears = remote.open_recognizer(EARS)
        heard = await asyncio.to_thread(ears.recognize, windows, max_seconds=30.0)
    assert [each[0].text for each in heard] == [f"en {4 * (at // 2 + 1)}" for at in range(10)], (
        "each recording's windows know of those before, also of other messages"
    )
    assert recordings[0].language == "en"
    assert recordings[0].state().votes == {"en": 15.0, "de": 5.0}


@pytest.mark.asyncio
async def test_what_a_model_raises_is_the_fault_of_its_content_as_in_ingest(
    socket_path: Path,
) -> None:
    async with models(socket_path, FakeLoader()) as remote:
        with pytest.raises(RuntimeError, match="the encoder raised"):
            await asyncio.to_thread(
                remote.open(PICTURES).encode, [Sound(np.zeros(0, np.float32), 1)]
            )


@pytest.mark.asyncio
async def test_a_write_has_one_time_limit_for_all_it_needs(socket_path: Path) -> None:
    async with models(socket_path, FakeLoader(), timeout_seconds=0.2) as remote:
        await asyncio.to_thread(remote.open(WORDS).encode, ["a"])
        await asyncio.sleep(0.3)
        with pytest.raises(DeadlineExceeded, match=r"0\.2 s"):
            await asyncio.to_thread(remote.open(WORDS).encode, ["a"])


def test_windows_come_back_as_they_were_sent() -> None:
    known = RecordingLanguage("fr")
    sound = Sound(np.arange(5, dtype=np.float32), 16_000)
    sent = SpeechWindow(sound, 3.5, ((3.5, 3.6),), known)
    packed, recordings = pack_windows([sent, sent])
    (first, second), copies = unpack_windows(packed, [each.state() for each in recordings])
    assert len(copies) == 1
    assert first.recording is second.recording is copies[0]
    assert (copies[0].language, copies[0].is_certain) == ("fr", True)
    assert (first.start_seconds, first.voiced) == (3.5, ((3.5, 3.6),))
    np.testing.assert_array_equal(first.sound.samples, sound.samples)
