from __future__ import annotations

from indexer.ann.index_entry import IndexEntry
from indexer.gate import judge
from indexer.manifest import FORMAT_VERSION, ChannelEntry, Manifest
from tests.indexer.stored_items import tiny_config

CONFIG = tiny_config()


def channel(num_items: int = 100, uncovered: int = 0, recall: float | None = 1.0) -> ChannelEntry:
    index = IndexEntry("faiss", "Flat", 16, 16, num_items, exact=True, vectors_file=False)
    return ChannelEntry(
        space_id="words",
        encoder_id="encoder",
        dim=16,
        num_segments=num_items,
        num_items=num_items,
        num_uncovered_items=uncovered,
        recall_at_10=recall,
        index=index,
    )


def manifest(digest: str = CONFIG.digest, **channels: ChannelEntry) -> Manifest:
    entries = {"pictures": channel(), "passages": channel(), **channels}
    return Manifest("1", "tiny", "", FORMAT_VERSION, 7, digest, 100, entries, {})


def test_a_good_snapshot_passes() -> None:
    assert judge(manifest(), CONFIG).passed
    assert judge(manifest(pictures=channel(0, recall=None)), CONFIG).passed
    assert judge(manifest(pictures=channel(recall=0.971)), CONFIG).passed
    assert judge(manifest(pictures=channel(99, 1)), CONFIG).passed


def test_low_recall_is_refused_in_numbers() -> None:
    report = judge(manifest(pictures=channel(recall=0.9)), CONFIG)
    assert not report.passed
    assert report.reasons == (
        "channel 'pictures' finds 0.900 of the 10 nearest, its target is 0.980 (margin 0.010)",
    )


def test_items_left_with_another_model_are_refused_in_numbers() -> None:
    (reason,) = judge(manifest(passages=channel(90, 10)), CONFIG).reasons
    assert "'passages' covers 90 of 100 items (90.0%), at least 98.0%" in reason
    assert judge(manifest(passages=channel(90, 10)), CONFIG, min_coverage=0.9).passed


def test_a_snapshot_of_another_configuration_is_refused() -> None:
    old = manifest(digest="old")
    del old.channels["passages"]
    reasons = judge(old, CONFIG).reasons
    assert reasons[0].startswith("built for configuration old")
    assert reasons[1] == "channel 'passages' is not in it"
