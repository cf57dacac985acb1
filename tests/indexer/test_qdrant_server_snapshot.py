"""A collection whose vectors are on a Qdrant server, from the catalog to a rollback.

The server is a fake on the loopback address.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from indexer.ann import opening, qdrant_server, qdrant_server_build, qdrant_writer
from indexer.ann.qdrant_errors import QdrantServerFailed
from indexer.ann.qdrant_generation import GENERATION_FILE
from indexer.ann.qdrant_server import Patience
from indexer.catalog.catalog import Catalog
from indexer.config import CollectionConfig, parse_collection
from indexer.data_dir import DataDir
from indexer.gate_config import CanaryConfig, GateConfig
from indexer.live_view import LiveCollection
from indexer.manifest import Manifest
from indexer.publish import (
    AliasesBehind,
    PruneFailed,
    finished_snapshots,
    live_snapshot_path,
    roll_back,
)
from indexer.reindex import GateRefused, reindex
from indexer.smoke_search import search_once
from indexer.snapshot import unfinished_snapshots
from tests.indexer.ann.fake_qdrant import FakeQdrant
from tests.indexer.stored_items import COLLECTION, YAML, identities, write_of

ALIAS = "tiny__passages"


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    haste = Patience(request_seconds=5, retry_seconds=0.2)
    monkeypatch.setattr(qdrant_server, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(qdrant_writer, "STATUS_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(qdrant_server_build, "CHANGE_PATIENCE", haste)
    monkeypatch.setattr("indexer.snapshot.BUILD_PATIENCE", haste)
    monkeypatch.setattr(opening, "SEARCH_PATIENCE", haste)


@pytest.fixture
def same_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Search new snapshots in this process, which takes no second to start."""
    monkeypatch.setattr("indexer.reindex.smoke_search", search_once)
    monkeypatch.setattr("indexer.publish.smoke_search", search_once)


@dataclass
class Served:
    """A collection of five items, its server, and what is found in it."""

    fake: FakeQdrant
    data_dir: DataDir
    catalog: Catalog
    config: CollectionConfig
    live: LiveCollection = field(init=False)

    def __post_init__(self) -> None:
        self.writes = {name: write_of(name, 3, seed=seed) for seed, name in enumerate("abcde")}
        self.catalog.register_collection(self.config)
        self.catalog.write(COLLECTION, list(self.writes.values()))
        self.live = LiveCollection(self.catalog, self.data_dir, self.config, identities())

    def reindexed(self) -> Manifest:
        manifest = reindex(self.catalog, self.data_dir, self.config, identities()).manifest
        assert manifest is not None
        return manifest

    def best(self, asked: str = "c") -> str:
        """Return the item nearest to the first segment of ``asked``."""
        self.live.refresh()
        view = self.live.view()
        rows = view.search("passages", self.writes[asked].channels[0].vectors[:1], 1).rows[0]
        item_row = view.segments("passages", rows).item_rows[0]
        return str(view.items.column("item_id")[int(item_row)].as_py())

    @property
    def live_id(self) -> str:
        path = live_snapshot_path(self.data_dir, COLLECTION)
        assert path is not None
        return path.name


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    fake = FakeQdrant()
    index = f"engine: qdrant, url: '{fake.url}', grpc: false"
    config = parse_collection(YAML.replace("engine: exact", index))
    data_dir = DataDir(tmp_path / "data")
    with Catalog.open(data_dir) as catalog:
        yield Served(fake, data_dir, catalog, config)
    fake.stop()


def failing(*methods: str) -> object:
    return lambda method, path: 503 if method in methods else None


def down(method: str, path: str) -> int:
    return 503


def up(method: str, path: str) -> None:
    return None


def generation_of(manifest: Manifest) -> str:
    return f"{ALIAS}__{manifest.snapshot_id}"


def test_it_is_reindexed_searched_reindexed_and_rolled_back(served: Served) -> None:
    first = served.reindexed()
    assert first.channels["passages"].index.engine == "qdrant"
    assert first.recall["passages"] == 1.0
    assert f"channels/passages/{GENERATION_FILE}" in first.files
    assert "channels/pictures/qdrant.json" not in first.files, "it has no rows"
    assert served.best() == "c"
    assert served.fake.aliases == {ALIAS: generation_of(first)}

    served.catalog.delete(COLLECTION, ["c"])
    assert served.best() != "c", "deleted, and still on the server"
    second = served.reindexed()
    assert served.best() != "c"
    assert served.fake.aliases == {ALIAS: generation_of(second)}
    assert served.fake.collections == {generation_of(first), generation_of(second)}

    roll_back(served.data_dir, COLLECTION, identities())
    assert served.live_id == first.snapshot_id
    assert served.fake.aliases == {ALIAS: generation_of(first)}
    assert served.best() != "c", "a rollback brings no deleted item back"
    assert served.best("a") == "a"


