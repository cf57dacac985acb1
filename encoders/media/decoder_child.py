"""The parent's side of one decoder process: start it, hand it a task, end it when it must end."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection, Pipe
from typing import Any

from encoders.child_processes import child_environment, module_command
from encoders.errors import KindredError
from encoders.media.decode_limits import DecodeLimits
from encoders.media.rejection import MediaRejected

MAX_TASKS = 1000
"""A process is replaced after this many tasks, so that what codecs leak stays small."""

MAX_START_SECONDS = 60.0

DECODER_MODULE = "encoders.media.decoder_process"

CHILD_VARIABLES = {
    "PYTHONDONTWRITEBYTECODE": "1",
    # One thread per child: parallelism comes from num_workers, and each BLAS thread would reserve
    # address space that counts against the limit.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    # glibc gives the memory of a decoded file back and asks for it again with the next one, page
    # by page: a 10 s sound takes 7.0 ms of processor time so, 5.4 ms when this much is kept.
    "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(64 * 2**20),
}


class DecoderUnavailable(KindredError):
    """A decoder process could not be started: the installation is broken, not the file."""

    code = "decoder_unavailable"


class DecoderChild:
    """One decoder process, started when it is first needed and replaced when it has died.

    ``call`` and ``close`` belong to one thread; ``kill`` may come from any.

    Args:
        limits: what the process may use.
    """

    def __init__(self, limits: DecodeLimits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._killed = False
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection[Any, Any] | None = None
        self._num_tasks = 0
        self.cpu_seconds = 0.0
        """Processor time that decoding took; of tasks that ended a process nothing is known."""

    def call(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Run ``function`` in the process and return its result.

        Raises:
            MediaRejected: the function raised it, or the process hung, swelled or died.
            DecoderUnavailable: no process could be started.
        """
        connection = self._ready_connection()
        self._num_tasks += 1
        try:
            connection.send((function, args, kwargs))
            succeeded, outcome, cpu_seconds = connection.recv()
        except BlockingIOError:
            self._end_process()
            raise self._death(timed_out=True) from None
        except (EOFError, ConnectionError):
            raise self._death(timed_out=False) from None
        self.cpu_seconds += cpu_seconds
        if self._num_tasks >= MAX_TASKS:
            self._discard()
        if succeeded:
            return outcome
        raise outcome

    def kill(self) -> None:
        """End the process for good and wait until it is gone; a call that is under way fails."""
        with self._lock:
            self._killed = True
        self._end_process()
        process = self._process
        if process is not None:
            process.wait()

    def close(self) -> None:
        """End the process and wait until it is gone; for the thread that calls ``call``."""
        self.kill()
        self._discard()

    def _ready_connection(self) -> Connection[Any, Any]:
        if self._process is not None and self._process.poll() is not None:
            self._discard()  # it died between two tasks: nothing was lost
        if self._connection is None:
            self._start()
        assert self._connection is not None
        return self._connection

    def _start(self) -> None:
        ours, theirs = Pipe()
        with self._lock:
            if self._killed:
                raise DecoderUnavailable("the decode sandbox is closed")
            with theirs:
                self._process = subprocess.Popen(
                    module_command(DECODER_MODULE, str(theirs.fileno())),
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    env=child_environment(**CHILD_VARIABLES),
                )
        self._connection = ours
        self._num_tasks = 0
        try:
            _limit_waiting(ours, MAX_START_SECONDS)
            ours.send(self._limits)
            ours.recv()
            _limit_waiting(ours, self._limits.max_wall_seconds)
        except (EOFError, ConnectionError, BlockingIOError) as error:
            self._end_process()
            exit_code = self._process.wait()
            self._discard()
            raise DecoderUnavailable(
                f"a decoder process ended with exit code {exit_code} before it was ready; what it "
                "wrote to standard error says why",
                exit_code=exit_code,
            ) from error

    def _death(self, *, timed_out: bool) -> MediaRejected:
        """Say why the process ended in the middle of a task, and clear it away."""
        assert self._process is not None
        exit_code = self._process.wait()
        self._discard()
        if timed_out:
            return MediaRejected(
                "timeout",
                f"decoding took longer than {self._limits.max_wall_seconds:g} s",
                max_wall_seconds=self._limits.max_wall_seconds,
            )
        if exit_code == -signal.SIGXCPU:
            return MediaRejected(
                "timeout",
                f"decoding used more than {self._limits.max_cpu_seconds} s of processor time",
                max_cpu_seconds=self._limits.max_cpu_seconds,
            )
        name = signal.Signals(-exit_code).name if exit_code < 0 else f"exit code {exit_code}"
        return MediaRejected(
            "decoder_crashed", f"the decoder process died ({name})", exit_code=exit_code
        )

    def _end_process(self) -> None:
        with self._lock:
            if self._process is not None and self._process.poll() is None:
                self._process.kill()

    def _discard(self) -> None:
        self._end_process()
        if self._process is not None:
            self._process.wait()
        if self._connection is not None:
            self._connection.close()
        self._process = self._connection = None


def _limit_waiting(connection: Connection[Any, Any], seconds: float) -> None:
    """Let every wait for bytes of the other end fail with ``BlockingIOError`` after some time.

    The kernel keeps this clock: a thread that watched one would take longer than reading a short
    text does.
    """
    whole, part = divmod(seconds, 1)
    with socket.socket(fileno=os.dup(connection.fileno())) as end:
        end.setsockopt(
            socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", int(whole), int(part * 1e6))
        )
