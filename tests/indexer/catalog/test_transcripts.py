"""Transcripts in the catalog: they come and go with the channel that was heard."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from encoders.media.content import Transcript, Utterance, Word
from indexer.catalog.catalog import Catalog
from indexer.catalog.database import write_transaction
from indexer.catalog.records import ItemWrite
from indexer.data_dir import DataDir
from tests.indexer.stored_items import COLLECTION, tiny_config, write_of

SAID = Transcript(
    (
        Utterance(
            "Größe zählt.", 1.5, 2.75, (Word("Größe", 1.5, 2.0, 0.5), Word("zählt.", 2.0, 2.75))
        ),
        Utterance("Ja.", 3.0, 3.5),
    ),
    language="de",
    origin="recognized",
)


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with Catalog.open(DataDir(tmp_path)) as opened:
        opened.register_collection(tiny_config())
        yield opened


def spoken(item_id: str, transcript: Transcript | None = SAID) -> ItemWrite:
    write = write_of(item_id)
    return replace(write, channels=(replace(write.channels[0], transcript=transcript),))


def test_a_transcript_comes_back_with_every_word(catalog: Catalog) -> None:
    catalog.write(COLLECTION, [spoken("talk"), write_of("text")])
    assert catalog.transcript(COLLECTION, "talk") == SAID
    assert catalog.transcript(COLLECTION, "text") is None
    assert catalog.transcript(COLLECTION, "nowhere") is None


def test_a_kept_channel_keeps_its_transcript_and_a_replaced_one_loses_it(catalog: Catalog) -> None:
    catalog.write(COLLECTION, [spoken("talk")])
    kept = ItemWrite(spoken("talk").item, (), frozenset({"passages"}))
    catalog.write(COLLECTION, [kept])
    assert catalog.transcript(COLLECTION, "talk") == SAID
    catalog.write(COLLECTION, [spoken("talk", None)])
    assert catalog.transcript(COLLECTION, "talk") is None


def test_a_deleted_item_leaves_no_words(catalog: Catalog) -> None:
    catalog.write(COLLECTION, [spoken("talk")])
    catalog.delete(COLLECTION, ["talk"])
    assert catalog.transcript(COLLECTION, "talk") is None
    with write_transaction(catalog._engine) as connection:
        assert connection.scalar(text("SELECT count(*) FROM transcripts")) == 0


def test_vectors_are_reused_together_with_what_was_heard(catalog: Catalog) -> None:
    write = spoken("talk")
    catalog.write(COLLECTION, [write])
    channel = write.channels[0]
    twin = catalog.reusable(channel.source_sha256, channel.segmentation_id, channel.encoder_id)
    assert twin is not None
    assert twin.transcript == SAID
