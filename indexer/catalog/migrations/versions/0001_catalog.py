"""The first catalog: collections, items, their channels and segments, outcomes, runs.

Revision ID: 0001
Revises:
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_row_number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_item_id = sa.String(200).with_variant(sa.String(200, collation="C"), "postgresql")


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "collections",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("config_json", sa.Text, nullable=False),
        sa.Column("config_digest", sa.String(64), nullable=False),
        sa.Column("change_seq", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("updated_at", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_collections"),
    )
    _create_items()
    _create_segments()
    _create_outcomes_and_runs()


def _create_items() -> None:
    op.create_table(
        "items",
        sa.Column("item_key", _row_number, nullable=False, autoincrement=True),
        sa.Column("collection", sa.String(64), nullable=False),
        sa.Column("item_id", _item_id, nullable=False),
        sa.Column("medium", sa.String(16), nullable=False),
        sa.Column("format", sa.String(32), nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("relative_path", sa.Text, nullable=False),
        sa.Column("location", sa.Text, nullable=False),
        sa.Column("content_sha256", sa.String(64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("mtime_ns", sa.BigInteger, nullable=False),
        sa.Column("duration_seconds", sa.Float(53)),
        sa.Column("width_px", sa.Integer),
        sa.Column("height_px", sa.Integer),
        sa.Column("attributes_json", sa.Text, nullable=False),
        sa.Column("deleted", sa.Boolean, nullable=False),
        sa.Column("change_seq", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("updated_at", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("item_key", name="pk_items"),
        sa.ForeignKeyConstraint(["collection"], ["collections.name"], name="fk_items_collection"),
        sqlite_autoincrement=True,
    )
    op.create_index("uq_items_collection_item_id", "items", ["collection", "item_id"], unique=True)
    op.create_index("ix_items_collection_change_seq", "items", ["collection", "change_seq"])
    op.create_index("ix_items_collection_location", "items", ["collection", "location"])
    op.create_table(
        "item_channels",
        sa.Column("item_key", _row_number, nullable=False),
        sa.Column("channel", sa.String(64), nullable=False),
        sa.Column("encoder_id", sa.String(128), nullable=False),
        sa.Column("space_id", sa.String(128), nullable=False),
        sa.Column("segmentation_id", sa.String(128), nullable=False),
        sa.Column("source_sha256", sa.String(64), nullable=False),
        sa.Column("dim", sa.Integer, nullable=False),
        sa.Column("num_segments", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("item_key", "channel", name="pk_item_channels"),
        sa.ForeignKeyConstraint(
            ["item_key"],
            ["items.item_key"],
            name="fk_item_channels_item_key",
            ondelete="CASCADE",
        ),
    )
    op.create_index(
        "ix_item_channels_reuse",
        "item_channels",
        ["source_sha256", "segmentation_id", "encoder_id"],
    )


def _create_segments() -> None:
    op.create_table(
        "segments",
        sa.Column("segment_id", _row_number, nullable=False, autoincrement=True),
        sa.Column("item_key", _row_number, nullable=False),
        sa.Column("channel", sa.String(64), nullable=False),
        sa.Column("ordinal", sa.Integer, nullable=False),
        sa.Column("start_seconds", sa.Float(53)),
        sa.Column("stop_seconds", sa.Float(53)),
        sa.Column("text", sa.Text),
        sa.Column("vector", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("segment_id", name="pk_segments"),
        sa.ForeignKeyConstraint(
            ["item_key", "channel"],
            ["item_channels.item_key", "item_channels.channel"],
            name="fk_segments_item_key_channel",
            ondelete="CASCADE",
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "uq_segments_place", "segments", ["item_key", "channel", "ordinal"], unique=True
    )


def _create_outcomes_and_runs() -> None:
    op.create_table(
        "outcomes",
        sa.Column("collection", sa.String(64), nullable=False),
        sa.Column("location", sa.Text, nullable=False),
        sa.Column("item_id", sa.String(200)),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(64)),
        sa.Column("detail", sa.Text),
        sa.Column("content_sha256", sa.String(64)),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("first_seen", sa.String(32), nullable=False),
        sa.Column("last_seen", sa.String(32), nullable=False),
        sa.Column("run_id", sa.String(64)),
        sa.PrimaryKeyConstraint("collection", "location", name="pk_outcomes"),
        sa.ForeignKeyConstraint(
            ["collection"], ["collections.name"], name="fk_outcomes_collection"
        ),
    )
    op.create_index("ix_outcomes_collection_state", "outcomes", ["collection", "state"])
    op.create_table(
        "runs",
        sa.Column("run_id", sa.String(64), nullable=False),
        sa.Column("collection", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("started_at", sa.String(32), nullable=False),
        sa.Column("finished_at", sa.String(32)),
        sa.Column("summary_json", sa.Text),
        sa.PrimaryKeyConstraint("run_id", name="pk_runs"),
        sa.ForeignKeyConstraint(["collection"], ["collections.name"], name="fk_runs_collection"),
    )
    op.create_index("ix_runs_collection_started_at", "runs", ["collection", "started_at"])
