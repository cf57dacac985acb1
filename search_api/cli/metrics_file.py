"""What a reindex tells Prometheus: a file for the textfile collector of node_exporter."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from search_api.cli.exit_codes import exit_code_of

if TYPE_CHECKING:
    from indexer.reindex_report import ReindexReport

PREFIX = "kindred_reindex_"

HELP: Mapping[str, str] = {
    "last_run_timestamp_seconds": "When the latest run ended.",
    "last_success_timestamp_seconds": "When the latest run with exit code 0 ended; 0 before.",
    "exit_code": "Of the latest run: 0 done or up to date, 1 failed, 2 usage, 3 refused.",
    "duration_seconds": "Of the latest run.",
    "stage_seconds": "Of the latest run with exit code 0, by stage.",
    "peak_memory_bytes": "Of the latest run with exit code 0.",
    "published": "1 if the latest run with exit code 0 published a snapshot, 0 if none was due.",
    "items": "Items in the catalog.",
    "segments": "Segments in the live snapshot.",
    "failed_files": "Files that failed at their latest attempt.",
    "delta_items": "Items changed since the live snapshot.",
    "recall_at_10": "Of the live snapshot against exact search, by channel.",
    "known_item_share": "Segments that found their own item when the gate asked, by channel.",
    "overlap_at_10": "Nearest items shared with the snapshot before, by channel.",
    "gate_warnings": "Warnings of the gate about the latest published snapshot.",
}
"""In the order of the file. What a run does not know keeps the value of the run before."""

_SAMPLE = re.compile(rf"{PREFIX}(\w+)\{{.*\}} \S+")


class MetricsFile:
    """Samples of one run, written beside those of earlier runs that still hold."""

    def __init__(self, path: Path, collection: str) -> None:
        self._path = path
        self._collection = collection
        self._started = time.time()
        self._lines: dict[str, list[str]] = {}

    def take(self, report: ReindexReport) -> None:
        """Take in what a finished reindex says of itself."""
        for stage, seconds in report.stages.items():
            self._add("stage_seconds", seconds, stage=stage)
        self._add("peak_memory_bytes", report.peak_memory_bytes)
        self._add("published", report.built)
        self._add("items", report.num_items)
        self._add("failed_files", report.num_failed)
        self._add("delta_items", report.num_delta_items)
        if report.manifest is not None:
            self._add("segments", report.manifest.num_segments)
            for channel, recall in report.manifest.recall.items():
                self._add("recall_at_10", recall, channel=channel)
        if report.gate is not None:
            self._add("gate_warnings", len(report.gate.warnings))
            for channel, canaries in report.gate.measured.channels.items():
                for name in ("known_item_share", "overlap_at_10"):
                    if (value := getattr(canaries, name)) is not None:
                        self._add(name, value, channel=channel)

    def write(self, exit_code: int) -> None:
        """Replace the file in one step.

        Raises:
            OSError: it cannot be written.
        """
        from indexer.durable_files import replace_durably

        now = time.time()
        lines = self._earlier_lines()
        self._add("last_run_timestamp_seconds", now)
        self._add("exit_code", exit_code)
        self._add("duration_seconds", now - self._started)
        if exit_code == 0:
            self._add("last_success_timestamp_seconds", now)
        elif "last_success_timestamp_seconds" not in lines:
            self._add("last_success_timestamp_seconds", 0)
        lines |= self._lines
        text = "".join(
            f"# HELP {PREFIX}{name} {help_text}\n# TYPE {PREFIX}{name} gauge\n"
            + "".join(f"{line}\n" for line in lines[name])
            for name, help_text in HELP.items()
            if name in lines
        )
        replace_durably(self._path, text.encode())

    def _add(self, name: str, value: float, **labels: str) -> None:
        named = {"collection": self._collection, **labels}
        # JSON escapes a string as the exposition format does.
        shown = ",".join(f"{key}={json.dumps(text)}" for key, text in named.items())
        self._lines.setdefault(name, []).append(f"{PREFIX}{name}{{{shown}}} {float(value)!r}")

    def _earlier_lines(self) -> dict[str, list[str]]:
        try:
            text = self._path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return {}
        lines: dict[str, list[str]] = {}
        for line in text.splitlines():
            sample = _SAMPLE.fullmatch(line)
            if sample is not None:
                lines.setdefault(sample[1], []).append(line)
        return lines


@contextmanager
def written_metrics(path: Path | None, collection: str) -> Iterator[MetricsFile | None]:
    """Write the metrics of what happens in the block, whatever that is.

    Args:
        path: the file; none is written when ``None``.
        collection: name, or path of a YAML.
    """
    if path is None:
        yield None
        return
    metrics = MetricsFile(path, _collection_name(collection))
    try:
        yield metrics
    except BaseException as error:
        try:
            metrics.write(exit_code_of(error))
        except OSError as problem:
            click.echo(f"kindred: the metrics were not written: {problem}", err=True)
        raise
    metrics.write(0)


def _collection_name(collection: str) -> str:
    from encoders.errors import ConfigError
    from indexer.config import load_collection

    try:
        return load_collection(collection).name
    except ConfigError:  # the command fails with the same error, and says more of it
        return Path(collection).stem
