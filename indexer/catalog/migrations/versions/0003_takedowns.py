"""Takedowns: what may not come back, and the receipts that say so.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_item_id = sa.String(200).with_variant(sa.String(200, collation="C"), "postgresql")


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "takedowns",
        sa.Column("takedown_id", sa.String(64), nullable=False),
        sa.Column("collection", sa.String(64), nullable=False),
        sa.Column("requested_at", sa.String(32), nullable=False),
        sa.Column("requested_by", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("same_content_json", sa.Text, nullable=False),
        sa.Column("erasures_json", sa.Text, nullable=False),
        sa.Column("erased_at", sa.String(32)),
        sa.Column("lifted_at", sa.String(32)),
        sa.Column("lifted_by", sa.Text),
        sa.PrimaryKeyConstraint("takedown_id", name="pk_takedowns"),
    )
    op.create_index("ix_takedowns_collection_lifted_at", "takedowns", ["collection", "lifted_at"])
    op.create_table(
        "taken_down_items",
        sa.Column("takedown_id", sa.String(64), nullable=False),
        sa.Column("item_id", _item_id, nullable=False),
        sa.Column("collection", sa.String(64), nullable=False),
        sa.Column("content_sha256", sa.String(64)),
        sa.Column("state", sa.String(16), nullable=False),
        sa.PrimaryKeyConstraint("takedown_id", "item_id", name="pk_taken_down_items"),
        sa.ForeignKeyConstraint(
            ["takedown_id"], ["takedowns.takedown_id"], name="fk_taken_down_items_takedown_id"
        ),
    )
    op.create_index(
        "ix_taken_down_items_collection_item_id", "taken_down_items", ["collection", "item_id"]
    )
    op.create_index(
        "ix_taken_down_items_collection_content_sha256",
        "taken_down_items",
        ["collection", "content_sha256"],
    )
