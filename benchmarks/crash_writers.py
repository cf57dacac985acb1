"""Who writes while a reindex is killed: what the command line does, and the HTTP API whole."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

from benchmarks.made_up_items import (
    COLLECTION,
    SEGMENTS_PER_ITEM,
    YAML,
    MadeUpLoader,
    made_up_collection,
    made_up_identities,
    made_up_text,
    made_up_vectors,
    made_up_write,
)
from benchmarks.write_ledger import LedgerLog, PutRefused
from indexer.catalog.catalog import Catalog
from indexer.catalog.locations import UPLOADED
from indexer.catalog.records import ItemRecord
from indexer.catalog.takedown_records import TakenDown
from indexer.data_dir import DataDir
from indexer.item_writer import VECTORS_FORMAT
from indexer.takedown import take_down

NUM_ITEMS = 120
"""Items that writers put and delete again and again."""

VERSIONS_PER_WRITER = 1_000_000
SHARE_OF_DELETES = 0.3
SHARE_OF_MORTALS = 0.03
"""Of deeds on items that a few writers put until one of them takes them down."""

SHARE_OF_TAKEDOWNS = 0.15
"""Of deeds on such items."""

MORTAL_WRITERS = 4
MAX_PAUSE_SECONDS = 0.004
REQUESTED_BY = "crash suite"


class Writes(Protocol):
    """A way to write that is under test."""

    def put(self, item_id: str, version: int) -> None:
        """Store an item of this version; return when that is acknowledged.

        Raises:
            PutRefused: it was taken down.
        """
        ...

    def delete(self, item_id: str) -> None:
        """Delete an item, or do nothing if it is not there."""
        ...

    def take_down(self, item_id: str) -> None:
        """Take an item down for good, whether it is there or not."""
        ...


OpenWrites = Callable[[DataDir], AbstractContextManager[Writes]]


class CatalogWrites:
    """What `kindred ingest`, `kindred delete` and `kindred takedown` do in the end."""

    def __init__(self, catalog: Catalog, data_dir: DataDir) -> None:
        self.catalog = catalog
        self._data_dir = data_dir

    def put(self, item_id: str, version: int) -> None:
        """See `Writes.put`."""
        write = made_up_write(item_id, version, made_up_identities())
        try:
            self.catalog.write(COLLECTION, [write])
        except TakenDown as error:
            raise PutRefused from error

    def delete(self, item_id: str) -> None:
        """See `Writes.delete`."""
        self.catalog.delete(COLLECTION, [item_id])

    def take_down(self, item_id: str) -> None:
        """See `Writes.take_down`."""
        take_down(self.catalog, self._data_dir, COLLECTION, [item_id], requested_by=REQUESTED_BY)


@contextmanager
def catalog_writes(data_dir: DataDir) -> Iterator[CatalogWrites]:
    """Open the catalog for writing."""
    with Catalog.open(data_dir) as catalog:
        yield CatalogWrites(catalog, data_dir)


class HttpWrites:
    """Requests to the API: texts for odd versions, vectors for even ones.

    Args:
        client: of the API, with the methods of httpx.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    def put(self, item_id: str, version: int) -> None:
        """See `Writes.put`."""
        body = {"attributes": {"version": version}, **_content(item_id, version)}
        answer = self._client.put(f"/v1/items/{item_id}", json=body)
        if answer.status_code == 409 and answer.json()["code"] == TakenDown.code:
            raise PutRefused
        _require(answer, 200, 201)

    def delete(self, item_id: str) -> None:
        """See `Writes.delete`."""
        _require(self._client.delete(f"/v1/items/{item_id}"), 204, 404)

    def take_down(self, item_id: str) -> None:
        """See `Writes.take_down`."""
        body = {"item_ids": [item_id], "requested_by": REQUESTED_BY}
        _require(self._client.post("/v1/takedown", json=body), 200)


