"""A secret item, what takes it down, and where its bytes can lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from indexer.catalog.catalog import Catalog
from indexer.data_dir import DataDir
from indexer.live_view import LiveView
from indexer.reindex import reindex
from indexer.takedown import Receipt, purge, take_down
from tests.indexer.stored_items import COLLECTION, identities, tiny_config, write_of

CONFIG = tiny_config()
SECRET = "a title nobody else has"
SPOKEN = "secret"
"""How the words of the secret item begin, see `write_of`."""


def fill(catalog: Catalog) -> None:
    """Store a secret item, a twin of it, and others."""
    secret = write_of("secret", 3, seed=5, attributes={"title": SECRET})
    twin = replace(secret, item=replace(secret.item, item_id="twin", attributes={}))
    others = [write_of(f"other-{number}", seed=10 + number) for number in range(4)]
    catalog.write(COLLECTION, [secret, twin, *others])


def secret_vector() -> Any:
    return write_of("secret", 3, seed=5).channels[0].vectors[1]


def publish(catalog: Catalog, data_dir: DataDir) -> str:
    report = reindex(catalog, data_dir, CONFIG, identities())
    assert report.manifest is not None
    return report.manifest.snapshot_id


def down(catalog: Catalog, data_dir: DataDir, *item_ids: str, **options: Any) -> Receipt:
    return take_down(catalog, data_dir, COLLECTION, item_ids, requested_by="me", **options)


def purged(catalog: Catalog, data_dir: DataDir, receipt: Receipt) -> Receipt:
    return purge(catalog, data_dir, CONFIG, lambda _: identities(), receipt.takedown.takedown_id)


def answers(view: LiveView) -> set[str]:
    """Return the items that a search for the secret vector can give."""
    queries = secret_vector()[None, :]
    rows = view.search("passages", queries, 100).rows[0]
    items = view.segments("passages", rows[rows >= 0]).item_rows
    ids = view.items.column("item_id").to_pylist()
    found = {ids[row] for row in items}
    assert found == {ids[row] for row in range(len(ids)) if view.live[row]}
    return found


def holding(data_dir: DataDir, *needles: bytes) -> dict[str, list[bytes]]:
    """Return the files of a data folder that hold any of some bytes."""
    found = {}
    for path in data_dir.root.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            hits = [needle for needle in needles if needle in content]
            if hits:
                found[path.relative_to(data_dir.root).as_posix()] = hits
    return found


def secret_bytes() -> Sequence[bytes]:
    vector = secret_vector()
    words = write_of("secret", 3, seed=5).channels[0].segments[1].text
    assert words is not None
    half, single = vector.astype("<f2"), vector.astype("<f2").astype("<f4")
    return SECRET.encode(), words.encode(), half.tobytes(), single.tobytes(), b"/media/secret.txt"
