"""`kindred serve` as a process, commands beside it, what workers hold, and when swaps happen."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec
import psutil

from benchmarks.swap_items import COLLECTION, YAML
from benchmarks.swap_load import LoadJob, LoadReport
from indexer.data_dir import DataDir
from indexer.publish import PointerStamp, pointer_stamp, read_pointer
from search_api.server import free_port

READY_SECONDS = 180.0
STOP_SECONDS = 60.0
POLL_SECONDS = 0.002
ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Held:
    """What one worker holds."""

    rss_bytes: int
    pss_bytes: int
    num_descriptors: int
    num_mappings: int
    num_mappings_of_removed: int
    """Of files in the data folder that were removed."""

    num_threads: int
    cpu_seconds: float

    @classmethod
    def by(cls, pid: int, data_dir: DataDir) -> Held:
        """Return what a process holds now."""
        process = psutil.Process(pid)
        maps = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8").splitlines()
        removed = [one for one in maps if one.endswith("(deleted)") and str(data_dir.root) in one]
        memory, times = process.memory_full_info(), process.cpu_times()
        return cls(
            rss_bytes=memory.rss,
            pss_bytes=memory.pss,
            num_descriptors=process.num_fds(),
            num_mappings=len(maps),
            num_mappings_of_removed=len(removed),
            num_threads=process.num_threads(),
            cpu_seconds=times.user + times.system,
        )


class SwapServer:
    """A running `kindred serve` on a data folder.

    Args:
        folder: where the collection's file goes.
        data_dir: what is served.
        num_workers: how many workers.
    """

    def __init__(self, folder: Path, data_dir: DataDir, num_workers: int) -> None:
        self.data_dir = data_dir
        config = folder / "swapped.yaml"
        config.write_text(YAML, encoding="utf-8")
        self._environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "KINDRED_DATA_DIR": str(data_dir.root),
            "KINDRED_COLLECTION": str(config),
            # Only the reindexes of the suite publish.
            "KINDRED_MAX_DELTA_SEGMENTS": str(10**9),
            "KINDRED_MAX_DELTA_SHARE": "1e9",
        }
        self.port = free_port("127.0.0.1", 0)
        self._num_workers = num_workers
        self._process = subprocess.Popen(
            self._command("serve", "--port", str(self.port), "--workers", str(num_workers)),
            env=self._environment,
            stdout=subprocess.DEVNULL,
        )
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=60)

    def _command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "search_api.cli", *arguments]

    def wait_until_ready(self) -> None:
        """Return when it answers.

        Raises:
            RuntimeError: it has ended; it says why on stderr.
            TimeoutError: it does not answer.
        """
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise RuntimeError(f"the server ended with {self._process.returncode}")
            with contextlib.suppress(httpx.TransportError):
                if (
                    self.http.get("/readyz").status_code == 200
                    and len(self.workers()) == self._num_workers
                ):
                    return
            time.sleep(0.1)
        raise TimeoutError(f"the server was not ready within {READY_SECONDS:g} s")

    def workers(self) -> list[int]:
        """Return the workers' process ids."""
        family = psutil.Process(self._process.pid).children(recursive=True)
        return [one.pid for one in family if any("spawn_main" in part for part in one.cmdline())]

    def held(self) -> dict[int, Held]:
        """Return what each worker holds."""
        return {pid: Held.by(pid, self.data_dir) for pid in self.workers()}

    def run(self, *arguments: str) -> Any:
        """Run a command of `kindred` and return what it prints as JSON; it must succeed."""
        done = subprocess.run(
            self._command(*arguments, "--json"),
            env=self._environment,
            stdout=subprocess.PIPE,
            check=True,
        )
        return msgspec.json.decode(done.stdout)

    def close(self) -> None:
        """Stop the server and all its processes."""
        self.http.close()
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            for one in psutil.Process(self._process.pid).children(recursive=True):
                one.kill()
            self._process.kill()
            self._process.wait()


class PointerWatch:
    """Notes when another snapshot becomes the live one."""

    def __init__(self, data_dir: DataDir) -> None:
        self.moves: list[tuple[float, str]] = []
        """When it was seen, on the clock of ``time.monotonic``, and which snapshot it was."""

        self._data_dir = data_dir
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> PointerWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        known: PointerStamp | None = pointer_stamp(self._data_dir, COLLECTION)
        while not self._over.wait(POLL_SECONDS):
            stamp = pointer_stamp(self._data_dir, COLLECTION)
            if stamp != known:
                seen, known = time.monotonic(), stamp
                pointer = read_pointer(self._data_dir, COLLECTION)
                if pointer is not None:
                    self.moves.append((seen, pointer.snapshot_id))


@contextmanager
def load_generator(folder: Path, job: LoadJob) -> Iterator[list[LoadReport]]:
    """Let a load generator run during the block; its report is in the list afterwards."""
    path = folder / "load.json"
    path.write_bytes(msgspec.json.encode(job))
    Path(job.report).unlink(missing_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.swap_load", str(path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    reports: list[LoadReport] = []
    try:
        yield reports
        process.terminate()
        if process.wait(STOP_SECONDS) != 0:
            raise RuntimeError(f"the load generator ended with {process.returncode}")
        reports.append(msgspec.msgpack.decode(Path(job.report).read_bytes(), type=LoadReport))
    finally:
        process.kill()
        process.wait()


def grown(before: Sequence[Held], after: Sequence[Held]) -> dict[str, float]:
    """Return by how much the means over workers grew, memory in MiB."""
    fields = {
        "rss_mib": ("rss_bytes", 2**20),
        "pss_mib": ("pss_bytes", 2**20),
        "descriptors": ("num_descriptors", 1),
        "mappings": ("num_mappings", 1),
        "threads": ("num_threads", 1),
    }

    def mean(held: Sequence[Held], field: str) -> float:
        return float(sum(getattr(each, field) for each in held)) / len(held)

    return {
        name: round((mean(after, field) - mean(before, field)) / unit, 2)
        for name, (field, unit) in fields.items()
    }