def _content(item_id: str, version: int) -> dict[str, Any]:
    if is_text(version):
        return {"text": made_up_text(item_id, version)}
    vectors = made_up_vectors(item_id, version).tolist()
    segments = [{"text": f"{item_id} {version} {number}"} for number in range(len(vectors))]
    return {
        "medium": "text",
        "channels": {
            name: {"space_id": identity.space_id, "vectors": vectors, "segments": segments}
            for name, identity in made_up_identities().items()
        },
    }


def is_text(version: int) -> bool:
    """Tell whether the API is given this version as words."""
    return version % 2 == 1


def is_upload(item: ItemRecord) -> bool:
    """Tell whether an item came to the API as words, which are kept as its original."""
    return item.source == UPLOADED and item.format != VECTORS_FORMAT


def num_segments(item: ItemRecord) -> int:
    """Return how many vectors each channel should hold of an item."""
    return 1 if is_upload(item) else SEGMENTS_PER_ITEM


def _require(answer: Any, *expected: int) -> None:
    if answer.status_code not in expected:
        raise AssertionError(f"{answer.request.url}: {answer.status_code}: {answer.text}")


@contextmanager
def http_writes(data_dir: DataDir) -> Iterator[HttpWrites]:
    """Run the API in this process, so that whoever kills the writer kills a server."""
    from litestar.testing import TestClient

    from encoders.media.sandbox import DecodeSandbox
    from search_api.app import create_app
    from search_api.query_vectors import LocalQueryEncoder
    from search_api.settings import Settings

    config = data_dir.root.parent / "made-up.yaml"
    config.write_text(YAML, encoding="utf-8")
    settings = Settings(
        data_dir=str(data_dir.root),
        models_dir=str(data_dir.root.parent),
        collection=str(config),
        # Nothing else folds the delta in than the reindex that is killed.
        max_delta_segments=10**9,
        max_delta_share=1e9,
    )
    with DecodeSandbox() as sandbox:
        encoder = LocalQueryEncoder(MadeUpLoader(), made_up_collection(), sandbox)
        with TestClient(create_app(settings, make_encoder=lambda *_: encoder)) as client:
            yield HttpWrites(client)


class Stop:
    """Set by SIGTERM; a flag shared between processes could be left locked by a killed one."""

    def __init__(self) -> None:
        self.asked = False
        signal.signal(signal.SIGTERM, self._ask)

    def _ask(self, *_: object) -> None:
        self.asked = True


def write_until_told(
    data_dir: DataDir, ledger: Path, open_writes: OpenWrites, seed: int, number: int
) -> None:
    """Put, delete and take down items at random until SIGTERM, and note every acknowledgement.

    Args:
        data_dir: where.
        ledger: the log.
        open_writes: the way to write.
        seed: of what is done.
        number: which writer this is, counted from 1; no two may share a number.
    """
    stop, dice, version = Stop(), random.Random(seed), number * VERSIONS_PER_WRITER
    mortals = [mortal_name(one) for one in range(max(0, number - MORTAL_WRITERS), number + 1)]
    with open_writes(data_dir) as writes, LedgerLog(ledger) as log:
        while not stop.asked:
            is_mortal = dice.random() < SHARE_OF_MORTALS
            item_id = dice.choice(mortals) if is_mortal else item_name(dice.randrange(NUM_ITEMS))
            chance = dice.random()
            if is_mortal and chance < SHARE_OF_TAKEDOWNS:
                with log.deed("takedown", item_id):
                    writes.take_down(item_id)
            elif not is_mortal and chance < SHARE_OF_DELETES:
                with log.deed("delete", item_id):
                    writes.delete(item_id)
            else:
                version += 1
                with log.deed("put", item_id, version):
                    writes.put(item_id, version)
            time.sleep(dice.uniform(0, MAX_PAUSE_SECONDS))


def item_name(number: int) -> str:
    """Return the id of an item that writers use."""
    return f"item-{number:04d}"


def mortal_name(number: int) -> str:
    """Return the id of an item that writers put and take down."""
    return f"mortal-{number:04d}"
