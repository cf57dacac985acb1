"""What damaged snapshots do to whoever opens them: they are refused, by file and reason.

    python -m benchmarks.mutations --files 3000 --manifests 500

Files of snapshots of every engine are damaged in their bytes, swapped, or replaced by something
that is no file; manifests in their bytes, their JSON and their meaning. All of this as it happens,
which the digests notice, and a second time with digests made to fit, as only somebody does who
wants to (*forged*): then the readers of the formats meet it. Whatever a forged FAISS index does to
the process that searches it, it does to the child of `smoke_search` before anything is published or
rolled back to.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.fresh_processes import answer_of
from benchmarks.made_up_items import COLLECTION, made_up_identities, made_up_write
from benchmarks.mutated_files import CHANGED_BYTES, OTHER_KINDS, forge, fresh_copy, swap
from benchmarks.mutated_manifests import mutated, with_own_digest
from benchmarks.mutation_verdicts import Answers, Case, Verdict, answers_of, verdicts
from indexer.catalog.catalog import Catalog
from indexer.config import CollectionConfig, parse_collection
from indexer.data_dir import DataDir
from indexer.manifest import MANIFEST_FILE
from indexer.smoke_search import SmokeSearchFailed, smoke_search
from indexer.snapshot import build_snapshot

NUM_ITEMS = 150
CASES_AT_A_TIME = 100
SMOKE_SECONDS = 30.0
FATAL = ("died", "hung", "unmapped")
"""Ends that only what a native reader makes of a forged FAISS index may have."""

# One channel of each kind of index; the files of Qdrant Edge are opened by a process of its own,
# which takes a second to start, so they lie in another snapshot.
KINDS = {
    "exact": "{engine: exact}",
    "flat": "{factory: Flat}",
    "graph": "{factory: HNSW16}",
    "lists": '{factory: "IVF8,Flat"}',
    "codes": '{factory: "IVF4,PQ8x4fsr,RFlat"}',
    "scalar": "{factory: SQ8}",
}
EDGE_KINDS = {"edge": "{engine: qdrant}"}


def collection_of(kinds: dict[str, str]) -> CollectionConfig:
    """Return a collection with a channel for each kind of index."""
    lines = ["name: made-up", "attributes: {version: int}", "channels:"]
    for name, index in kinds.items():
        encoder = "encoder: {family: sentence_transformers}"
        lines.append(f"  {name}: {{media: [text], {encoder}, index: {index}}}")
    return parse_collection("\n".join(lines))


def build_base(folder: Path, config: CollectionConfig) -> tuple[Path, Answers]:
    """Build a snapshot and return its folder and what it answers."""
    identities = dict.fromkeys(config.channels, made_up_identities()["flat"])
    data_dir = DataDir(folder)
    with Catalog.open(data_dir) as catalog:
        catalog.register_collection(config)
        names = [f"item-{number:04d}" for number in range(NUM_ITEMS)]
        catalog.write(COLLECTION, [made_up_write(name, 0, identities) for name in names])
        snapshot = build_snapshot(catalog, data_dir, config, identities)
    return snapshot.path, answers_of(snapshot.path, config, tuple(config.channels))


@dataclass(slots=True)
class MutationReport:
    """What a series of damages led to."""

    counts: dict[str, Counter[str]] = field(default_factory=dict)
    """By series: how many cases came to which end."""

    examples: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    num_killed_smoke_searches: int = 0
    peak_bytes: int = 0
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Return the report as printed."""
        return {
            "counts": {name: dict(counter) for name, counter in self.counts.items()},
            "forged_and_fatal_refused_by_smoke_search": self.num_killed_smoke_searches,
            "peak_memory_mib": self.peak_bytes >> 20,
            "seconds": round(self.seconds, 1),
            "examples": self.examples,
            "problems": self.problems,
        }


