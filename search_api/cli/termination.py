"""Ending on SIGTERM: cleaned up where that is quick, and within the time a supervisor grants."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from search_api.cli.exit_codes import EXIT_FAILED

GRACE_SECONDS = 20.0
"""Kubernetes kills after 30 s, systemd after 90 s."""


@contextmanager
def ended_by_sigterm(grace_seconds: float = GRACE_SECONDS) -> Iterator[None]:
    """Turn SIGTERM into `KeyboardInterrupt` while the block runs, and see that it has an effect.

    Without a handler the first process of a container would not even notice the signal. A handler
    has to wait until the library that is at work, training an index for instance, comes back; when
    that takes too long the process ends as it is, which every step here has to bear anyway.
    """
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    handler_before = signal.signal(signal.SIGTERM, _interrupt)
    descriptor_before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    watch = threading.Thread(target=_watch, args=(reader, grace_seconds), daemon=True)
    watch.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(descriptor_before)
        signal.signal(signal.SIGTERM, handler_before)
        writer.close()
        watch.join()
        reader.close()


def _interrupt(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)  # the way out is not to be interrupted again
    raise KeyboardInterrupt


def _watch(reader: socket.socket, grace_seconds: float) -> None:
    """End the process some time after SIGTERM unless the other end is closed first."""
    try:
        # The interpreter writes each signal's number at once, whatever the main thread is at.
        while received := reader.recv(1):
            if received[0] == signal.SIGTERM:
                reader.settimeout(grace_seconds)
    except TimeoutError:
        os._exit(EXIT_FAILED)
