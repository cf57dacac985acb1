"""Printing for people: tables on standard output, progress on standard error."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console
    from rich.table import Table

    from indexer.outcomes import IngestSummary


UNWRAPPED_WIDTH = 10_000
"""Columns of a table that goes into a file or a pipe, where a folded path is no path."""


def print_json(value: Any) -> None:
    """Print one JSON value on a line of its own."""
    click.echo(json.dumps(value, ensure_ascii=False, default=str))


def console(*, stderr: bool = False) -> Console:
    """Return a console that wraps nothing when its output is a file."""
    from rich.console import Console

    made = Console(stderr=stderr, soft_wrap=True, highlight=False)
    if not made.is_terminal:
        made.width = UNWRAPPED_WIDTH
    return made


def table(*columns: str, title: str | None = None) -> Table:
    """Return a plain table with left-aligned columns."""
    from rich import box
    from rich.table import Table

    made = Table(*columns, title=title, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for column in made.columns:
        column.overflow = "fold"
    return made


def clock(seconds: float | None) -> str:
    """Return ``mm:ss`` or ``h:mm:ss``."""
    if seconds is None:
        return ""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes:02d}:{rest:02d}"


@contextmanager
def ingest_progress(*, quiet: bool) -> Iterator[Callable[[IngestSummary], None]]:
    """Show items, segments, failures, rate and time left while an ingest runs."""
    if quiet:
        yield lambda summary: None
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("items · {task.fields[segments]} segments · {task.fields[failed]} failed"),
        TextColumn("· {task.fields[rate]}/s ·"),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    with Progress(*columns, console=console(stderr=True)) as progress:
        task = progress.add_task("ingest", total=None, segments=0, failed=0, rate="-")

        def update(summary: IngestSummary) -> None:
            speed = progress.tasks[task].finished_speed or progress.tasks[task].speed
            progress.update(
                task,
                total=summary.planned,
                completed=summary.num_settled,
                segments=summary.segments,
                failed=summary.counts["failed"],
                rate=f"{speed:.1f}" if speed else "-",
            )

        yield update
