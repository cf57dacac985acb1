import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from encoders.config import ConceptsConfig, EncoderConfig, SentenceConfig
from encoders.encoder import EncoderIdentity
from encoders.media.content import Picture
from encoders.serving.errors import DeadlineExceeded, Overloaded
from encoders.serving.micro_batcher import DEFAULT_LIMITS, BatchLimits, MicroBatcher
from encoders.space import Vectors
from tests.fake_encoders import FakeLoader

TEXTS = SentenceConfig()
OTHER_TEXTS = SentenceConfig(model="other")
PICTURES = ConceptsConfig(classifier="efficientnet_lite2")


class HeldEncoder:
    """An encoder that waits until the test lets it go on."""

    def __init__(self, inner: Any, gate: threading.Event, entered: threading.Event) -> None:
        self.inner, self.gate, self.entered = inner, gate, entered

    @property
    def identity(self) -> EncoderIdentity:
        identity: EncoderIdentity = self.inner.identity
        return identity

    def encode(self, batch: Sequence[Any]) -> Vectors:
        self.entered.set()
        assert self.gate.wait(30)
        vectors: Vectors = self.inner.encode(batch)
        return vectors


class Held:
    """A batcher whose first batch is held, so that what follows must queue."""

    def __init__(self, limits: BatchLimits = DEFAULT_LIMITS) -> None:
        self.loader = FakeLoader()
        self.gate, self.entered = threading.Event(), threading.Event()
        self.order: list[EncoderConfig] = []
        self.batcher = MicroBatcher(self._open, limits)

    def _open(self, config: EncoderConfig) -> HeldEncoder:
        self.order.append(config)
        return HeldEncoder(self.loader.open(config), self.gate, self.entered)

    async def hold(self) -> asyncio.Task[Vectors]:
        first = asyncio.create_task(self.batcher.encode(TEXTS, ["first"]))
        assert await asyncio.to_thread(self.entered.wait, 30)
        return first

    def batches(self, config: EncoderConfig = TEXTS) -> list[list[Any]]:
        return self.loader.open(config).batches


@pytest.fixture
def held() -> Iterator[Held]:
    held = Held()
    yield held
    held.gate.set()
    held.batcher.close()


async def queued(
    held: Held, *asked: tuple[EncoderConfig, list[Any]]
) -> list[asyncio.Task[Vectors]]:
    tasks = [asyncio.create_task(held.batcher.encode(*one)) for one in asked]
    await asyncio.sleep(0)
    return tasks


@pytest.mark.asyncio
async def test_what_waited_is_one_batch_with_equal_texts_once(held: Held) -> None:
    first = await held.hold()
    tasks = await queued(held, (TEXTS, ["red"]), (TEXTS, ["blue", "red"]), (TEXTS, ["red"]))
    held.gate.set()
    vectors = await asyncio.gather(first, *tasks)
    assert held.batches() == [["first"], ["red", "blue"]]
    alone = held.loader.open(TEXTS)
    np.testing.assert_array_equal(vectors[1], alone.encode(["red"]))
    np.testing.assert_array_equal(vectors[2], alone.encode(["blue", "red"]))
    np.testing.assert_array_equal(vectors[3], alone.encode(["red"]))


@pytest.mark.asyncio
async def test_words_go_before_files_that_came_earlier(held: Held) -> None:
    first = await held.hold()
    picture = Picture(np.zeros((2, 2, 3), dtype=np.uint8))
    tasks = await queued(held, (PICTURES, [picture]), (TEXTS, ["red"]))
    held.gate.set()
    await asyncio.gather(first, *tasks)
    assert held.order == [TEXTS, TEXTS, PICTURES]


@pytest.mark.asyncio
async def test_different_encoders_are_different_batches_in_order_of_arrival(held: Held) -> None:
    first = await held.hold()
    tasks = await queued(held, (TEXTS, ["a"]), (OTHER_TEXTS, ["b"]), (TEXTS, ["c"]))
    held.gate.set()
    await asyncio.gather(first, *tasks)
    assert held.batches() == [["first"], ["a", "c"]]
    assert held.batches(OTHER_TEXTS) == [["b"]]


@pytest.mark.asyncio
async def test_a_full_queue_refuses_at_once() -> None:
    held = Held(BatchLimits(max_waiting=2))
    first = await held.hold()
    tasks = await queued(held, (TEXTS, ["a"]), (TEXTS, ["b"]))
    with pytest.raises(Overloaded, match="2 requests wait"):
        await held.batcher.encode(TEXTS, ["c"])
    held.gate.set()
    await asyncio.gather(first, *tasks)
    held.batcher.close()


