"""A folder of everything, good and bad, through the whole ingest with the real models."""

from __future__ import annotations

from pathlib import Path

import pytest

from encoders.loading import EncoderLoader
from encoders.models.folder import ModelFolder
from indexer.catalog.catalog import Catalog
from indexer.config import load_collection
from indexer.data_dir import DataDir
from indexer.outcomes import STATES, IngestSummary
from indexer.pipeline import ingest
from tests.media_zoo import make_bad, make_good

pytestmark = pytest.mark.weights


@pytest.mark.timeout(600)
def test_every_good_file_is_stored_and_every_bad_one_listed_with_its_reason(
    models: ModelFolder, tmp_path: Path
) -> None:
    media = tmp_path / "media"
    media.mkdir()
    (media / "good").mkdir()
    (media / "bad").mkdir()
    good = make_good(media / "good")
    bad = make_bad(media / "bad")
    vanishing = media / "zz-vanishes-during-the-run.txt"
    vanishing.write_text("Here when the run is planned, gone when it is read.")
    assert len(good) >= 200
    assert len(bad) >= 20

    def take_away(_: IngestSummary) -> None:
        vanishing.unlink(missing_ok=True)

    config = load_collection("starter")
    with Catalog.open(DataDir(tmp_path / "data")) as catalog:
        summary = ingest([media], catalog, config, EncoderLoader(models), on_progress=take_away)
        stored = {entry.item.location for entry in catalog.known_items(config.name)}
        listed = {entry.location: entry.reason for entry in catalog.failures(config.name)}
    reasons = {failed.location: failed.reason for failed in summary.failures}
    expected = {str(path): reason for path, reason in bad.items()}
    expected[str(vanishing)] = "vanished"
    skipped = {failed.location for failed in summary.skipped}
    assert reasons == expected
    assert listed == expected
    assert stored == {str(path) for path in good} - skipped
    # Videos are known, but this collection has no channel for them yet.
    assert all(failed.reason == "no_channel" for failed in summary.skipped)
    assert summary.planned == len(good) + len(bad) + 1
    assert summary.planned == sum(summary.counts[state] for state in STATES)
