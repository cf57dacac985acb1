"""The catalog's tables, in types that SQLite and PostgreSQL share.

```
collections ──< items ──< item_channels ──< segments        outcomes, runs: by collection
                                        ──  transcripts
takedowns ──< taken_down_items
```
A channel of an item may be there once for each encoder: while a new model is brought in, the old
one's vectors still serve. Whoever reads vectors says which encoder's.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)

# SQLite numbers rows by itself only where the key is declared INTEGER, 64 bits wide there.
RowNumber = BigInteger().with_variant(Integer, "sqlite")

# Snapshots need items in the order of their bytes; SQLite compares so by default, PostgreSQL only
# under the collation "C".
ItemIdText = String(200).with_variant(String(200, collation="C"), "postgresql")

collections = Table(
    "collections",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("config_json", Text, nullable=False),
    Column("config_digest", String(64), nullable=False),
    # Updated first in each write transaction, so writers of a collection queue on this row and the
    # numbers appear in the order of the commits.
    Column("change_seq", BigInteger, nullable=False),
    Column("created_at", String(32), nullable=False),
    Column("updated_at", String(32), nullable=False),
)

items = Table(
    "items",
    metadata,
    Column("item_key", RowNumber, primary_key=True, autoincrement=True),
    Column("collection", String(64), ForeignKey("collections.name"), nullable=False),
    Column("item_id", ItemIdText, nullable=False),
    Column("medium", String(16), nullable=False),
    Column("format", String(32), nullable=False),
    Column("source", Text, nullable=False),
    Column("relative_path", Text, nullable=False),
    Column("location", Text, nullable=False),
    Column("content_sha256", String(64), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, nullable=False),
    Column("duration_seconds", Float(53)),
    Column("width_px", Integer),
    Column("height_px", Integer),
    Column("attributes_json", Text, nullable=False),
    # A deleted item keeps its row, so that a server tailing the catalog, or one rolled back to an
    # older snapshot, learns of the deletion. Its vectors are gone.
    Column("deleted", Boolean, nullable=False),
    Column("change_seq", BigInteger, nullable=False),
    Column("created_at", String(32), nullable=False),
    Column("updated_at", String(32), nullable=False),
    Index("uq_items_collection_item_id", "collection", "item_id", unique=True),
    Index("ix_items_collection_change_seq", "collection", "change_seq"),
    Index("ix_items_collection_location", "collection", "location"),
    sqlite_autoincrement=True,
)

item_channels = Table(
    "item_channels",
    metadata,
    Column("item_channel_key", RowNumber, primary_key=True, autoincrement=True),
    Column("item_key", RowNumber, ForeignKey("items.item_key", ondelete="CASCADE"), nullable=False),
    Column("channel", String(64), nullable=False),
    Column("encoder_id", String(128), nullable=False),
    Column("space_id", String(128), nullable=False),
    Column("segmentation_id", String(128), nullable=False),
    Column("source_sha256", String(64), nullable=False),
    Column("dim", Integer, nullable=False),
    Column("num_segments", Integer, nullable=False),
    Index("uq_item_channels_encoder", "item_key", "channel", "encoder_id", unique=True),
    Index("ix_item_channels_reuse", "source_sha256", "segmentation_id", "encoder_id"),
    sqlite_autoincrement=True,
)

segments = Table(
    "segments",
    metadata,
    Column("segment_id", RowNumber, primary_key=True, autoincrement=True),
    Column(
        "item_channel_key",
        RowNumber,
        ForeignKey("item_channels.item_channel_key", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("ordinal", Integer, nullable=False),
    Column("start_seconds", Float(53)),
    Column("stop_seconds", Float(53)),
    Column("text", Text),
    # dim float16 values, little-endian.
    Column("vector", LargeBinary, nullable=False),
    Index("uq_segments_place", "item_channel_key", "ordinal", unique=True),
    sqlite_autoincrement=True,
)

transcripts = Table(
    "transcripts",
    metadata,
    Column(
        "item_channel_key",
        RowNumber,
        ForeignKey("item_channels.item_channel_key", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("language", String(16)),
    Column("origin", String(16), nullable=False),
    # A list of utterances with their words, times in seconds.
    Column("utterances_json", Text, nullable=False),
)

outcomes = Table(
    "outcomes",
    metadata,
    Column("collection", String(64), ForeignKey("collections.name"), primary_key=True),
    Column("location", Text, primary_key=True),
    Column("item_id", String(200)),
    Column("state", String(16), nullable=False),
    Column("reason", String(64)),
    Column("detail", Text),
    Column("content_sha256", String(64)),
    # Failures in a row, and when the first of that row was seen.
    Column("attempts", Integer, nullable=False),
    Column("first_seen", String(32), nullable=False),
    Column("last_seen", String(32), nullable=False),
    Column("run_id", String(64)),
    Index("ix_outcomes_collection_state", "collection", "state"),
)

runs = Table(
    "runs",
    metadata,
    Column("run_id", String(64), primary_key=True),
    Column("collection", String(64), ForeignKey("collections.name"), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("started_at", String(32), nullable=False),
    Column("finished_at", String(32)),
    Column("summary_json", Text),
    Index("ix_runs_collection_started_at", "collection", "started_at"),
)

takedowns = Table(
    "takedowns",
    metadata,
    Column("takedown_id", String(64), primary_key=True),
    # No reference: something may be blocked before the collection's first ingest.
    Column("collection", String(64), nullable=False),
    Column("requested_at", String(32), nullable=False),
    Column("requested_by", Text, nullable=False),
    Column("reason", Text),
    # Ids of items with equal content that were left alone.
    Column("same_content_json", Text, nullable=False),
    # What was erased when.
    Column("erasures_json", Text, nullable=False),
    # When nothing held it any more.
    Column("erased_at", String(32)),
    Column("lifted_at", String(32)),
    Column("lifted_by", Text),
    Index("ix_takedowns_collection_lifted_at", "collection", "lifted_at"),
)

taken_down_items = Table(
    "taken_down_items",
    metadata,
    Column("takedown_id", String(64), ForeignKey("takedowns.takedown_id"), primary_key=True),
    Column("item_id", ItemIdText, primary_key=True),
    Column("collection", String(64), nullable=False),
    # Of the item's bytes; null where there never was such an item.
    Column("content_sha256", String(64)),
    Column("state", String(16), nullable=False),
    Index("ix_taken_down_items_collection_item_id", "collection", "item_id"),
    Index("ix_taken_down_items_collection_content_sha256", "collection", "content_sha256"),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("collection", String(64), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("request_sha256", String(64), nullable=False),
    # Who works on the request, and until when nobody else may. Seconds since 1970.
    Column("owner", String(64), nullable=False),
    Column("created_at_seconds", Float(53), nullable=False),
    Column("lease_until_seconds", Float(53), nullable=False),
    # The answer; no status while the request is being worked on.
    Column("status", Integer),
    Column("answer_json", Text),
    Column("location", Text),
    Index("ix_idempotency_keys_created_at_seconds", "created_at_seconds"),
)

write_jobs = Table(
    "write_jobs",
    metadata,
    Column("job_id", String(64), primary_key=True),
    Column("collection", String(64), ForeignKey("collections.name"), nullable=False),
    Column("state", String(16), nullable=False),
    # How often somebody began it; one that kills whoever runs it is given up.
    Column("attempts", Integer, nullable=False),
    Column("owner", String(64)),
    Column("lease_until_seconds", Float(53), nullable=False),
    Column("reason", String(64)),
    Column("detail", Text),
    Column("created_at", String(32), nullable=False),
    Column("finished_at", String(32)),
    Index("ix_write_jobs_collection_state", "collection", "state"),
)

write_job_operations = Table(
    "write_job_operations",
    metadata,
    Column(
        "job_id", String(64), ForeignKey("write_jobs.job_id", ondelete="CASCADE"), primary_key=True
    ),
    Column("ordinal", Integer, primary_key=True),
    Column("collection", String(64), nullable=False),
    Column("item_id", String(200), nullable=False),
    # A later write of the same item supersedes what is still pending here.
    Column("state", String(16), nullable=False),
    # Emptied when the operation is settled.
    Column("operation_json", Text, nullable=False),
    Column("result_json", Text),
    Index("ix_write_job_operations_collection_item_id", "collection", "item_id"),
)
