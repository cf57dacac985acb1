"""Transcripts of what is said in recordings.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "transcripts",
        sa.Column("item_key", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
        sa.Column("channel", sa.String(64), nullable=False),
        sa.Column("language", sa.String(16)),
        sa.Column("origin", sa.String(16), nullable=False),
        sa.Column("utterances_json", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("item_key", "channel", name="pk_transcripts"),
        sa.ForeignKeyConstraint(
            ["item_key", "channel"],
            ["item_channels.item_key", "item_channels.channel"],
            name="fk_transcripts_item_key_channel",
            ondelete="CASCADE",
        ),
    )
