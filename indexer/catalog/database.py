"""Opening the catalog's database: connections, transactions, schema revision.

SQLite runs in WAL mode with ``synchronous=FULL``: readers never wait for writers, and a commit that
returned survives a power cut.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock
from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError

from encoders.errors import KindredError

HEAD_REVISION = "0005"
"""The newest revision in ``migrations/versions``; a test holds the two together."""

BUSY_TIMEOUT_MS = 60_000
CACHE_KIB = 16_384
_BEGIN = "kindred_begin"


class CatalogError(KindredError):
    """The catalog's database could not be opened, read or written."""

    code = "catalog_error"


class CatalogBusy(CatalogError):
    """Another process held the catalog's write lock for longer than the time allowed."""

    code = "catalog_busy"


class CatalogFull(CatalogError):
    """The disk has no room for what was to be written; nothing of it was."""

    code = "no_space"


def open_engine(url: str, lock_path: Path) -> Engine:
    """Return an engine on a database whose schema is at `HEAD_REVISION`.

    Args:
        url: SQLAlchemy URL of the database.
        lock_path: file that keeps apart processes that open a new database at the same time.

    Raises:
        CatalogError: the database cannot be opened, or a newer version of this program wrote it.
    """
    engine = create_engine(url, pool_pre_ping=not url.startswith("sqlite"))
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite_connection)
        event.listen(engine, "begin", _begin_sqlite_transaction)
    try:
        with named_errors(engine):
            if _revision(engine) != HEAD_REVISION:
                lock_path.parent.mkdir(parents=True, exist_ok=True)
                with FileLock(lock_path):
                    _migrate(engine)
    except BaseException:
        engine.dispose()
        raise
    return engine


def sqlite_url(path: Path) -> str:
    """Return the URL of a SQLite file, creating the folder it lies in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{path}"


@contextmanager
def write_transaction(engine: Engine) -> Iterator[Connection]:
    """Open one write transaction; it commits when the block ends and is durable then."""
    with named_errors(engine), engine.connect() as connection:
        # Taking the write lock at once makes waiting orderly; a reader that becomes a writer
        # halfway could only be refused.
        connection = connection.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"})
        with connection.begin():
            yield connection


@contextmanager
def read_transaction(engine: Engine) -> Iterator[Connection]:
    """Open one read transaction: everything read inside belongs to one state of the catalog."""
    with named_errors(engine), engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection = connection.execution_options(isolation_level="REPEATABLE READ")
        with connection.begin():
            yield connection


def rewrite_database(engine: Engine) -> None:
    """Write a SQLite database anew without the rests of deleted rows, and empty its log.

    Deleting a row only marks its bytes as free; they stay in the file and in the log until
    something overwrites them. Readers go on meanwhile, writers wait.

    Raises:
        CatalogBusy: somebody wrote, or kept reading an old state, for `BUSY_TIMEOUT_MS`.
        CatalogError: the disk is full, for instance.
    """
    with named_errors(engine), engine.connect() as connection:
        # Refused inside a transaction.
        connection = connection.execution_options(**{_BEGIN: ""})
        connection.exec_driver_sql("VACUUM")
        busy = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()[0]
    if busy:
        raise CatalogBusy(
            f"{engine.url.database}: its log still holds what was deleted, since somebody has been "
            f"reading an old state for {BUSY_TIMEOUT_MS // 1000} s",
            database=engine.url.database,
        )


@contextmanager
def named_errors(engine: Engine) -> Iterator[None]:
    """Raise the driver's errors as `CatalogError` that says which database it was."""
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        where = make_url(str(engine.url)).render_as_string(hide_password=True)
        cause = described(error.orig if isinstance(error, DBAPIError) else error)
        if isinstance(error, OperationalError) and "locked" in cause:
            raise CatalogBusy(
                f"{where}: another process has been writing for {BUSY_TIMEOUT_MS // 1000} s",
                database=where,
            ) from error
        kind = CatalogFull if "(SQLITE_FULL)" in cause else CatalogError
        raise kind(f"{where}: {cause}", database=where) from error


def described(error: BaseException | None) -> str:
    """Return what a driver's error says; SQLite's own name tells which kind of I/O failed."""
    name = getattr(error, "sqlite_errorname", None)
    return f"{error} ({name})" if name else str(error)


def _prepare_sqlite_connection(connection: Any, _record: object) -> None:
    # The driver's own transaction handling begins too late for BEGIN IMMEDIATE and hides DDL from
    # transactions; with None it leaves both to the "begin" event below.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
    cursor.close()


def _begin_sqlite_transaction(connection: Connection) -> None:
    options = connection.get_execution_options()
    statement = options.get(_BEGIN, "BEGIN")
    if statement:
        connection.exec_driver_sql(statement)


def _revision(engine: Engine) -> str | None:
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
        return revision


def _migrate(engine: Engine) -> None:
    """Bring the schema to `HEAD_REVISION`; the caller holds the lock file."""
    revision = _revision(engine)
    if revision == HEAD_REVISION:
        return
    # Alembic costs 0.1 s to import: only a database that needs it pays.
    from indexer.catalog import migrations

    if revision is not None and revision not in migrations.known_revisions():
        raise CatalogError(
            f"the catalog is at schema revision {revision}, this version knows up to "
            f"{HEAD_REVISION}; upgrade kindred",
            expected=HEAD_REVISION,
            got=revision,
        )
    if engine.dialect.name == "sqlite":
        # Persistent in the file, and refused inside a transaction.
        raw = engine.raw_connection()
        try:
            raw.cursor().execute("PRAGMA journal_mode=WAL")
        finally:
            raw.close()
    with write_transaction(engine) as connection:
        migrations.upgrade(connection)
