"""Which snapshots there are, and going back to one, over HTTP."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from litestar.testing import TestClient

from indexer.publish import finished_snapshots
from indexer.reindex import reindex
from tests.search_api.small_collection import SmallCollection


def publish(small: SmallCollection) -> str:
    report = reindex(small.catalog, small.data_dir, small.config, small.identities())
    assert report.manifest is not None
    return report.manifest.snapshot_id


def until_served(client: TestClient[Any], snapshot_id: str) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        served = client.get("/v1/collections").json()["collections"][0]["snapshot"]
        if served == snapshot_id:
            return
        time.sleep(0.05)
    raise AssertionError(f"after 30 s {served} is served, not {snapshot_id}")


def found(client: TestClient[Any]) -> set[str]:
    body = {"query": {"text": "red"}, "channels": ["pictures"], "limit": 50}
    answer = client.post("/v1/search", json=body).json()
    return {hit["item_id"] for hit in answer["hits"]}


def test_there_are_none_before_the_first(client: TestClient[Any]) -> None:
    assert client.get("/v1/snapshots").json() == {"snapshots": []}
    refused = client.post("/v1/rollback", json={})
    assert refused.status_code == 404
    assert refused.json()["code"] == "no_such_snapshot"


def test_rolling_back_serves_the_earlier_one_and_every_write(
    client: TestClient[Any], small: SmallCollection
) -> None:
    first = publish(small)
    small.picture("red-late", "red")
    second = publish(small)
    until_served(client, second)
    before = found(client)
    assert "red-late" in before
    answer = client.post("/v1/rollback", json={})
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"snapshot": first, "delta": 1}
    until_served(client, first)
    assert found(client) == before
    listed = client.get("/v1/snapshots").json()["snapshots"]
    assert [(each["id"], each["live"]) for each in listed] == [(second, False), (first, True)]
    assert client.post("/v1/rollback", json={"snapshot": second}).json()["delta"] == 0
    until_served(client, second)


def test_an_unknown_snapshot_is_named(client: TestClient[Any], small: SmallCollection) -> None:
    there = publish(small)
    refused = client.post("/v1/rollback", json={"snapshot": "2001"})
    assert refused.status_code == 404
    assert refused.json()["context"] == {"snapshot": "2001", "available": [there]}
    assert client.post("/v1/rollback", json={"to": there}).status_code == 400


def test_a_damaged_snapshot_is_refused_and_the_live_one_stays(
    client: TestClient[Any], small: SmallCollection
) -> None:
    publish(small)
    second = publish(small)
    until_served(client, second)
    damaged: Path = finished_snapshots(small.data_dir, small.config.name)[0] / "items.arrow"
    damaged.write_bytes(damaged.read_bytes() + b"?")
    refused = client.post("/v1/rollback", json={})
    assert refused.status_code == 409
    assert refused.json()["code"] == "rollback_refused"
    assert "items.arrow" in refused.json()["detail"]
    assert client.get("/v1/snapshots").json()["snapshots"][0]["live"]


def test_nobody_from_elsewhere_may_roll_back(
    reachable_client: TestClient[Any], small: SmallCollection
) -> None:
    publish(small)
    live = publish(small)
    refused = reachable_client.post("/v1/rollback", json={})
    assert refused.status_code == 403
    assert "kindred keys create" in refused.json()["detail"]
    newest = reachable_client.get("/v1/snapshots").json()["snapshots"][0]
    assert (newest["id"], newest["live"]) == (live, True)
