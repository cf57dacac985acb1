"""Keys of repeated requests, and jobs of writes that take long.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "idempotency_keys",
        sa.Column("collection", sa.String(64), nullable=False),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("request_sha256", sa.String(64), nullable=False),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("created_at_seconds", sa.Float(53), nullable=False),
        sa.Column("lease_until_seconds", sa.Float(53), nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("answer_json", sa.Text),
        sa.Column("location", sa.Text),
        sa.PrimaryKeyConstraint("collection", "key", name="pk_idempotency_keys"),
    )
    op.create_index(
        "ix_idempotency_keys_created_at_seconds", "idempotency_keys", ["created_at_seconds"]
    )
    op.create_table(
        "write_jobs",
        sa.Column("job_id", sa.String(64), nullable=False),
        sa.Column("collection", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("owner", sa.String(64)),
        sa.Column("lease_until_seconds", sa.Float(53), nullable=False),
        sa.Column("reason", sa.String(64)),
        sa.Column("detail", sa.Text),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("finished_at", sa.String(32)),
        sa.PrimaryKeyConstraint("job_id", name="pk_write_jobs"),
        sa.ForeignKeyConstraint(
            ["collection"], ["collections.name"], name="fk_write_jobs_collection"
        ),
    )
    op.create_index("ix_write_jobs_collection_state", "write_jobs", ["collection", "state"])
    op.create_table(
        "write_job_operations",
        sa.Column("job_id", sa.String(64), nullable=False),
        sa.Column("ordinal", sa.Integer, nullable=False),
        sa.Column("collection", sa.String(64), nullable=False),
        sa.Column("item_id", sa.String(200), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("operation_json", sa.Text, nullable=False),
        sa.Column("result_json", sa.Text),
        sa.PrimaryKeyConstraint("job_id", "ordinal", name="pk_write_job_operations"),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["write_jobs.job_id"],
            name="fk_write_job_operations_job_id",
            ondelete="CASCADE",
        ),
    )
    op.create_index(
        "ix_write_job_operations_collection_item_id",
        "write_job_operations",
        ["collection", "item_id"],
    )
