"""Several encoders' vectors of one item and channel side by side.

Revision ID: 0005
Revises: 0004

Segments and transcripts now belong to a row of ``item_channels`` with a number of its own, so the
three tables are written anew: that takes about as long as copying the catalog, and as much space.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_row_number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_OLD = ("transcripts", "segments", "item_channels")


def upgrade() -> None:
    """Write the tables anew under the old names."""
    # Names of indexes and constraints are shared by all tables: the old ones have to make room.
    op.drop_index("uq_segments_place", "segments")
    op.drop_index("ix_item_channels_reuse", "item_channels")
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    for table in _OLD:
        if is_postgresql:
            op.execute(f"ALTER TABLE {table} RENAME CONSTRAINT pk_{table} TO pk_old_{table}")
        op.rename_table(table, f"old_{table}")
    _create_tables()
    _copy_rows()
    for table in _OLD:
        op.drop_table(f"old_{table}")
    op.create_index(
        "uq_item_channels_encoder",
        "item_channels",
        ["item_key", "channel", "encoder_id"],
        unique=True,
    )
    op.create_index(
        "ix_item_channels_reuse",
        "item_channels",
        ["source_sha256", "segmentation_id", "encoder_id"],
    )
    op.create_index("uq_segments_place", "segments", ["item_channel_key", "ordinal"], unique=True)


def _create_tables() -> None:
    op.create_table(
        "item_channels",
        sa.Column("item_channel_key", _row_number, nullable=False, autoincrement=True),
        sa.Column("item_key", _row_number, nullable=False),
        sa.Column("channel", sa.String(64), nullable=False),
        sa.Column("encoder_id", sa.String(128), nullable=False),
        sa.Column("space_id", sa.String(128), nullable=False),
        sa.Column("segmentation_id", sa.String(128), nullable=False),
        sa.Column("source_sha256", sa.String(64), nullable=False),
        sa.Column("dim", sa.Integer, nullable=False),
        sa.Column("num_segments", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("item_channel_key", name="pk_item_channels"),
        sa.ForeignKeyConstraint(
            ["item_key"],
            ["items.item_key"],
            name="fk_item_channels_item_key",
            ondelete="CASCADE",
        ),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "segments",
        sa.Column("segment_id", _row_number, nullable=False, autoincrement=True),
        sa.Column("item_channel_key", _row_number, nullable=False),
        sa.Column("ordinal", sa.Integer, nullable=False),
        sa.Column("start_seconds", sa.Float(53)),
        sa.Column("stop_seconds", sa.Float(53)),
        sa.Column("text", sa.Text),
        sa.Column("vector", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("segment_id", name="pk_segments"),
        sa.ForeignKeyConstraint(
            ["item_channel_key"],
            ["item_channels.item_channel_key"],
            name="fk_segments_item_channel_key",
            ondelete="CASCADE",
        ),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "transcripts",
        sa.Column("item_channel_key", _row_number, nullable=False, autoincrement=False),
        sa.Column("language", sa.String(16)),
        sa.Column("origin", sa.String(16), nullable=False),
        sa.Column("utterances_json", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("item_channel_key", name="pk_transcripts"),
        sa.ForeignKeyConstraint(
            ["item_channel_key"],
            ["item_channels.item_channel_key"],
            name="fk_transcripts_item_channel_key",
            ondelete="CASCADE",
        ),
    )


def _copy_rows() -> None:
    columns = (
        "item_key, channel, encoder_id, space_id, segmentation_id, source_sha256, dim, num_segments"
    )
    op.execute(
        f"INSERT INTO item_channels ({columns}) SELECT {columns} FROM old_item_channels "
        "ORDER BY item_key, channel"
    )
    segment_columns = "ordinal, start_seconds, stop_seconds, text, vector"
    op.execute(
        f"INSERT INTO segments (segment_id, item_channel_key, {segment_columns}) "
        f"SELECT segment_id, item_channel_key, {segment_columns} FROM old_segments "
        "JOIN item_channels USING (item_key, channel) ORDER BY segment_id"
    )
    op.execute(
        "INSERT INTO transcripts (item_channel_key, language, origin, utterances_json) "
        "SELECT item_channel_key, language, origin, utterances_json FROM old_transcripts "
        "JOIN item_channels USING (item_key, channel)"
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "SELECT setval(pg_get_serial_sequence('segments', 'segment_id'), "
            "(SELECT coalesce(max(segment_id), 1) FROM segments))"
        )
