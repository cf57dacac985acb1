from __future__ import annotations

import subprocess
import sys

import psutil

from indexer.peak_memory import PeakMemory


def test_memory_of_children_is_added_to_that_of_the_process() -> None:
    with PeakMemory() as alone:
        pass
    assert alone.peak_bytes > 0
    hold = "import sys; held = b'x' * 200_000_000; print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", hold]
    with (
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as child,
    ):
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        own = psutil.Process().memory_info().rss
        with PeakMemory() as together:
            pass
        child.communicate("")
    assert together.peak_bytes > own + 190_000_000


def test_the_peak_stays_over_several_watches() -> None:
    memory = PeakMemory()
    with memory:
        pass
    first = memory.peak_bytes
    with memory:
        pass
    assert memory.peak_bytes >= first
