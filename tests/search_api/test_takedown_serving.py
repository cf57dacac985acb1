"""A takedown in the real server: two workers, one of which purges while both serve."""

from __future__ import annotations

import contextlib
from pathlib import Path

import httpx
import pytest

from encoders.loading import EncoderLoader
from encoders.models.folder import ModelFolder
from indexer.catalog.catalog import Catalog
from indexer.config import load_collection
from indexer.data_dir import DataDir
from indexer.pipeline import channel_identities
from indexer.reindex import reindex
from tests.search_api.test_server import (
    TEXTS,
    RunningServer,
    store_texts,
    wait_until,
    workers_of,
)

NUM_CONNECTIONS = 12
"""Fresh ones, so that each worker gets some."""


def found(server: RunningServer) -> set[str]:
    """Return every item that any worker finds."""
    ids = set()
    for _ in range(NUM_CONNECTIONS):
        body = {"query": {"text": "weather"}, "limit": 50}
        answer = httpx.post(f"http://127.0.0.1:{server.port}/v1/search", json=body, timeout=30)
        assert answer.status_code == 200, answer.text
        ids |= {hit["item_id"] for hit in answer.json()["hits"]}
    return ids


def files_holding(folder: Path, *needles: bytes) -> list[str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path.name for path in files if any(one in path.read_bytes() for one in needles)]


@pytest.mark.weights
def test_a_purge_while_two_workers_serve_leaves_no_byte(
    tmp_path: Path, loader: EncoderLoader, models: ModelFolder
) -> None:
    data_dir, config = DataDir(tmp_path / "data"), load_collection("starter")
    store_texts(data_dir, loader)
    identities = channel_identities(config, loader)
    with Catalog.open(data_dir) as catalog:
        reindex(catalog, data_dir, config, identities)
        reindex(catalog, data_dir, config, identities)
    words = TEXTS["storm"].encode()
    vector = loader.open(config.channels["passages"].encoder).encode([TEXTS["storm"]])[0]
    half = vector.astype("<f2")
    needles = (words, half.tobytes(), half.astype("<f4").tobytes())
    for needle in (words, needles[2]):
        assert len(files_holding(data_dir.root / "snapshots", needle)) == 2
    assert files_holding(data_dir.root, needles[1]) == ["catalog.sqlite"]

    with contextlib.closing(RunningServer(tmp_path, models, workers=2)) as server:
        wait_until(lambda: server.status("/readyz") == 200, "the server is ready")
        assert found(server) == set(TEXTS)
        workers = workers_of(server)
        hidden = server.http.post("/v1/takedown", json={"item_ids": ["storm"]}).json()
        assert len(hidden["erased_by"]["snapshots"]) == 2
        wait_until(lambda: "storm" not in found(server), "both workers hide it")
        body = {"item_ids": ["storm"], "purge": True}
        purged = server.http.post("/v1/takedown", json=body, timeout=120)
        assert purged.status_code == 200, purged.text
        assert purged.json()["held_by"] == []
        assert files_holding(data_dir.root, *needles) == []
        assert found(server) == set(TEXTS) - {"storm"}
        assert [worker.pid for worker in workers_of(server)] == [worker.pid for worker in workers]
        before = server.http.get(f"/v1/takedowns/{hidden['takedown_id']}").json()
        assert before["erased_at"] is not None, "the first takedown of it is fulfilled as well"
