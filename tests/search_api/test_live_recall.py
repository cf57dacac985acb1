"""Recall of live searches, told by ``/metrics``."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import numpy as np
import pytest
from litestar.testing import TestClient

from encoders.media.content import Segment
from encoders.media.sandbox import DecodeSandbox
from indexer.catalog.records import ChannelVectors, ItemRecord, ItemWrite
from indexer.config import IndexConfig
from indexer.live_view import LiveView
from indexer.reindex import reindex
from search_api.app import create_app
from search_api.live_recall import UNFILTERED, band_of
from search_api.query_vectors import LocalQueryEncoder
from search_api.settings import Settings
from tests.fake_encoders import DIM
from tests.indexer.stored_items import random_vectors
from tests.search_api.small_collection import SmallCollection

NUM_ITEMS = 3000
POOR = IndexConfig(factory="PQ8x4", target_recall=0.01)
"""Vectors of 64 dimensions known by 4 bytes each."""


def stock(small: SmallCollection, index: IndexConfig) -> None:
    """Publish many random passages in an index of a kind."""
    passages = msgspec.structs.replace(small.config.channels["passages"], index=index)
    channels = {**small.config.channels, "passages": passages}
    small.config = msgspec.structs.replace(small.config, channels=channels)
    identity = small.identities()["passages"]
    vectors = random_vectors(NUM_ITEMS, DIM, seed=3)
    writes = [
        ItemWrite(
            ItemRecord(
                item_id=f"text-{number:05}",
                medium="text",
                format="plain",
                source="/media",
                relative_path=f"{number}.txt",
                location=f"/media/{number}.txt",
                content_sha256=f"{number:064}",
                size_bytes=1,
                mtime_ns=1,
                attributes={"year": number, "language": "en" if number % 2 else "de"},
            ),
            (
                ChannelVectors(
                    channel="passages",
                    encoder_id=identity.encoder_id,
                    space_id=identity.space_id,
                    segmentation_id="cut",
                    source_sha256=f"{number:064}",
                    segments=(Segment(text=f"passage {number}"),),
                    vectors=vectors[number : number + 1],
                ),
            ),
        )
        for number in range(NUM_ITEMS)
    ]
    small.catalog.register_collection(small.config)
    small.catalog.write(small.config.name, writes)
    reindex(small.catalog, small.data_dir, small.config, small.identities(), force=True)


@contextmanager
def served(small: SmallCollection, every: int) -> Iterator[TestClient[Any]]:
    settings = Settings(
        data_dir=str(small.data_dir.root),
        models_dir=str(small.folder),
        collection=str(small.config_path),
        recall_sample_every=every,
    )
    with DecodeSandbox() as sandbox:
        encoder = LocalQueryEncoder(small.loader, small.config, sandbox)
        with TestClient(create_app(settings, make_encoder=lambda *_: encoder)) as client:
            yield client


def ask(client: TestClient[Any], text: str, **options: Any) -> None:
    body = {"query": {"text": text}, "channels": ["passages"], "limit": 5, **options}
    answer = client.post("/v1/search", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["hits"]


def figures(client: TestClient[Any]) -> dict[str, float]:
    """Return the metrics of recall: ``found unfiltered``, ``samples taken`` …"""
    told = {}
    for line in client.get("/metrics").text.splitlines():
        if line.startswith("kindred_recall_") and "_total{" in line:
            name = line.removeprefix("kindred_recall_").split("_total")[0]
            labels, value = line.split("{")[1].rsplit("} ", 1)
            label = dict(re.findall(r'(\w+)="([^"]*)"', labels))
            told[f"{name} {label.get('band') or label['outcome']}"] = float(value)
    return told


def until(client: TestClient[Any], reached: Callable[[dict[str, float]], bool]) -> dict[str, float]:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        told = figures(client)
        if reached(told):
            return told
        time.sleep(0.02)
    raise AssertionError(f"not within 30 s: {told}")


def ask_and_wait(client: TestClient[Any], *texts: str, **options: Any) -> dict[str, float]:
    """Ask one after the other and wait for each sample, so that none is dropped."""
    told = figures(client)
    for text in texts:
        before = told.get("samples taken", 0.0)
        ask(client, text, **options)
        told = until(client, lambda now, before=before: now.get("samples taken", 0.0) > before)
    return told


WORDS = ("red", "green moon", "a fox", "sea and sand", "loud engine")


def test_an_exact_index_recalls_everything_with_filters_too(small: SmallCollection) -> None:
    stock(small, IndexConfig(engine="exact"))
    with served(small, every=1) as client:
        told = ask_and_wait(client, *WORDS)
        assert told["expected unfiltered"] == 10 * len(WORDS)
        told = ask_and_wait(client, *WORDS, filter={"field": "language", "equals": "en"})
        told = ask_and_wait(client, *WORDS, filter={"field": "year", "range": {"lt": 20}})
    for band in (UNFILTERED, "10-100 %", "0.1-1 %"):
        assert told[f"found {band}"] == told[f"expected {band}"] == 10 * len(WORDS)


def test_a_poor_index_shows_that_it_misses_neighbours(small: SmallCollection) -> None:
    stock(small, POOR)
    with served(small, every=1) as client:
        told = ask_and_wait(client, *WORDS)
        few = ask_and_wait(client, "red", filter={"field": "year", "range": {"lt": 5}})
    assert told["expected unfiltered"] == 10 * len(WORDS)
    assert 0 < told["found unfiltered"] < 0.9 * told["expected unfiltered"]
    assert few["expected 0.1-1 %"] == 5, "a filter that leaves fewer than 10"


def test_fresh_writes_and_deleted_items_are_part_of_what_is_true(small: SmallCollection) -> None:
    stock(small, IndexConfig(engine="exact"))
    small.catalog.delete(small.config.name, [f"text-{number:05}" for number in range(0, 3000, 3)])
    small.text("late", ["red", "red red"])
    with served(small, every=1) as client:
        told = ask_and_wait(client, *WORDS)
    assert told["found unfiltered"] == told["expected unfiltered"] == 10 * len(WORDS)


def test_nothing_is_sampled_when_that_is_turned_off(small: SmallCollection) -> None:
    with served(small, every=0) as client:
        for _ in range(20):
            ask(client, "red")
        assert figures(client) == {}


def test_a_sample_that_fails_is_counted_and_the_search_is_answered(
    small: SmallCollection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: LiveView, *arguments: object) -> None:
        raise RuntimeError("not today")

    monkeypatch.setattr(LiveView, "search_exactly", broken)
    with served(small, every=1) as client:
        ask(client, "red")
        told = until(client, lambda now: now.get("samples failed") == 1)
        assert "samples taken" not in told
        monkeypatch.undo()
        ask_and_wait(client, "red")


def test_searches_are_answered_while_a_sample_is_under_way_and_are_not_queued(
    small: SmallCollection, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()
    exactly = LiveView.search_exactly

    def slow(self: LiveView, *arguments: Any) -> Any:
        begun.set()
        go_on.wait(30)
        return exactly(self, *arguments)

    monkeypatch.setattr(LiveView, "search_exactly", slow)
    with served(small, every=1) as client:
        ask(client, "red")
        assert begun.wait(30)
        for _ in range(5):
            ask(client, "red")
        assert figures(client) == {"samples dropped": 5.0}
        go_on.set()
        until(client, lambda now: now.get("samples taken") == 1)


def test_one_in_so_many_searches_is_sampled(small: SmallCollection) -> None:
    with served(small, every=4) as client:
        for _ in range(80):
            ask(client, "red")
        told = until(client, lambda now: sum(now.get(f"samples {k}", 0) for k in KINDS) > 0)
    drawn = sum(told.get(f"samples {kind}", 0) for kind in KINDS)
    assert 3 <= drawn <= 50, "20 on average"


KINDS = ("taken", "dropped", "failed")


@pytest.mark.parametrize(
    ("num_selected", "band"),
    [
        (100_000, "10-100 %"),
        (10_000, "10-100 %"),
        (9_999, "1-10 %"),
        (100, "0.1-1 %"),
        (99, "0.01-0.1 %"),
        (10, "0.01-0.1 %"),
        (1, "below 0.01 %"),
    ],
)
def test_bands_of_selectivity(num_selected: int, band: str) -> None:
    assert band_of(num_selected, 100_000) == band


def test_exact_search_equals_exact_index_over_snapshot_and_delta(small: SmallCollection) -> None:
    stock(small, POOR)
    small.text("late", ["red", "blue"])
    small.live.refresh()
    view = small.live.view()
    rows = view.num_selected("passages", None)
    queries = random_vectors(4, DIM, seed=8)
    found = view.search_exactly("passages", queries, 10)
    everything = view.vectors("passages", np.arange(rows))
    best = np.sort(queries @ everything.T, axis=1)[:, ::-1][:, :10]
    np.testing.assert_allclose(found.scores, best, atol=1e-5)
