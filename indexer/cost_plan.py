"""What an ingest of a corpus would take, from its headers and from a sample that was ingested.

Each medium is extrapolated by the measure that its groups of the sample agree on best::

    cost of a medium  =  cost of its sample  *  measure of all its files / measure of the sample

where the measure is the number of files, their bytes or their seconds. How far the groups differ
says how wide the range is. What every run takes once is added: starting, loading models, building
and checking the index.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from encoders.encoder import EncoderIdentity
from encoders.media.content import Medium
from indexer.config import CollectionConfig, IndexConfig
from indexer.corpus_probe import Probe, ProbedFile
from indexer.index_sizes import bytes_on_server, configured_kind, index_bytes
from indexer.sample_ingest import GroupCost, SampleCost

T_80_PERCENT = (0.0, 3.08, 1.89, 1.64, 1.53, 1.48, 1.44, 1.41)
"""Student's t by degrees of freedom, for a range that holds in four of five cases."""

LEAST_ERROR = 0.05
"""Relative; a processor's speed varies as much from hour to hour."""

MEASURES: Mapping[str, Callable[[ProbedFile], float]] = {
    "files": lambda file: 1.0,
    "bytes": lambda file: float(file.size_bytes),
    "seconds": lambda file: file.seconds,
}


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number and the range that it lies in, in four of five cases."""

    value: float
    low: float
    high: float

    def scaled(self, factor: float) -> Estimate:
        """Return it in another unit."""
        return Estimate(self.value * factor, self.low * factor, self.high * factor)


@dataclass(frozen=True, slots=True)
class MediumPlan:
    """What the files of one medium take."""

    num_files: int
    num_bytes: int
    seconds: float
    num_sampled: int

    measure: str
    """What it was extrapolated by, one of `MEASURES`."""

    factor: float
    """How many times the sample's measure all files have."""

    cpu_seconds: Estimate
    wall_seconds: float
    stages: Mapping[str, float]
    segments: Mapping[str, float]
    """By channel."""


@dataclass(frozen=True, slots=True)
class ChannelPlan:
    """The index of one channel."""

    dim: int
    segments: int
    kind: str
    """Of `index_bytes`, as the collection says or ``auto`` chooses."""

    index_bytes: Mapping[str, int]

    server_bytes: int
    """What of it lies on a Qdrant server."""

    @property
    def disk_bytes(self) -> int:
        """What of it lies on the disk."""
        return self.index_bytes[self.kind] - self.server_bytes


@dataclass(frozen=True, slots=True)
class CostPlan:
    """What an ingest would take."""

    media: Mapping[Medium, MediumPlan]
    channels: Mapping[str, ChannelPlan]

    start_seconds: float
    """Processor time of starting, loading models and starting decoders."""

    publish_seconds: float
    """Processor time of building, checking and publishing the index."""

    cpu_seconds: Estimate
    wall_seconds: Estimate
    peak_memory_bytes: int
    catalog_bytes: int
    snapshot_bytes: int

    server_bytes: int
    """Of one snapshot on Qdrant servers."""

    @property
    def stages(self) -> dict[str, float]:
        """Processor seconds by stage."""
        total: Counter[str] = Counter()
        for medium in self.media.values():
            total.update(medium.stages)
        return {"start": self.start_seconds, **total, "publish": self.publish_seconds}

    @property
    def index_bytes(self) -> dict[str, int]:
        """Size of all indexes together, by kind."""
        total: Counter[str] = Counter()
        for channel in self.channels.values():
            total.update(channel.index_bytes)
        return dict(total)


