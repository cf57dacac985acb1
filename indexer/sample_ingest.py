"""Ingesting a sample for real, into a catalog that is thrown away, to see what it takes."""

from __future__ import annotations

import resource
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from encoders.encoder import EncoderIdentity
from encoders.loading import EncoderLoader
from encoders.media.content import Medium
from indexer.catalog.catalog import Catalog
from indexer.config import CollectionConfig, IndexConfig
from indexer.corpus_probe import ProbedFile
from indexer.data_dir import DataDir
from indexer.outcomes import FailedFile, IngestSummary
from indexer.peak_memory import PeakMemory
from indexer.pipeline import IngestOptions, channel_identities, ingest
from indexer.reindex import reindex

OWN_STAGES = ("plan", "hash", "preprocess", "hear", "load", "encode", "write")
"""Stages of this process, measured by the clock; `outcomes.STAGES` says what they are."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Processor time so far, of this process and of its children that have ended, and the clock."""

    own: float
    children: float
    clock: float

    def since(self, before: Usage) -> Usage:
        """Return what was used between two moments."""
        return Usage(
            self.own - before.own, self.children - before.children, self.clock - before.clock
        )

    @property
    def cpu_seconds(self) -> float:
        """Of all processes."""
        return self.own + self.children


def usage() -> Usage:
    """Return what has been used since this process began."""
    own, children = (_cpu(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return Usage(own, children, time.perf_counter())


@dataclass(frozen=True, slots=True)
class GroupCost:
    """What ingesting a group of files of one medium took."""

    files: tuple[ProbedFile, ...]

    cpu_seconds: float
    """Of this process and of decoding; starting decoders is not in it."""

    seconds: float
    """By the clock, without starting decoders."""

    stages: Mapping[str, float]
    """Processor seconds by stage: ``decode`` as measured; the time of this process is shared out by
    how long each of `OWN_STAGES` took."""

    start_seconds: float
    """Processor time of starting decoders."""

    segments: Mapping[str, int]
    """By channel."""

    failures: tuple[FailedFile, ...]


@dataclass(slots=True)
class SampleCost:
    """What ingesting a sample took."""

    groups: dict[Medium, list[GroupCost]] = field(default_factory=dict)

    load_seconds: float = 0.0
    """Processor time that only the first files take: loading models."""

    publish_seconds: float = 0.0
    """Processor time of building, checking and publishing the index of the sample."""

    empty_catalog_bytes: int = 0
    catalog_bytes: int = 0
    snapshot_table_bytes: int = 0
    """Of the sample's snapshot, without indexes and vectors."""

    peak_memory_bytes: int = 0
    """Of this process and all decoders."""

    complete: bool = True
    """Whether the time allowed was enough for all of the sample."""


def ingest_sample(
    drawn: Mapping[Medium, Sequence[Sequence[ProbedFile]]],
    config: CollectionConfig,
    loader: EncoderLoader,
    options: IngestOptions,
    *,
    max_seconds: float | None = None,
    on_progress: Callable[[int], None] = lambda num_files: None,
) -> SampleCost:
    """Ingest a sample group by group and publish it, in a folder that is removed afterwards.

    The first group of each medium is ingested twice: what it takes more the first time is what
    loading the models takes.

    Args:
        drawn: groups of files by medium, none of them empty.
        config: the collection.
        loader: opens the encoders.
        options: how to ingest.
        max_seconds: after how long no further group is begun; the first of each medium always is.
        on_progress: called with the number of files done so far, those done twice counted twice.
    """
    cost = SampleCost(groups={medium: [] for medium in drawn})
    started = time.perf_counter()
    identities = channel_identities(config, loader)
    num_done = 0
    first: dict[Medium, GroupCost] = {}
    memory = PeakMemory()
    for warming in (True, False):
        with _scratch() as (catalog, data_dir), memory:
            catalog.register_collection(config)
            cost.empty_catalog_bytes = _database_bytes(data_dir.catalog_path)
            for number, medium in _in_turns(drawn):
                group = drawn[medium][number]
                late = max_seconds is not None and time.perf_counter() - started > max_seconds
                if number and (warming or late):
                    cost.complete &= warming
                    continue
                measured = _measured(group, catalog, config, identities, loader, options)
                if warming:
                    first[medium] = measured
                else:
                    cost.groups[medium].append(measured)
                num_done += len(group)
                on_progress(num_done)
            if not warming:
                _publish(cost, catalog, data_dir, config, identities)
    cost.load_seconds = sum(
        max(0.0, first[medium].cpu_seconds - groups[0].cpu_seconds)
        for medium, groups in cost.groups.items()
    )
    cost.peak_memory_bytes = memory.peak_bytes
    return cost


def _in_turns(drawn: Mapping[Medium, Sequence[object]]) -> Iterator[tuple[int, Medium]]:
    """Yield the number and the medium of every group, the first of each medium first."""
    longest = max(map(len, drawn.values()), default=0)
    for number in range(longest):
        yield from ((number, medium) for medium, groups in drawn.items() if number < len(groups))


@contextmanager
def _scratch() -> Iterator[tuple[Catalog, DataDir]]:
    with tempfile.TemporaryDirectory(prefix="kindred-plan-") as folder:
        data_dir = DataDir(Path(folder))
        with Catalog.open(data_dir) as catalog:
            yield catalog, data_dir


def _measured(
    group: Sequence[ProbedFile],
    catalog: Catalog,
    config: CollectionConfig,
    identities: Mapping[str, EncoderIdentity],
    loader: EncoderLoader,
    options: IngestOptions,
) -> GroupCost:
    held = _segments(catalog, config, identities)
    before = usage()
    summary = ingest([file.found.path for file in group], catalog, config, loader, options)
    used = usage().since(before)
    decode = summary.stages["decode"]
    start = max(0.0, used.children - decode)
    now = _segments(catalog, config, identities)
    return GroupCost(
        files=tuple(group),
        cpu_seconds=used.own + decode,
        seconds=max(0.0, used.clock - start),
        stages={"decode": decode, **_shared_out(used.own, summary)},
        start_seconds=start,
        segments={name: now[name] - held[name] for name in now},
        failures=tuple(summary.failures),
    )


def _shared_out(cpu_seconds: float, summary: IngestSummary) -> dict[str, float]:
    """Divide the processor time of this process between its stages."""
    clock = {name: summary.stages[name] for name in OWN_STAGES}
    total = sum(clock.values())
    if not total:
        return {**clock, "plan": cpu_seconds}
    return {name: cpu_seconds * seconds / total for name, seconds in clock.items()}


def _segments(
    catalog: Catalog, config: CollectionConfig, identities: Mapping[str, EncoderIdentity]
) -> Counter[str]:
    with catalog.state() as state:
        return Counter(
            {
                name: state.coverage(config.name, name, identity.encoder_id).current_segments
                for name, identity in identities.items()
            }
        )


def _publish(
    cost: SampleCost,
    catalog: Catalog,
    data_dir: DataDir,
    config: CollectionConfig,
    identities: Mapping[str, EncoderIdentity],
) -> None:
    # A sample may be too small to train the indexes that all of it would have.
    channels = {
        name: msgspec.structs.replace(channel, index=IndexConfig())
        for name, channel in config.channels.items()
    }
    config = msgspec.structs.replace(config, channels=channels)
    before = usage()
    report = reindex(catalog, data_dir, config, identities, force=True)
    cost.publish_seconds = usage().since(before).cpu_seconds
    assert report.manifest is not None, "force builds whatever is there"
    cost.snapshot_table_bytes = sum(
        entry.size_bytes
        for name, entry in report.manifest.files.items()
        if Path(name).suffix == ".arrow" or Path(name).name == "segment_ids.npy"
    )
    cost.catalog_bytes = _database_bytes(data_dir.catalog_path)


def _database_bytes(path: Path) -> int:
    """Return the size of a database when its log has been folded in."""
    with closing(sqlite3.connect(path)) as connection:
        (num_pages,) = connection.execute("PRAGMA page_count").fetchone()
        (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
    return int(num_pages * page_bytes)


def _cpu(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime
