"""Writes over HTTP while files cannot be written, and searches while the new index is damaged."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from litestar.testing import TestClient

from benchmarks.write_points import step_name, watching
from indexer.catalog.database import CatalogFull
from indexer.publish import publish
from indexer.reindex import reindex
from indexer.snapshot import build_snapshot
from search_api.problems import kindred_problem
from tests.search_api.small_collection import SmallCollection
from tests.search_api.test_item_writes import found, put_file

NUM_ERRORS = {errno.ENOSPC: 507, errno.EIO: 500}
CONTENT = b"A text about harbours, long enough to be told from others.\n"


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def files_of(small: SmallCollection) -> set[str]:
    return {
        path.name
        for path in small.data_dir.root.rglob("*")
        if path.is_file() and not path.name.startswith(("catalog.sqlite-", ".lock"))
    }


def changes_of_a_write(client: TestClient[Any], root: Path, item_id: str) -> list[str]:
    steps: list[str] = []
    with watching(root, lambda action, path: steps.append(step_name(action, path, root))):
        assert put_file(client, item_id, CONTENT + item_id.encode()).status_code == 201
    return steps


def test_an_upload_that_cannot_be_written_is_answered_so_and_leaves_nothing(
    client: TestClient[Any], small: SmallCollection
) -> None:
    root = small.data_dir.root
    num_steps = len(changes_of_a_write(client, root, "first"))
    assert num_steps >= 6
    tried: set[str] = set()
    for code, status in NUM_ERRORS.items():
        for number in range(1, num_steps + 1):
            before = files_of(small)
            item_id, steps = f"note-{code}-{number}", []

            def fail(action: str, path: str, number: int = number, code: int = code) -> None:
                steps.append(step_name(action, path, root))  # noqa: B023
                if len(steps) == number:  # noqa: B023
                    raise OSError(code, os.strerror(code))

            with watching(root, fail):
                answer = put_file(client, item_id, CONTENT + item_id.encode())
            if len(steps) < number:
                continue
            tried.add(steps[number - 1])
            if answer.status_code != 201:
                assert answer.status_code == status, (steps[number - 1], answer.text)
                assert answer.headers["content-type"] == "application/problem+json"
                assert client.get(f"/v1/items/{item_id}").status_code == 404
            assert found(client, "the red fox", "passages", 1) == ["story-1"]
            assert put_file(client, item_id, CONTENT + item_id.encode()).is_success
            assert client.get(f"/v1/items/{item_id}/media").content.startswith(CONTENT)
            # The upload's own file, under the digest of its content, and nothing beside it.
            assert len(files_of(small) - before) == 1
    print(len(tried), sorted(tried))
    assert len(tried) >= 6


def test_a_catalog_that_is_full_is_answered_so() -> None:
    found = kindred_problem(CatalogFull("sqlite:////data/catalog.sqlite: database or disk is full"))
    assert (found.status, found.code) == (507, "no_space")


def test_a_damaged_new_index_is_named_and_the_old_one_serves_on(
    client: TestClient[Any], small: SmallCollection
) -> None:
    arguments = (small.catalog, small.data_dir, small.config, small.identities())
    report = reindex(*arguments)
    assert report.manifest is not None
    old = report.manifest.snapshot_id

    def served() -> str | None:
        return client.get("/v1/collections").json()["collections"][0]["snapshot"]  # type: ignore[no-any-return]

    wait_until(lambda: served() == old)
    damaged = build_snapshot(*arguments)
    with (damaged.path / "items.arrow").open("r+b") as file:
        file.seek(64)
        file.write(b"\xff")
    publish(damaged, small.data_dir)
    wait_until(lambda: "problems" in client.get("/readyz").json())
    ready = client.get("/readyz")
    assert ready.status_code == 200
    assert ready.json()["status"] == "ready"
    (problem,) = ready.json()["problems"]
    assert problem.startswith(f"snapshots/small/{damaged.path.name}/items.arrow: expected sha256")
    assert served() == old
    assert found(client, "the red fox", "passages", 1) == ["story-1"]
    assert client.put("/v1/items/late", json={"text": "purple umbrella"}).status_code == 201
    assert found(client, "purple umbrella", "passages", 1) == ["late"]
    report = reindex(*arguments)
    assert report.manifest is not None
    new = report.manifest.snapshot_id
    wait_until(lambda: served() == new)
    assert client.get("/readyz").json() == {"status": "ready"}