@pytest.mark.asyncio
async def test_a_batch_holds_as_many_as_it_may() -> None:
    held = Held(BatchLimits(max_contents=2))
    first = await held.hold()
    tasks = await queued(held, *((TEXTS, [word]) for word in "abc"))
    held.gate.set()
    await asyncio.gather(first, *tasks)
    assert held.batches() == [["first"], ["a", "b"], ["c"]]
    held.batcher.close()


@pytest.mark.asyncio
async def test_a_question_may_wait_for_company_until_the_batch_is_full() -> None:
    held = Held(BatchLimits(max_contents=2, max_wait_seconds=60.0))
    held.gate.set()
    alone = asyncio.create_task(held.batcher.encode(TEXTS, ["a"]))
    await asyncio.sleep(0.1)
    assert held.batches() == []
    await asyncio.gather(alone, held.batcher.encode(TEXTS, ["b"]))
    assert held.batches() == [["a", "b"]]
    held.batcher.close()


@pytest.mark.asyncio
async def test_a_question_without_company_is_encoded_when_its_wait_is_over() -> None:
    held = Held(BatchLimits(max_wait_seconds=0.05))
    held.gate.set()
    await held.batcher.encode(TEXTS, ["a"])
    assert held.batches() == [["a"]]
    held.batcher.close()


@pytest.mark.asyncio
async def test_a_passed_deadline_is_dropped_before_encoding(held: Held) -> None:
    first = await held.hold()
    late = asyncio.create_task(held.batcher.encode(TEXTS, ["late"], deadline=time.monotonic() - 1))
    tasks = await queued(held, (TEXTS, ["in time"]))
    held.gate.set()
    with pytest.raises(DeadlineExceeded):
        await late
    await asyncio.gather(first, *tasks)
    assert held.batches() == [["first"], ["in time"]]


@pytest.mark.asyncio
async def test_a_cancelled_request_is_not_encoded(held: Held) -> None:
    first = await held.hold()
    gone, kept = await queued(held, (TEXTS, ["gone"]), (TEXTS, ["kept"]))
    gone.cancel()
    await asyncio.sleep(0)
    held.gate.set()
    await asyncio.gather(first, kept)
    assert held.batches() == [["first"], ["kept"]]


@pytest.mark.asyncio
async def test_an_error_reaches_everybody_who_asked_and_the_next_batch_runs() -> None:
    loader = FakeLoader()

    def open_encoder(config: EncoderConfig) -> Any:
        if config == OTHER_TEXTS:
            raise ValueError("no such model")
        return loader.open(config)

    batcher = MicroBatcher(open_encoder)
    with pytest.raises(ValueError, match="no such model"):
        await batcher.encode(OTHER_TEXTS, ["a"])
    assert (await batcher.encode(TEXTS, ["a"])).shape == (1, 64)
    batcher.close()


@pytest.mark.asyncio
async def test_a_content_that_fails_fails_its_own_asker_only(held: Held) -> None:
    first = await held.hold()
    encoder = held.loader.open(TEXTS)
    encode = encoder.encode

    def picky(batch: Sequence[Any]) -> Vectors:
        if "poison" in batch:
            raise ValueError("poison")
        return encode(batch)

    encoder.encode = picky  # type: ignore[method-assign]
    good, bad = await queued(held, (TEXTS, ["red"]), (TEXTS, ["poison"]))
    held.gate.set()
    await first
    with pytest.raises(ValueError, match="poison"):
        await bad
    np.testing.assert_array_equal(await good, encode(["red"]))


@pytest.mark.asyncio
async def test_questions_go_before_what_is_stored() -> None:
    held = Held()
    first = await held.hold()
    picture = Picture(np.zeros((2, 2, 3), np.uint8))
    stored = [
        asyncio.create_task(held.batcher.encode(TEXTS, [text], to_store=True)) for text in "ab"
    ]
    await asyncio.sleep(0.05)
    asked = asyncio.create_task(held.batcher.encode(PICTURES, [picture]))
    await asyncio.sleep(0.05)
    held.gate.set()
    await asyncio.gather(first, asked, *stored)
    held.batcher.close()
    assert held.order == [TEXTS, PICTURES, TEXTS, TEXTS]
    assert held.batches()[-2:] == [["a"], ["b"]], "never joined: a question waits for one of them"


@pytest.mark.asyncio
async def test_writes_have_a_queue_of_their_own_and_a_limit() -> None:
    held = Held(BatchLimits(max_waiting=1, max_waiting_writes=1))
    first = await held.hold()
    stored = asyncio.create_task(held.batcher.encode(TEXTS, ["a"], to_store=True))
    await asyncio.sleep(0.05)
    with pytest.raises(Overloaded):
        await held.batcher.encode(TEXTS, ["b"], to_store=True)
    asked = asyncio.create_task(held.batcher.encode(TEXTS, ["question"]))
    await asyncio.sleep(0.05)
    held.gate.set()
    await asyncio.gather(first, asked, stored)
    held.batcher.close()
