"""Another model takes over in a running server, and the one of before comes back."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from encoders.loading import EncoderLoader
from encoders.media.content import Segment
from encoders.media.segmentation import segmentation_id
from encoders.models.folder import ModelFolder
from indexer.backfill import backfill
from indexer.catalog.catalog import Catalog
from indexer.catalog.records import ChannelVectors, ItemRecord, ItemWrite
from indexer.config import CollectionConfig, load_collection
from indexer.data_dir import DataDir
from indexer.pipeline import IngestOptions, channel_identities
from indexer.reindex import reindex
from tests.search_api.test_server import TEXTS, RunningServer, wait_until

COLLECTION = """
name: texts
channels:
  passages:
    media: [text]
    segments: {{kind: passages, max_words: 120}}
    encoder: {{family: sentence_transformers{model}}}
"""
QUESTIONS = {"a young cat": "kitten", "shares lost value": "stocks", "bad weather": "storm"}


@dataclass
class Asker:
    """Asks without a pause and keeps what was answered."""

    url: str
    wrong: list[Any] = field(default_factory=list)
    snapshots: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        with httpx.Client(base_url=self.url, timeout=30) as http:
            while not self._stopping.is_set():
                for text, item_id in QUESTIONS.items():
                    body = {"query": {"text": text}, "limit": 3}
                    answer = http.post("/v1/search", json=body)
                    if answer.status_code != 200:
                        self.wrong.append((answer.status_code, answer.text))
                        continue
                    found = answer.json()
                    if [hit["item_id"] for hit in found["hits"]][:1] != [item_id]:
                        self.wrong.append((text, found))
                    if found["snapshot"] not in self.snapshots[-1:]:
                        self.snapshots.append(found["snapshot"])


@dataclass
class Texts:
    """A collection of texts and its two models."""

    data_dir: DataDir
    catalog: Catalog
    loader: EncoderLoader
    old: CollectionConfig
    new: CollectionConfig
    path: Path
    """The collection's file; it names the old model."""

    def publish(self, config: CollectionConfig) -> str:
        identities = channel_identities(config, self.loader)
        report = reindex(self.catalog, self.data_dir, config, identities)
        assert report.manifest is not None
        return report.manifest.snapshot_id


@pytest.fixture
def texts(tmp_path: Path, loader: EncoderLoader) -> Iterator[Texts]:
    path = tmp_path / "texts.yaml"
    path.write_text(COLLECTION.format(model=", dim: 256"))
    new = load_collection(path)
    path.write_text(COLLECTION.format(model=""))
    old = load_collection(path)
    data_dir = DataDir(tmp_path / "data")
    with Catalog.open(data_dir) as catalog:
        catalog.register_collection(old)
        channel = old.channels["passages"]
        identity = loader.identify(channel.encoder)
        vectors = loader.open(channel.encoder).encode(list(TEXTS.values()))
        for row, (item_id, text) in enumerate(TEXTS.items()):
            sha256 = f"{row:064x}"
            made = ChannelVectors(
                "passages",
                identity.encoder_id,
                identity.space_id,
                segmentation_id(channel.segments),
                sha256,
                (Segment(text=text),),
                vectors[row : row + 1],
            )
            item = ItemRecord(item_id, "text", "plain", "test", item_id, item_id, sha256, 1, 1)
            catalog.write(old.name, [ItemWrite(item, (made,))])
        yield Texts(data_dir, catalog, loader, old, new, path)


@pytest.fixture
def start(
    tmp_path: Path, models: ModelFolder, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[Path], RunningServer]]:
    started: list[RunningServer] = []

    def start(collection: Path) -> RunningServer:
        monkeypatch.setenv("KINDRED_COLLECTION", str(collection))
        monkeypatch.setenv("KINDRED_DRAIN_SECONDS", "1")
        started.append(RunningServer(tmp_path, models, workers=2))
        return started[-1]

    yield start
    for server in started:
        server.close()


def num_encoders(server: RunningServer) -> int:
    command = "encoders.serving.encoder_process"
    count = 0
    for process in server.children():
        with contextlib.suppress(psutil.NoSuchProcess):  # zombies are gone, too
            count += command in process.cmdline()
    return count


def dim_of(server: RunningServer) -> int:
    (collection,) = server.http.get("/v1/collections").json()["collections"]
    dim: int = collection["channels"]["passages"]["dim"]
    return dim


@pytest.mark.weights
def test_a_new_model_takes_over_and_the_old_one_comes_back_without_one_wrong_answer(
    texts: Texts, start: Callable[[Path], RunningServer]
) -> None:
    first = texts.publish(texts.old)
    server = start(texts.path)
    wait_until(lambda: server.status("/readyz") == 200, "the server is ready")
    asker = Asker(str(server.http.base_url))
    try:
        report = backfill(texts.catalog, texts.new, texts.loader, IngestOptions())
        assert report.num_from_words == len(TEXTS)
        second = texts.publish(texts.new)
        wait_until(lambda: asker.snapshots[-1:] == [second], "the new model answers")
        wait_until(lambda: num_encoders(server) == 1, "the old model's process has ended")
        wait_until(lambda: dim_of(server) == 256, "every worker has switched")

        back = server.http.post("/v1/rollback", json={})
        assert back.status_code == 200, back.text
        assert back.json()["snapshot"] == first
        wait_until(lambda: asker.snapshots[-1:] == [first], "the old model answers again")
        wait_until(lambda: num_encoders(server) == 1, "the new model's process has ended")
    finally:
        asker.stop()
    assert asker.wrong == []
    assert {first, second} == set(asker.snapshots)


@pytest.mark.weights
def test_a_server_that_starts_before_the_switch_serves_the_snapshot_that_there_is(
    texts: Texts, start: Callable[[Path], RunningServer]
) -> None:
    """The collection's file names the new model already; nothing is encoded with it yet."""
    texts.publish(texts.old)
    texts.path.write_text(COLLECTION.format(model=", dim: 256"))
    server = start(texts.path)
    wait_until(lambda: server.status("/readyz") == 200, "the server is ready")
    answer = server.http.post("/v1/search", json={"query": {"text": "a young cat"}})
    assert answer.json()["hits"][0]["item_id"] == "kitten"
    assert dim_of(server) == 384
