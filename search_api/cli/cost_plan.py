"""``kindred plan``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from search_api.cli import output
from search_api.cli.workspace import (
    collection_option,
    decode_workers,
    ingest_run_budget,
    json_option,
    open_loader,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from indexer.corpus_probe import Probe
    from indexer.cost_plan import CostPlan, Estimate
    from indexer.outcomes import FailedFile
    from indexer.sample_ingest import SampleCost

SAMPLE_FILES = 200
SAMPLE_GROUPS = 4


@click.command("plan")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH…")
@collection_option
@click.option(
    "--attributes",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="Attributes that the ingest would be given.",
)
@click.option(
    "--sample",
    "num_sampled",
    type=click.IntRange(min=1),
    default=SAMPLE_FILES,
    show_default=True,
    help="Files to try; rare media get more than their share.",
)
@click.option(
    "--max-minutes",
    type=click.FloatRange(min=0),
    help="Try no more files after so long; all of the sample by default.",
)
@json_option
def cost_plan(
    paths: tuple[Path, ...],
    collection: str,
    attributes: Path | None,
    num_sampled: int,
    max_minutes: float | None,
    as_json: bool,
) -> int:
    """Say what an ingest of files and folders would take, without ingesting them.

    Reads the header of every file, ingests a fair sample into a place that is thrown away, and
    extrapolates: processor time, hours on this machine, memory, disk, and the size of the index by
    kind. The data folder is neither read nor written, so files that it knows already are counted
    like new ones.
    """
    from encoders.media.sandbox import DecodeSandbox
    from indexer.config import load_collection
    from indexer.corpus_probe import draw, probe
    from indexer.cost_plan import plan_costs
    from indexer.index_timing import index_seconds_per_row
    from indexer.pipeline import IngestOptions, channel_identities
    from indexer.sample_ingest import ingest_sample, usage
    from indexer.walk import find_files
    from search_api.cli.ingest import require_models

    config = load_collection(collection)
    loader = open_loader(run_budget=ingest_run_budget())
    require_models(config, loader)
    identities = channel_identities(config, loader)
    options = IngestOptions(attributes, num_decode_workers=decode_workers())
    own_start_seconds = usage().own
    with DecodeSandbox(options.limits, num_workers=options.num_decode_workers) as sandbox:
        files = list(find_files(paths))
        with _progress("headers", len(files), quiet=as_json) as on_progress:
            found = probe(files, config, sandbox, on_progress)
    drawn = draw(found.files, num_sampled, SAMPLE_GROUPS)
    # The first group of each medium is tried twice.
    tries = sum(len(groups[0]) + sum(map(len, groups)) for groups in drawn.values())
    with _progress("sample", tries, quiet=as_json) as on_progress:
        cost = ingest_sample(
            drawn,
            config,
            loader,
            options,
            max_seconds=None if max_minutes is None else 60 * max_minutes,
            on_progress=on_progress,
        )
    plan = plan_costs(
        found,
        cost,
        config,
        identities,
        own_start_seconds=own_start_seconds,
        index_seconds_per_row=lambda name, rows: index_seconds_per_row(rows, identities[name].dim),
    )
    if as_json:
        output.print_json(_as_json(config.name, found, cost, plan))
    else:
        _print(found, cost, plan)
    return 0


@contextmanager
def _progress(what: str, total: int, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    if quiet:
        yield lambda num_done: None
        return
    from rich.progress import Progress

    with Progress(console=output.console(stderr=True), transient=True) as shown:
        task = shown.add_task(what, total=total)
        yield lambda num_done: shown.update(task, completed=num_done)


def _as_json(collection: str, found: Probe, cost: SampleCost, plan: CostPlan) -> dict[str, Any]:
    failed = _failed_in_sample(cost)
    return {
        "collection": collection,
        "files": {
            "found": found.num_found,
            "to_encode": sum(map(len, found.files.values())),
            "copies": found.num_copies,
            "skipped": found.num_skipped,
            "unreadable": len(found.unreadable),
        },
        "unreadable": _by_reason(found.unreadable),
        "sample": {
            "files": sum(each.num_sampled for each in plan.media.values()),
            "failed": len(failed),
            "failures": _by_reason(failed),
            "complete": cost.complete,
        },
        "cpu_seconds": {**_rounded(plan.cpu_seconds), "stages": _stages(plan)},
        "hours": _rounded(plan.wall_seconds.scaled(1 / 3600), digits=5),
        "peak_memory_bytes": plan.peak_memory_bytes,
        "disk_bytes": {"catalog": plan.catalog_bytes, "snapshot": plan.snapshot_bytes},
        "server_bytes": plan.server_bytes,
        "index_bytes": plan.index_bytes,
        "media": {
            medium: {
                "files": each.num_files,
                "bytes": each.num_bytes,
                "seconds": round(each.seconds, 1),
                "sampled": each.num_sampled,
                "extrapolated_by": each.measure,
                "cpu_seconds": _rounded(each.cpu_seconds),
            }
            for medium, each in plan.media.items()
        },
        "channels": {name: asdict(each) for name, each in plan.channels.items()},
    }


def _stages(plan: CostPlan) -> dict[str, float]:
    return {name: round(seconds, 2) for name, seconds in plan.stages.items()}


def _rounded(estimate: Estimate, digits: int = 2) -> dict[str, float]:
    return {name: round(number, digits) for name, number in asdict(estimate).items()}


def _by_reason(failures: Sequence[FailedFile]) -> dict[str, int]:
    return dict(Counter(each.reason for each in failures).most_common())


def _failed_in_sample(cost: SampleCost) -> list[FailedFile]:
    return [
        failure for groups in cost.groups.values() for group in groups for failure in group.failures
    ]


def _print(found: Probe, cost: SampleCost, plan: CostPlan) -> None:
    console = output.console()
    click.echo(
        f"{found.num_found} files: {sum(map(len, found.files.values()))} to encode, "
        f"{found.num_copies} copies, {found.num_skipped} skipped, "
        f"{len(found.unreadable)} unreadable{_reasons(found.unreadable)}"
    )
    failed = _failed_in_sample(cost)
    click.echo(
        f"tried {sum(each.num_sampled for each in plan.media.values())} of them, "
        f"{len(failed)} failed{_reasons(failed)}"
        + ("" if cost.complete else "; the time allowed was not enough for the whole sample")
    )
    media = output.table("medium", "files", "GB", "hours", "tried", "by", "CPU")
    for medium, each in plan.media.items():
        media.add_row(
            medium,
            str(each.num_files),
            f"{each.num_bytes / 1e9:.3f}",
            f"{each.seconds / 3600:.2f}" if each.seconds else "",
            str(each.num_sampled),
            each.measure,
            _span(each.cpu_seconds),
        )
    console.print(media)
    channels = output.table("channel", "segments", "index", *plan.index_bytes)
    for name, channel in plan.channels.items():
        sizes = [_megabytes(size) for size in channel.index_bytes.values()]
        channels.add_row(name, str(channel.segments), channel.kind, *sizes)
    channels.add_row("all", "", "", *map(_megabytes, plan.index_bytes.values()))
    console.print(channels)
    click.echo(f"processor time  {_span(plan.cpu_seconds)}")
    stages = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in _stages(plan).items())
    click.echo(f"  by stage      {stages}")
    click.echo(f"on this machine {_span(plan.wall_seconds)}")
    click.echo(f"peak memory     {_megabytes(plan.peak_memory_bytes)}")
    click.echo(
        f"disk            catalog {_megabytes(plan.catalog_bytes)}, index "
        f"{_megabytes(plan.snapshot_bytes)}; three indexes are kept, and one more while it is built"
    )
    if plan.server_bytes:
        click.echo(
            f"Qdrant servers  {_megabytes(plan.server_bytes)} an index, as many of them; the time "
            "for sending them is not in this plan"
        )


def _reasons(failures: Sequence[FailedFile]) -> str:
    counted = ", ".join(f"{reason} {count}" for reason, count in _by_reason(failures).items())
    return f" ({counted})" if counted else ""


def _span(seconds: Estimate) -> str:
    unit, name = (3600.0, "h") if seconds.value >= 3600 else (1.0, "s")
    value, low, high = (each / unit for each in (seconds.value, seconds.low, seconds.high))
    return f"{value:.1f} {name} ({low:.1f} to {high:.1f})"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
