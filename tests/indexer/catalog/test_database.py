from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from indexer.catalog.catalog import Catalog
from indexer.catalog.database import (
    HEAD_REVISION,
    CatalogError,
    CatalogFull,
    write_transaction,
)
from indexer.catalog.migrations import known_revisions
from indexer.catalog.schema import metadata
from indexer.data_dir import DataDir

ROOT = Path(__file__).parents[3]


def test_migrations_give_the_schema_that_the_code_expects(tmp_path: Path) -> None:
    data_dir = DataDir(tmp_path)
    Catalog.open(data_dir).close()
    engine = create_engine(f"sqlite:///{data_dir.catalog_path}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
        assert context.get_current_revision() == HEAD_REVISION
    engine.dispose()
    assert HEAD_REVISION in known_revisions()


def test_the_schema_can_be_created_on_postgresql() -> None:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    statements = [
        str(CreateTable(table).compile(dialect=dialect)) for table in metadata.tables.values()
    ]
    statements += [
        str(CreateIndex(index).compile(dialect=dialect))
        for table in metadata.tables.values()
        for index in table.indexes
    ]
    script = "\n".join(statements)
    assert "item_key BIGSERIAL" in script
    assert 'item_id VARCHAR(200) COLLATE "C"' in script


def test_commits_are_durable_and_readers_do_not_wait(tmp_path: Path) -> None:
    with Catalog.open(DataDir(tmp_path)) as catalog, catalog.state() as state:
        connection = state._connection
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def test_many_processes_open_a_new_catalog_at_once(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from indexer.catalog.catalog import Catalog\n"
        "from indexer.data_dir import DataDir\n"
        "sys.stdin.read(1)\n"
        "with Catalog.open(DataDir(Path(sys.argv[1]))) as catalog: print(catalog.collections())\n"
    )
    children = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / "data")],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(6)
    ]
    answers = [child.communicate("x") for child in children]
    assert [answer[0].strip() for answer in answers] == ["[]"] * 6, answers


def test_a_catalog_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    data_dir = DataDir(tmp_path)
    Catalog.open(data_dir).close()
    with sqlite3.connect(data_dir.catalog_path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(CatalogError, match="schema revision 9999"):
        Catalog.open(data_dir)


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    data_dir = DataDir(tmp_path)
    data_dir.catalog_path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(CatalogError, match=r"catalog\.sqlite.*not a database"):
        Catalog.open(data_dir)


def test_a_disk_without_room_is_told_apart_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with Catalog.open(DataDir(tmp_path)) as catalog:

        def write_too_much() -> None:
            with write_transaction(catalog.engine) as connection:
                connection.exec_driver_sql("PRAGMA max_page_count=1")
                connection.exec_driver_sql("CREATE TABLE large (bytes BLOB)")
                connection.exec_driver_sql("INSERT INTO large VALUES (zeroblob(1000000))")

        with pytest.raises(CatalogFull, match=r"catalog\.sqlite: .*full \(SQLITE_FULL\)"):
            write_too_much()
        catalog.check_integrity()
