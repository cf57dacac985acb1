"""Filters on their way to an engine that filters by itself: what is asked, what comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import pytest

from encoders.media.sandbox import DecodeSandbox
from indexer.ann import qdrant_build, qdrant_index
from indexer.config import parse_collection
from indexer.live_view import LiveCollection
from indexer.reindex import reindex
from search_api.query_vectors import LocalQueryEncoder
from search_api.schemas import SearchOptions, SearchRequest
from search_api.searcher import Searcher
from tests.indexer.ann.fake_qdrant import FakeQdrant
from tests.indexer.qdrant_collection import be_hasty, on_server
from tests.search_api.small_collection import CONFIG_YAML, SmallCollection

EN = {"field": "language", "equals": "en"}
EN_CLAUSE = {"key": "attributes.language", "match": {"any": ["en"]}}
LARGE = {"field": "size_bytes", "range": {"gte": 1}}


class Asked:
    """A searcher over passages and titles that are on a server, and what that is asked."""

    def __init__(self, fake: FakeQdrant, searcher: Searcher, live: LiveCollection) -> None:
        self.fake = fake
        self.searcher = searcher
        self.live = live

    def __call__(self, filter: Any, **options: Any) -> tuple[list[str], list[Any]]:
        """Return the items found and the conditions that the server was sent."""
        body = {"query": {"text": "red fox"}, "channels": ["passages"], "filter": filter}
        self.fake.requests.clear()
        request = msgspec.convert({**body, **options}, SearchRequest)
        answer = asyncio.run(self.searcher.search(request))
        return [hit.item_id for hit in answer.hits], self.sent

    @property
    def sent(self) -> list[Any]:
        """The conditions that the server was sent."""
        return [
            search.get("filter")
            for _, path, asked in self.fake.requests
            if path.endswith("/query/batch")
            for search in asked["searches"]
        ]


@pytest.fixture
def asked(small: SmallCollection, monkeypatch: pytest.MonkeyPatch) -> Iterator[Asked]:
    be_hasty(monkeypatch)
    # So few rows would be compared one by one.
    monkeypatch.setattr(qdrant_build, "EXACT_BELOW_ROWS", 0)
    monkeypatch.setattr(qdrant_index, "EXACT_SURVIVORS", 0)
    monkeypatch.setattr(qdrant_index, "COMPARED_PER_CANDIDATE", 0)
    for number in range(12):
        language = "en" if number % 2 else "de"
        small.text(f"more-{number}", [f"a red thing number {number}"], language=language)
    fake = FakeQdrant()
    yaml = CONFIG_YAML.replace("max_words: 8}", "max_words: 8}\n    index: {engine: exact}")
    config = parse_collection(on_server(yaml, fake.url))
    reindex(small.catalog, small.data_dir, config, small.identities())
    live = LiveCollection(small.catalog, small.data_dir, config, small.identities())
    with DecodeSandbox() as sandbox:
        encoder = LocalQueryEncoder(small.loader, config, sandbox)
        yield Asked(fake, Searcher(config, live.view, encoder), live)
    fake.stop()


ENGLISH = {"story-2", *(f"more-{number}" for number in range(1, 12, 2))}


def test_a_filter_on_attributes_is_sent_along(asked: Asked) -> None:
    found, sent = asked(EN, limit=100)
    assert set(found) == ENGLISH
    assert sent
    assert all(each == {"must": [EN_CLAUSE]} for each in sent)


def test_of_a_filter_on_more_only_a_part_is_sent(asked: Asked) -> None:
    found, sent = asked({"and": [EN, LARGE]}, limit=100)
    assert set(found) == ENGLISH
    assert sent
    assert all(each == {"must": [EN_CLAUSE]} for each in sent)


def test_a_filter_on_nothing_else_than_files_is_left_to_the_mask(asked: Asked) -> None:
    found, sent = asked({"field": "item_id", "in": ["story-1", "more-3"]}, limit=100)
    assert found[0] == "story-1"
    assert set(found) == {"story-1", "more-3"}
    assert all(each is None for each in sent)


def test_the_mask_decides_about_media_deletions_and_what_is_new(
    asked: Asked, small: SmallCollection
) -> None:
    small.catalog.delete(small.config.name, ["more-1", "more-3"])
    small.text("late", ["the red fox again"], language="en")
    small.text("story-2", ["a red fox now in german"], language="de")
    asked.live.refresh()
    found, sent = asked(EN, limit=100, modalities=["text"])
    assert found[0] == "late"
    assert set(found) == {*ENGLISH, "late"} - {"more-1", "more-3", "story-2"}
    assert all(each == {"must": [EN_CLAUSE]} for each in sent)
    assert asked(EN, modalities=["image"], channels=["titles"])[1] == []


def test_so_is_one_for_many_vectors(asked: Asked) -> None:
    options = msgspec.convert({"filter": EN, "limit": 3}, SearchOptions)
    vectors = asked.live.view().vectors("passages", np.arange(2))
    asked.fake.requests.clear()
    answer = asyncio.run(asked.searcher.search_vectors(vectors.tobytes(), "passages", options))
    assert {item_id for each in answer.item_ids for item_id in each} <= ENGLISH
    assert len(asked.sent) >= 2
    assert all(each == {"must": [EN_CLAUSE]} for each in asked.sent)
