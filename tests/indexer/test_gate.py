from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from encoders.errors import ConfigError
from indexer.ann.index_entry import IndexEntry
from indexer.canaries import ChannelCanaries
from indexer.config import CollectionConfig, parse_collection
from indexer.gate import judge
from indexer.gate_config import GateConfig
from indexer.gate_measurements import Measured
from indexer.manifest import FORMAT_VERSION, ChannelEntry, Manifest
from tests.indexer.stored_items import YAML, tiny_config

CONFIG = tiny_config()


def with_gate(**gate: Any) -> CollectionConfig:
    return structs.replace(CONFIG, gate=GateConfig(**gate))


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
    assert judge(manifest(passages=channel(90, 10)), with_gate(min_coverage=0.9)).passed


def test_a_snapshot_of_another_configuration_is_refused() -> None:
    old = manifest(digest="old")
    del old.channels["passages"]
    reasons = judge(old, CONFIG).reasons
    assert reasons[0].startswith("built for configuration old")
    assert reasons[1] == "channel 'passages' is not in it"


def failed(num_items: int, **by_reason: int) -> Measured:
    return Measured(num_items=num_items, failed=by_reason)


def test_a_hundred_poison_files_of_a_thousand_do_not_pass() -> None:
    (reason,) = judge(manifest(), CONFIG, failed(900, truncated=80, decoder_died=20)).reasons
    assert reason == (
        "100 of 1000 files failed (10.0%), at most 20 or 5.0% may: 80 truncated, 20 decoder_died; "
        "`kindred failures` lists them"
    )


@pytest.mark.parametrize(("num_items", "num_failed"), [(5, 6), (0, 20), (10, 20), (980, 49)])
def test_a_handful_of_bad_files_blocks_nothing(num_items: int, num_failed: int) -> None:
    assert judge(manifest(), CONFIG, failed(num_items, truncated=num_failed)).passed


def test_the_failure_budget_is_the_collections() -> None:
    measured = failed(900, truncated=100)
    assert judge(manifest(), with_gate(max_failed_share=0.1), measured).passed
    assert judge(manifest(), with_gate(max_failed_files=100), measured).passed
    strict = with_gate(max_failed_share=0, max_failed_files=0)
    assert not judge(manifest(), strict, failed(1000, truncated=1)).passed


def asked(**values: Any) -> Measured:
    canaries = ChannelCanaries(**{"num_known": 64, "known_item_share": 1.0, **values})
    return Measured(channels={"pictures": canaries})


def test_items_not_found_by_their_own_vectors_are_refused() -> None:
    assert judge(manifest(), CONFIG, asked(known_item_share=0.94)).passed
    (reason,) = judge(manifest(), CONFIG, asked(known_item_share=0.5)).reasons
    assert reason == (
        "channel 'pictures': 0.500 of 64 segments find their own item among the first 10, its "
        "target is 0.980 (margin 0.050)"
    )


def test_answers_unlike_those_of_the_live_snapshot_are_refused() -> None:
    assert judge(manifest(), CONFIG, asked(num_compared=64, overlap_at_10=0.89)).passed
    (reason,) = judge(manifest(), CONFIG, asked(num_compared=64, overlap_at_10=0.7)).reasons
    assert "0.700 of the 10 items nearest in the live snapshot are found again, over 64" in reason
    lenient = with_gate(overlap_margin=0.3)
    assert judge(manifest(), lenient, asked(num_compared=64, overlap_at_10=0.7)).passed


def test_a_slow_snapshot_is_warned_of_and_published() -> None:
    report = judge(manifest(), CONFIG, asked(live_seconds=0.002, new_seconds=0.009))
    assert report.passed
    assert report.warnings == (
        "channel 'pictures': a question takes 9.0 ms of processor time, 4.5 times as long as in "
        "the live snapshot",
    )
    for live_seconds, new_seconds in ((0.009, 0.009), (0.000_01, 0.000_9)):
        quick = asked(live_seconds=live_seconds, new_seconds=new_seconds)
        assert judge(manifest(), CONFIG, quick).warnings == ()


def test_what_was_not_compared_is_told() -> None:
    report = judge(manifest(), CONFIG, asked(not_compared="its encoder changed from a to b"))
    assert report.passed
    assert report.warnings == (
        "channel 'pictures' was not compared with the live snapshot: its encoder changed from a "
        "to b",
    )


def test_the_gate_is_written_in_the_yaml_and_changes_no_index() -> None:
    changed = parse_collection(YAML + "gate: {max_failed_share: 0.2}\n")
    assert changed.gate.max_failed_share == 0.2
    assert changed.digest == CONFIG.digest
    for wrong, told in (
        ("{max_failed: 3}", "max_failed"),
        ("{max_failed_share: 5}", "max_failed_share"),
        ("{canaries: [{channel: sounds, item_id: a, expect: [b]}]}", "asks channel 'sounds'"),
        ("{canaries: [{channel: pictures, item_id: a, expect: []}]}", "expect"),
    ):
        with pytest.raises(ConfigError, match=told):
            parse_collection(YAML + f"gate: {wrong}\n")
