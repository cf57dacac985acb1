"""What Alembic runs: the revisions, on the connection it is given, in that one transaction."""

from __future__ import annotations

from alembic import context

from indexer.catalog.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
