"""A consistent copy of a SQLite catalog while others read and write it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from indexer.catalog.database import BUSY_TIMEOUT_MS, CatalogError, described


@dataclass(frozen=True, slots=True)
class CopiedCollection:
    """What a copied catalog says about one collection."""

    change_seq: int
    """The last change in the copy."""

    num_items: int


@dataclass(frozen=True, slots=True)
class CopiedCatalog:
    """What a copied catalog holds."""

    revision: str
    """Of its schema."""

    collections: dict[str, CopiedCollection]


def copy_catalog(source: Path, target: Path) -> CopiedCatalog:
    """Copy a catalog as it is at one moment into a new file, and check the copy.

    Nothing is brought up to date, so that a backup can be taken before a new version of the program
    is. Writers go on meanwhile.

    Args:
        source: the SQLite file of a catalog.
        target: where the copy goes; the caller makes it durable.

    Raises:
        CatalogError: there is no catalog, it is damaged, or it cannot be read.
    """
    if not source.is_file():
        raise CatalogError(
            f"{source}: there is no SQLite catalog; one in PostgreSQL is copied by the database's "
            "own tool, pg_dump",
            database=str(source),
        )
    try:
        with (
            closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=rw", uri=True)) as original,
            closing(sqlite3.connect(target)) as copy,
        ):
            original.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
            # All pages in one step: copied in several, it would begin again after each write.
            original.backup(copy, pages=-1)
            problem = copy.execute("PRAGMA quick_check(1)").fetchone()[0]
            if problem != "ok":
                raise CatalogError(f"{source}: the catalog is damaged: {problem}", problem=problem)
            return _described(copy)
    except sqlite3.Error as error:
        raise CatalogError(
            f"cannot copy {source} to {target}: {described(error)}", database=str(source)
        ) from error


def _described(connection: sqlite3.Connection) -> CopiedCatalog:
    (revision,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    found = connection.execute(
        "SELECT name, change_seq, (SELECT count(*) FROM items WHERE collection = name"
        " AND NOT deleted) FROM collections ORDER BY name"
    )
    return CopiedCatalog(revision, {name: CopiedCollection(*numbers) for name, *numbers in found})
