from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from encoders.media.content import Medium
from encoders.media.sandbox import DecodeSandbox
from indexer.config import load_collection
from indexer.corpus_probe import Probe, ProbedFile, draw, probe
from indexer.cost_plan import CostPlan, plan_costs
from indexer.index_timing import index_seconds_per_row
from indexer.pipeline import IngestOptions, channel_identities
from indexer.sample_ingest import GroupCost, SampleCost, ingest_sample
from indexer.walk import FoundFile, find_files
from tests.indexer.fakes import FakeLoader

CONFIG = load_collection("starter")
IDENTITIES = channel_identities(CONFIG, FakeLoader())  # type: ignore[arg-type]


def file_of(medium: Medium, seconds: float, size_bytes: int) -> ProbedFile:
    name = f"{medium}-{seconds}-{size_bytes}"
    return ProbedFile(FoundFile(Path(name), ".", name), medium, size_bytes, seconds)


def group_of(files: Sequence[ProbedFile], cpu_seconds: float, **segments: int) -> GroupCost:
    return GroupCost(
        files=tuple(files),
        cpu_seconds=cpu_seconds,
        seconds=cpu_seconds / 2,
        stages={"decode": cpu_seconds / 4, "encode": 3 * cpu_seconds / 4},
        start_seconds=0.5,
        segments=segments,
        failures=(),
    )


def plan_of(files: dict[Medium, list[ProbedFile]], cost: SampleCost) -> CostPlan:
    return plan_costs(
        Probe(files=files),
        cost,
        CONFIG,
        IDENTITIES,
        own_start_seconds=2.0,
        index_seconds_per_row=lambda name, rows: 0.001,
    )


def test_a_medium_is_extrapolated_by_what_its_cost_follows() -> None:
    # A second costs 0.1 s, whatever the number and the bytes of the files.
    files = [file_of("audio", float(n), 1000 + n % 7) for n in range(1, 101)]
    groups = [
        group_of(some, 0.1 * sum(file.seconds for file in some), sounds=10)
        for some in (files[0:10], files[20:24], files[50:61], files[80:83])
    ]
    plan = plan_of({"audio": files}, SampleCost(groups={"audio": groups}))
    audio = plan.media["audio"]
    assert audio.measure == "seconds"
    assert audio.cpu_seconds.value == pytest.approx(0.1 * 5050)
    assert audio.stages == pytest.approx({"decode": 0.025 * 5050, "encode": 0.075 * 5050})
    sampled = sum(file.seconds for group in groups for file in group.files)
    assert audio.segments["sounds"] == pytest.approx(40 * 5050 / sampled)


def test_what_is_spent_once_is_not_multiplied() -> None:
    files = [file_of("image", 0.0, 10) for _ in range(100)]
    groups = [group_of(files[n : n + 5], 1.0, pictures=5) for n in (0, 5, 10, 15)]
    cost = SampleCost(
        groups={"image": groups},
        load_seconds=3.0,
        publish_seconds=1.0,
        empty_catalog_bytes=200,
        catalog_bytes=1000,
        snapshot_table_bytes=100,
        peak_memory_bytes=10,
    )
    plan = plan_of({"image": files}, cost)
    assert plan.start_seconds == pytest.approx(2.0 + 3.0 + 0.5)
    assert plan.channels["pictures"].segments == 100
    assert plan.publish_seconds == pytest.approx(1.0 + 0.001 * 80)
    assert plan.cpu_seconds.value == pytest.approx(20.0 + 5.5 + 1.08)
    assert sum(plan.stages.values()) == pytest.approx(plan.cpu_seconds.value)
    assert plan.catalog_bytes == 200 + 5 * 800
    index = plan.channels["pictures"].index_bytes["flat"]
    assert plan.snapshot_bytes == 500 + index
    assert plan.peak_memory_bytes == 10 + index


def test_the_range_is_as_wide_as_the_groups_differ_and_the_sample_is_small() -> None:
    files = [file_of("image", 0.0, 10) for _ in range(400)]

    def width(costs: Sequence[float], num_files: int) -> float:
        groups = [group_of(files[5 * n : 5 * n + 5], each) for n, each in enumerate(costs)]
        plan = plan_of({"image": files[:num_files]}, SampleCost(groups={"image": groups}))
        estimate = plan.cpu_seconds
        assert estimate.low < estimate.value < estimate.high
        return (estimate.high - estimate.value) / (estimate.value - plan.start_seconds)

    alike, different = width([1, 1, 1, 1], 400), width([0.5, 1.5, 0.8, 1.2], 400)
    assert alike < different
    assert width([0.5, 1.5, 0.8, 1.2], 20) == pytest.approx(alike), "all were tried"


def test_a_corpus_without_a_readable_file_costs_the_start_alone() -> None:
    plan = plan_of({}, SampleCost())
    assert plan.cpu_seconds.value == pytest.approx(2.0)
    assert (plan.media, plan.stages) == ({}, {"start": 2.0, "publish": 0.0})


def test_a_sample_is_ingested_for_real_and_leaves_nothing(
    media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    (media / "broken.png").write_bytes((media / "picture-0.png").read_bytes()[:60])
    loader = FakeLoader()
    with DecodeSandbox() as sandbox:
        found = probe(find_files([media]), CONFIG, sandbox)
    drawn = draw(found.files, 200, 2)
    done: list[int] = []
    cost = ingest_sample(
        drawn,
        CONFIG,
        loader,  # type: ignore[arg-type]
        IngestOptions(),
        on_progress=done.append,
    )
    groups = {medium: len(several) for medium, several in cost.groups.items()}
    assert groups == {"image": 2, "audio": 2, "text": 1}
    assert cost.complete
    tried = [group.files for several in cost.groups.values() for group in several]
    assert sum(map(len, tried)) == 9
    assert done[-1] == 9 + sum(len(several[0]) for several in drawn.values())
    pictures = sum(group.segments["pictures"] for group in cost.groups["image"])
    assert pictures == 5
    failures = [failed.reason for group in cost.groups["image"] for failed in group.failures]
    assert failures == ["truncated"]
    for group in (group for several in cost.groups.values() for group in several):
        assert sum(group.stages.values()) == pytest.approx(group.cpu_seconds)
    assert cost.catalog_bytes >= cost.empty_catalog_bytes > 0
    assert cost.peak_memory_bytes > 10_000_000
    assert cost.snapshot_table_bytes > 0
    assert list(scratch.iterdir()) == []


def test_without_time_only_the_first_group_of_each_medium_is_tried(media: Path) -> None:
    with DecodeSandbox() as sandbox:
        found = probe(find_files([media]), CONFIG, sandbox)
    drawn = draw(found.files, 200, 2)
    cost = ingest_sample(
        drawn,
        CONFIG,
        FakeLoader(),  # type: ignore[arg-type]
        IngestOptions(),
        max_seconds=0.0,
    )
    assert {medium: len(groups) for medium, groups in cost.groups.items()} == {
        "image": 1, "audio": 1, "text": 1,
    }  # fmt: skip
    assert not cost.complete


def test_indexing_is_timed_on_vectors_made_for_it() -> None:
    assert index_seconds_per_row(500, 16) > 0
