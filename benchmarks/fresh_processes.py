"""Processes that share nothing with each other but were cheap to start.

A server process imports the libraries once and is forked for each new process, so that hundreds of
them can be started and killed in minutes.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from typing import Any, TypeVar

PRELOADED = [
    "__main__",
    "benchmarks.crash_look",
    "benchmarks.crash_processes",
    "faiss",
    "numpy.ma",
    "sqlite3",
    # What commands and servers import when they run.
    "indexer.pipeline",
    "indexer.reindex",
    "indexer.restore",
    "indexer.takedown",
    "litestar.testing",
    "search_api.app",
    "search_api.cli.main",
]
ResultT = TypeVar("ResultT")


class ProcessDied(Exception):
    """A process that was to answer ended without."""


def fork_server() -> ForkServerContext:
    """Return what starts processes; the first one waits for the imports."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


def start(function: Callable[..., object], *arguments: Any, **options: Any) -> ForkServerProcess:
    """Start a function of a module in a process of its own."""
    process = fork_server().Process(target=function, args=arguments, kwargs=options)
    process.start()
    return process


def answer_of(function: Callable[..., ResultT], *arguments: Any, **options: Any) -> ResultT:
    """Return what a function of a module answers in a fresh process.

    Raises:
        ProcessDied: it raised or was killed; what it raised is on stderr.
    """
    ours, theirs = fork_server().Pipe(duplex=False)
    process = start(_send, theirs, function, arguments, options)
    theirs.close()
    try:
        answer: ResultT = ours.recv()
    except EOFError as error:
        process.join()
        raise ProcessDied(
            f"{function.__name__} ended with {process.exitcode} and no answer"
        ) from error
    finally:
        ours.close()
    process.join()
    return answer


def _send(
    answers: Connection,
    function: Callable[..., object],
    arguments: tuple[Any, ...],
    options: dict[str, Any],
) -> None:
    with answers:
        answers.send(function(*arguments, **options))


def kill_group(process: ForkServerProcess) -> bool:
    """Kill a process that leads a group, and the group; tell whether it still ran."""
    if process.exitcode is not None:
        return False
    assert process.pid is not None
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:  # killed before it made its group, or ended just now
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    process.join()
    return process.exitcode == -signal.SIGKILL