def plan_costs(
    found: Probe,
    cost: SampleCost,
    config: CollectionConfig,
    identities: Mapping[str, EncoderIdentity],
    *,
    own_start_seconds: float,
    index_seconds_per_row: Callable[[str, int], float],
) -> CostPlan:
    """Extrapolate what a sample took to a whole corpus.

    Args:
        found: the headers of the corpus.
        cost: what its sample took.
        config: the collection.
        identities: its encoders by channel.
        own_start_seconds: processor time that this process took to start.
        index_seconds_per_row: processor time of indexing a row of a channel that has so many.
    """
    media = {
        medium: _medium_plan(found.files[medium], groups)
        for medium, groups in cost.groups.items()
        if groups
    }
    segments: Counter[str] = Counter()
    for medium in media.values():
        segments.update(medium.segments)
    channels = {
        name: _channel_plan(config.channels[name].index, identity.dim, round(segments[name]))
        for name, identity in identities.items()
    }
    groups = [group for several in cost.groups.values() for group in several]
    decoders = float(np.mean([group.start_seconds for group in groups])) if groups else 0.0
    start = own_start_seconds + cost.load_seconds + decoders
    sampled = Counter(dict.fromkeys(channels, 0))
    for group in groups:
        sampled.update(group.segments)
    publish = cost.publish_seconds + sum(
        (channel.segments - sampled[name]) * index_seconds_per_row(name, channel.segments)
        for name, channel in channels.items()
        if channel.segments > sampled[name]
    )
    once = start + publish
    cpu = _sum([medium.cpu_seconds for medium in media.values()], once)
    wall = sum(medium.wall_seconds for medium in media.values()) + once
    growth = _growth(channels, sampled)
    largest = max((channel.disk_bytes for channel in channels.values()), default=0)
    return CostPlan(
        media=media,
        channels=channels,
        start_seconds=start,
        publish_seconds=publish,
        cpu_seconds=cpu,
        wall_seconds=cpu.scaled(wall / cpu.value if cpu.value else 0.0),
        peak_memory_bytes=cost.peak_memory_bytes + largest,
        catalog_bytes=round(
            cost.empty_catalog_bytes + (cost.catalog_bytes - cost.empty_catalog_bytes) * growth
        ),
        snapshot_bytes=round(
            cost.snapshot_table_bytes * growth
            + sum(channel.disk_bytes for channel in channels.values())
        ),
        server_bytes=sum(channel.server_bytes for channel in channels.values()),
    )


def _medium_plan(files: Sequence[ProbedFile], groups: Sequence[GroupCost]) -> MediumPlan:
    measure = _best_measure(groups)
    of = MEASURES[measure]
    sampled = [file for group in groups for file in group.files]
    factor = sum(map(of, files)) / sum(map(of, sampled))
    stages: Counter[str] = Counter()
    segments: Counter[str] = Counter()
    for group in groups:
        stages.update(group.stages)
        segments.update(group.segments)
    cpu = sum(group.cpu_seconds for group in groups)
    error = _relative_error(groups, of, len(sampled) / len(files))
    return MediumPlan(
        num_files=len(files),
        num_bytes=sum(file.size_bytes for file in files),
        seconds=sum(file.seconds for file in files),
        num_sampled=len(sampled),
        measure=measure,
        factor=factor,
        cpu_seconds=Estimate(
            cpu * factor, cpu * factor * max(0.0, 1 - error), cpu * factor * (1 + error)
        ),
        wall_seconds=factor * sum(group.seconds for group in groups),
        stages={name: factor * seconds for name, seconds in stages.items()},
        segments={name: factor * count for name, count in segments.items()},
    )


def _best_measure(groups: Sequence[GroupCost]) -> str:
    """Return the measure of which the groups cost most nearly the same each."""
    usable = [
        name
        for name, of in MEASURES.items()
        if all(sum(map(of, group.files)) > 0 for group in groups)
    ]
    return min(usable, key=lambda name: _spread(groups, MEASURES[name]))


def _spread(groups: Sequence[GroupCost], of: Callable[[ProbedFile], float]) -> float:
    """Return the standard deviation of the cost of a unit over its mean."""
    rates = np.array([group.cpu_seconds / sum(map(of, group.files)) for group in groups])
    mean = float(rates.mean())
    return float(rates.std(ddof=1)) / mean if len(rates) > 1 and mean else 0.0


def _relative_error(
    groups: Sequence[GroupCost], of: Callable[[ProbedFile], float], share_sampled: float
) -> float:
    """Return how far off an extrapolation may be, relative to it.

    The more of a medium was sampled, the less of it is guessed.
    """
    freedom = min(len(groups) - 1, len(T_80_PERCENT) - 1)
    standard_error = _spread(groups, of) / sqrt(len(groups)) * sqrt(max(0.0, 1 - share_sampled))
    return LEAST_ERROR + T_80_PERCENT[freedom] * standard_error


def _channel_plan(config: IndexConfig, dim: int, segments: int) -> ChannelPlan:
    sizes = index_bytes(segments, dim)
    return ChannelPlan(
        dim, segments, configured_kind(config, segments), sizes, bytes_on_server(config, sizes)
    )


def _sum(estimates: Sequence[Estimate], certain: float) -> Estimate:
    """Add independent estimates and a number that is known."""
    value = sum(each.value for each in estimates) + certain
    below = sqrt(sum((each.value - each.low) ** 2 for each in estimates))
    above = sqrt(sum((each.high - each.value) ** 2 for each in estimates))
    return Estimate(value, value - below, value + above)


def _growth(channels: Mapping[str, ChannelPlan], sampled: Mapping[str, int]) -> float:
    """Return how many times as many bytes of vectors all of the corpus has as the sample."""
    held = sum(sampled[name] * channel.dim for name, channel in channels.items())
    all_of_it = sum(channel.segments * channel.dim for channel in channels.values())
    return all_of_it / held if held else 1.0
