"""A collection whose vectors are on a Qdrant server, from the catalog to a rollback."""

from __future__ import annotations

import msgspec
import pytest

from indexer.ann.qdrant_errors import QdrantServerFailed
from indexer.ann.qdrant_generation import GENERATION_FILE
from indexer.gate_config import CanaryConfig, GateConfig
from indexer.publish import AliasesBehind, PruneFailed, finished_snapshots, roll_back
from indexer.reindex import GateRefused
from indexer.snapshot import unfinished_snapshots
from tests.indexer.qdrant_collection import ALIAS, Served, down, failing, generation_of, up
from tests.indexer.stored_items import COLLECTION, identities, tiny_config


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
    served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(3):
        served.reindexed()
    served.fake.fault = down
    served.config = tiny_config()  # back to comparing every row
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