class MutationSuite:
    """Two snapshots, of which every case damages a copy.

    Args:
        folder: an empty one.
        seed: of what is damaged and how.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self.report = MutationReport()
        self._folder = folder
        self._chance = random.Random(seed)
        self._bases = {}
        for name, kinds in (("faiss", KINDS), ("edge", EDGE_KINDS)):
            config = collection_of(kinds)
            self._bases[name] = (config, *answer_of(build_base, folder / name, config))

    def run(self, num_files: int, num_forged_files: int, num_manifests: int) -> None:
        """Damage so many files, so many with fitting digests, and manifests in both ways."""
        started = time.monotonic()
        self._series("files", num_files, self._damaged_file)
        self._series("forged files", num_forged_files, self._forged_file, edge_share=0.04)
        self._series("manifests", num_manifests, self._manifest, edge_share=0.0)
        self._series("forged manifests", num_manifests, self._forged_manifest, edge_share=0.0)
        self.report.seconds += time.monotonic() - started

    def _series(
        self,
        name: str,
        num_cases: int,
        make: Callable[[Path, Sequence[str]], Case],
        edge_share: float = 0.25,
    ) -> None:
        counter = self.report.counts.setdefault(name, Counter())
        num_edge = round(num_cases * edge_share)
        for base, number in (("faiss", num_cases - num_edge), ("edge", num_edge)):
            config, path, answers = self._bases[base]
            for start in range(0, number, CASES_AT_A_TIME):
                scratch = self._folder / "cases"
                cases = [
                    make(fresh_copy(path, scratch, each), tuple(config.channels))
                    for each in range(min(CASES_AT_A_TIME, number - start))
                ]
                for case, verdict in verdicts(cases, config, answers):
                    counter[verdict.kind] += 1
                    self._note(name, case, verdict)
                shutil.rmtree(scratch)

    def _note(self, series: str, case: Case, verdict: Verdict) -> None:
        report = self.report
        report.peak_bytes = max(report.peak_bytes, verdict.peak_bytes)
        words = verdict.reason.replace(str(case.folder), "").strip("/")
        report.examples.setdefault(f"{series}, {case.what}: {verdict.kind}", words[:200])
        is_forged = series.startswith("forged")
        if is_forged and verdict.kind in FATAL and case.what.startswith("index.faiss"):
            self._must_fail_smoke_search(case)
        elif verdict.kind in FATAL:
            report.problems.append(f"{series}: {case.what}: {verdict.kind} {verdict.reason[:500]}")
        elif verdict.kind == "refused" and case.file and case.file not in verdict.reason:
            report.problems.append(f"{series}: {case.what}: {case.file} not in {verdict.reason}")
        elif not is_forged and verdict.kind != "refused":
            report.problems.append(f"{series}: {case.what}: {verdict.kind}")

    def _must_fail_smoke_search(self, case: Case) -> None:
        try:
            smoke_search(case.folder, max_seconds=SMOKE_SECONDS)
        except SmokeSearchFailed:
            self.report.num_killed_smoke_searches += 1
        else:
            # The questions of a smoke search are others: it may have been spared.
            self.report.examples[f"passed the smoke search: {case.what}"] = str(case.file)

    def _damaged_file(self, folder: Path, channels: Sequence[str]) -> Case:
        files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        path = self._chance.choice(files)
        kinds = {**CHANGED_BYTES, **OTHER_KINDS}
        what = self._chance.choice([*sorted(kinds), "swapped", "one more file"])
        name: str | None = path.relative_to(folder).as_posix()
        if what == "swapped":
            other = self._chance.choice([each for each in files if _differ(path, each)])
            swap(path, other)
            name = None  # either may be named
        elif what == "one more file":
            path.with_name("index.faiss.old").write_bytes(b"left here")
            name = "index.faiss.old"
        else:
            kinds[what](path, self._chance)
        return Case(f"{_kind_of(path)} {what}", folder, tuple(channels), name)

    def _forged_file(self, folder: Path, channels: Sequence[str]) -> Case:
        files = [
            path
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.name not in (MANIFEST_FILE, "segment_ids.npy")
        ]
        path = self._chance.choice(files)
        what = self._chance.choice([*sorted(CHANGED_BYTES), "swapped"])
        name: str | None = path.relative_to(folder).as_posix()
        if what == "swapped":
            swap(path, self._chance.choice([each for each in files if _differ(path, each)]))
            name = None
        else:
            CHANGED_BYTES[what](path, self._chance)
        forge(folder)
        # Edge reads what was archived, so its own reason names no file, only the folder.
        if name is not None and "/qdrant/" in name:
            name = name.partition("/qdrant/")[0]
        return Case(f"{_kind_of(path)} {what}", folder, tuple(channels), name)

    def _manifest(self, folder: Path, channels: Sequence[str], *, forged: bool = False) -> Case:
        path = folder / MANIFEST_FILE
        what, content = mutated(path.read_bytes(), self._chance)
        path.write_bytes(with_own_digest(content) if forged else content)
        return Case(what, folder, tuple(channels), None if forged else MANIFEST_FILE)

    def _forged_manifest(self, folder: Path, channels: Sequence[str]) -> Case:
        return self._manifest(folder, channels, forged=True)


def _differ(one: Path, other: Path) -> bool:
    return one.read_bytes() != other.read_bytes()


def _kind_of(path: Path) -> str:
    return "Edge's files" if "qdrant" in path.parts else path.name


def main() -> int:
    """Run the suite and print a JSON report; exit 1 when anything went wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=3000)
    parser.add_argument("--forged-files", type=int, default=3000)
    parser.add_argument("--manifests", type=int, default=500, help="in each of the two ways")
    parser.add_argument("--seed", type=int, default=19)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        suite = MutationSuite(Path(scratch), options.seed)
        suite.run(options.files, options.forged_files, options.manifests)
    print(json.dumps(suite.report.as_json(), indent=2))
    return int(bool(suite.report.problems))


if __name__ == "__main__":
    sys.exit(main())
