"""What is remembered of questions in words, and what is not."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from encoders.config import SentenceConfig, WholeSegments
from encoders.encoder import EncoderIdentity
from encoders.query_encoding import ChannelQuery, FileQuery
from encoders.query_plan import PlannedChannel, QueryPlan, plan_queries
from encoders.serving.errors import Overloaded
from search_api.remembered_texts import RememberedTexts

DIM = 8


def _plan() -> QueryPlan:
    channels = {
        name: PlannedChannel(encoder=SentenceConfig(model=model), segments=WholeSegments())
        for name, model in (("titles", "small"), ("passages", "small"), ("words", "large"))
    }
    return plan_queries(
        channels,
        lambda config: EncoderIdentity(config.model, f"space-{config.model}", DIM, "text"),  # type: ignore[union-attr]
    )


class CountingEncoder:
    """Answers with a vector of the text's length and keeps what it was asked."""

    def __init__(self) -> None:
        self.plan = _plan()
        self.asked: list[tuple[str, tuple[str, ...]]] = []
        self.error: Exception | None = None

    async def encode_text(self, text: str, channels: Sequence[str]) -> Mapping[str, ChannelQuery]:
        self.asked.append((text, tuple(channels)))
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        return {
            name: ChannelQuery(
                self.plan.identities[name].space_id, np.full((1, DIM), len(text), np.float32)
            )
            for name in channels
        }

    async def encode_file(self, path: Path, channels: Sequence[str]) -> FileQuery:
        raise AssertionError("no file is asked with here")


def _remembering(max_bytes: int = 1_000_000) -> tuple[RememberedTexts, CountingEncoder, list[bool]]:
    encoder, told = CountingEncoder(), list[bool]()
    texts = RememberedTexts(encoder, max_bytes=max_bytes, on_question=told.append)
    return texts, encoder, told


def test_the_same_question_is_encoded_once_and_answered_alike() -> None:
    texts, encoder, told = _remembering()
    first = asyncio.run(texts.encode_text("a dog", ["titles", "words"]))
    again = asyncio.run(texts.encode_text("a dog", ["titles", "words"]))
    assert encoder.asked == [("a dog", ("titles", "words"))]
    assert told == [False, True]
    assert list(again) == list(first)
    for name in first:
        assert again[name].space_id == first[name].space_id
        np.testing.assert_array_equal(again[name].vectors, first[name].vectors)


def test_channels_of_one_encoder_share_what_is_remembered_and_others_do_not() -> None:
    texts, encoder, _ = _remembering()
    asyncio.run(texts.encode_text("a dog", ["titles"]))
    asyncio.run(texts.encode_text("a dog", ["passages"]))
    assert len(encoder.asked) == 1
    asyncio.run(texts.encode_text("a dog", ["words"]))
    assert len(encoder.asked) == 2


def test_errors_are_not_remembered() -> None:
    texts, encoder, told = _remembering()
    encoder.error = Overloaded("full")
    with pytest.raises(Overloaded):
        asyncio.run(texts.encode_text("a dog", ["titles"]))
    encoder.error = None
    assert asyncio.run(texts.encode_text("a dog", ["titles"]))["titles"].vectors[0, 0] == 5
    assert told == [False, False]


def test_memory_is_bounded_and_the_least_recently_asked_goes_first() -> None:
    texts, _, told = _remembering(max_bytes=2_000)  # room for three
    for text in ("one", "two", "six", "one", "ten"):
        asyncio.run(texts.encode_text(text, ["titles"]))
    assert texts.num_bytes <= 2_000
    told.clear()
    for text in ("one", "two"):
        asyncio.run(texts.encode_text(text, ["titles"]))
    assert told == [True, False]


def test_nothing_is_remembered_with_no_memory() -> None:
    texts, encoder, _ = _remembering(max_bytes=0)
    for _ in range(2):
        asyncio.run(texts.encode_text("a dog", ["titles"]))
    assert len(encoder.asked) == 2
    assert texts.num_bytes == 0


def test_askers_of_the_same_at_the_same_time_leave_one_entry() -> None:
    texts, _, _ = _remembering()

    async def both() -> None:
        await asyncio.gather(*(texts.encode_text("a dog", ["titles"]) for _ in range(2)))

    asyncio.run(both())
    assert texts.num_bytes < 2 * 600


def test_what_is_remembered_cannot_be_changed_by_an_asker() -> None:
    texts, _, _ = _remembering()
    query = asyncio.run(texts.encode_text("a dog", ["titles"]))["titles"]
    with pytest.raises(ValueError, match="read-only"):
        query.vectors[0, 0] = 1.0