@pytest.mark.usefixtures("same_process")
def test_generations_are_kept_as_long_as_snapshots(served: Served) -> None:
    made = [generation_of(served.reindexed()) for _ in range(5)]
    assert served.fake.collections == set(made[-3:])


@pytest.mark.usefixtures("same_process")
def test_a_server_that_fails_leaves_the_live_snapshot(served: Served) -> None:
    first = served.reindexed()
    uploads: list[str] = []

    def dies(method: str, path: str) -> int | None:
        if path.endswith("/points") and method == "PUT":
            uploads.append(path)
        return 503 if uploads else None

    served.fake.fault = dies
    with pytest.raises(QdrantServerFailed, match=f"{served.fake.url}.*check that it runs"):
        served.reindexed()
    served.fake.fault = up
    assert served.live_id == first.snapshot_id
    assert served.best() == "c"
    (leftover,) = unfinished_snapshots(served.data_dir, COLLECTION)
    left = [path.name for path in leftover.rglob("*") if path.is_file()]
    assert left == [GENERATION_FILE], "what could not be removed is known by its record"
    assert len(served.fake.collections) == 2

    second = served.reindexed()
    assert unfinished_snapshots(served.data_dir, COLLECTION) == []
    assert served.fake.collections == {generation_of(first), generation_of(second)}


@pytest.mark.usefixtures("same_process")
def test_what_the_gate_refuses_is_on_no_server(served: Served) -> None:
    first = served.reindexed()
    canary = CanaryConfig(channel="pictures", item_id="a", expect=("b",))
    served.config = msgspec.structs.replace(served.config, gate=GateConfig(canaries=(canary,)))
    with pytest.raises(GateRefused, match="has no segment to ask with"):
        served.reindexed()
    assert served.fake.collections == {generation_of(first)}
    assert served.live_id == first.snapshot_id


@pytest.mark.usefixtures("same_process")
def test_an_old_generation_that_stays_is_told_and_removed_later(served: Served) -> None:
    for _ in range(3):
        served.reindexed()
    served.fake.fault = failing("DELETE")
    with pytest.raises(PruneFailed, match=f"is live, but the old .*{served.fake.url}"):
        served.reindexed()
    served.fake.fault = up
    assert len(served.fake.collections) == 4
    assert len(finished_snapshots(served.data_dir, COLLECTION)) == 3
    served.reindexed()
    assert len(served.fake.collections) == 3
    assert unfinished_snapshots(served.data_dir, COLLECTION) == []


@pytest.mark.usefixtures("same_process")
def test_a_server_that_is_gone_for_good_stops_no_build(
    served: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(3):
        served.reindexed()
    served.fake.fault = down
    served.config = parse_collection(YAML)  # back to comparing every row
    with pytest.raises(PruneFailed):
        served.reindexed()
    (leftover,) = unfinished_snapshots(served.data_dir, COLLECTION)
    with pytest.raises(PruneFailed):
        served.reindexed()
    assert str(leftover) in capsys.readouterr().out
    assert served.best() == "c"


@pytest.mark.usefixtures("same_process")
def test_aliases_that_could_not_move_are_told_and_moved_by_a_rollback(served: Served) -> None:
    first = served.reindexed()
    served.fake.fault = lambda method, path: 503 if path.endswith("aliases") else None
    with pytest.raises(AliasesBehind, match="kindred rollback") as caught:
        served.reindexed()
    served.fake.fault = up
    assert served.live_id == caught.value.detail["live"] != first.snapshot_id
    assert served.best() == "c"
    assert served.fake.aliases == {ALIAS: generation_of(first)}
    roll_back(served.data_dir, COLLECTION, identities(), snapshot_id=served.live_id)
    assert served.fake.aliases == {ALIAS: f"{ALIAS}__{served.live_id}"}


@pytest.mark.usefixtures("same_process")
def test_a_search_says_that_its_server_is_gone_and_goes_on_when_it_is_back(served: Served) -> None:
    served.reindexed()
    assert served.best() == "c"
    view = served.live.view()
    view.check()
    served.fake.fault = down
    with pytest.raises(QdrantServerFailed, match=served.fake.url):
        served.best()
    with pytest.raises(QdrantServerFailed, match=served.fake.url):
        view.check()
    served.fake.fault = up
    view.check()
    assert served.best() == "c"
