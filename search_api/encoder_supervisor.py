"""Keeps the encoder process alive: starts it, starts it again when it dies, ends it.

A process that refuses to start (a model is missing, damaged or was not admitted) is not started
again: only somebody who mends what is wrong can help.
"""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import structlog

from encoders.child_processes import child_environment, module_command
from encoders.serving.encoder_process import EncoderProcessConfig
from encoders.serving.messages import ErrorMessage
from encoders.serving.start_problem import (
    EXIT_CANNOT_START,
    forget_start_problem,
    start_problem,
)

MIN_RESTART_SECONDS = 0.5
MAX_RESTART_SECONDS = 30.0
HEALTHY_SECONDS = 60.0
"""A process that lived this long is restarted at once when it dies."""

STOP_SECONDS = 10.0

log = structlog.get_logger("kindred.supervisor")


class EncoderSupervisor:
    """Runs the encoder process until told to stop, or until it says that no start can succeed.

    The process holds the reading end of a pipe from this one; when this one dies, by whatever
    signal, the pipe ends and the encoder process with it.

    Args:
        config: what the process is told.
        socket_path: where it listens.
        tell: is told why the process is not started any more.
    """

    def __init__(
        self,
        config: EncoderProcessConfig,
        socket_path: Path,
        tell: Callable[[ErrorMessage], object],
    ) -> None:
        self._tell = tell
        self._config_line = msgspec.json.encode(config) + b"\n"
        self._socket_path = socket_path
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._supervise, name="encoder-supervisor")

    def start(self) -> None:
        """Start the process and keep it alive from now on."""
        self._process = self._spawn()
        self._thread.start()

    def stop(self) -> None:
        """End the process; kill it if it does not end by itself."""
        with self._lock:
            self._stopping.set()
            process = self._process
        if process is not None:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._thread.join()

    def _spawn(self) -> subprocess.Popen[bytes]:
        """Start the process.

        Raises:
            OSError: the machine cannot start one now, or it died before it was told anything.
        """
        forget_start_problem(self._socket_path)
        process = subprocess.Popen(
            module_command("encoders.serving.encoder_process", str(self._socket_path)),
            env=child_environment(),
            stdin=subprocess.PIPE,
            # A session of its own: Ctrl-C in a terminal is for the supervisor, which ends workers
            # before the encoder that they still need.
            start_new_session=True,
        )
        if process.stdin is None:
            raise RuntimeError("the encoder process was started without its lifeline")
        process.stdin.write(self._config_line)
        process.stdin.flush()
        return process

    def _supervise(self) -> None:
        delay = MIN_RESTART_SECONDS
        while True:
            started = time.monotonic()
            process = self._process
            if process is None:
                return
            code = process.wait()
            if process.stdin is not None:
                process.stdin.close()
            if self._stopping.is_set():
                return
            problem = start_problem(self._socket_path)
            if code == EXIT_CANNOT_START and problem is not None:
                self._tell(problem)
                return
            lived = time.monotonic() - started
            delay = MIN_RESTART_SECONDS if lived >= HEALTHY_SECONDS else delay
            log.error("the encoder process ended", exit_code=code, restart_in_seconds=delay)
            while True:
                if self._stopping.wait(delay):
                    return
                delay = min(2 * delay, MAX_RESTART_SECONDS)
                try:
                    with self._lock:
                        if self._stopping.is_set():
                            return
                        self._process = self._spawn()
                    break
                except OSError as error:
                    log.error("cannot start the encoder process", error=str(error))
