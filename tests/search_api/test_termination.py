"""SIGTERM ends a command, whatever it is at."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from search_api.cli.termination import ended_by_sigterm

ROOT = Path(__file__).resolve().parents[2]

PREAMBLE = """
import ctypes, os, signal, time
from search_api.cli.termination import ended_by_sigterm
"""

WAITING = """
try:
    with ended_by_sigterm():
        print("ready", flush=True)
        while True:
            time.sleep(0.01)
except KeyboardInterrupt:
    os.kill(os.getpid(), signal.SIGTERM)  # a default handler is back: this ends it
"""

CLEANING = """
try:
    with ended_by_sigterm():
        try:
            print("ready", flush=True)
            while True:
                time.sleep(0.01)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            print("clean", flush=True)
except KeyboardInterrupt:
    print("out", flush=True)
"""

# A mutex taken twice: no signal brings the library back, and it holds no interpreter lock.
STUCK = """
libc, mutex = ctypes.CDLL(None), ctypes.create_string_buffer(64)
with ended_by_sigterm(grace_seconds=0.2):
    libc.pthread_mutex_lock(mutex)
    try:
        print("ready", flush=True)
    finally:  # also where the signal comes in between
        libc.pthread_mutex_lock(mutex)
"""


def terminated(code: str) -> tuple[int, str]:
    process = subprocess.Popen(
        [sys.executable, "-c", PREAMBLE + code], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.terminate()
        try:
            printed, _ = process.communicate(timeout=30)
        finally:
            process.kill()
    return process.returncode, printed


def test_the_block_is_left_and_the_handler_of_before_is_back() -> None:
    assert terminated(WAITING) == (-signal.SIGTERM, "")


def test_a_second_signal_does_not_break_off_the_way_out() -> None:
    assert terminated(CLEANING) == (0, "clean\nout\n")


def test_a_library_that_does_not_come_back_is_not_waited_for() -> None:
    assert terminated(STUCK) == (1, "")


def test_nothing_is_left_behind_without_a_signal() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with ended_by_sigterm():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before
    with pytest.raises(KeyboardInterrupt), ended_by_sigterm():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == before
