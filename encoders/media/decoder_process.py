"""The child's side of the sandbox: ``python -m encoders.media.decoder_process FD``.

Gives up what it does not need, then answers one task after another until its parent is gone.
"""

from __future__ import annotations

import math
import os
import resource
import select
import sys
import threading
import traceback
from multiprocessing.connection import Connection
from typing import Any

from encoders.media.decode_limits import DecodeLimits
from encoders.media.rejection import MediaRejected

MAX_OPEN_FILES = 64


def main() -> None:
    """Serve the parent at the other end of the descriptor given as the only argument."""
    connection: Connection[Any, Any] = Connection(int(sys.argv[1]))
    limits: DecodeLimits = connection.recv()
    connection.send("ready")
    give_up_rights(limits)
    end_with_parent(connection.fileno())
    while True:
        try:
            function, args, kwargs = connection.recv()
        except EOFError:
            return  # the parent is gone
        used_seconds = cpu_seconds()
        allow_cpu_seconds(used_seconds, limits.max_cpu_seconds)
        succeeded, outcome = outcome_of(function, args, kwargs, limits)
        connection.send((succeeded, outcome, cpu_seconds() - used_seconds))


def end_with_parent(descriptor: int) -> None:
    """End this process when nobody holds the other end of ``descriptor`` any more.

    A thread of its own: an hour of video that nobody waits for must not be made to its end, least
    of all into a file that the next process writes too.
    """
    hang_up = select.poll()
    hang_up.register(descriptor, 0)  # that the other end is closed is always told

    def watch() -> None:
        hang_up.poll()
        os._exit(0)

    threading.Thread(target=watch, name="lifeline", daemon=True).start()


def give_up_rights(limits: DecodeLimits) -> None:
    """Bound memory and what is written, forbid core dumps, stand back, and silence the codecs."""
    wanted = {
        resource.RLIMIT_AS: limits.max_memory_bytes,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: limits.max_output_bytes,
        resource.RLIMIT_NOFILE: MAX_OPEN_FILES,
    }
    for kind, value in wanted.items():
        _, allowed = resource.getrlimit(kind)
        limit = value if allowed == resource.RLIM_INFINITY else min(value, allowed)
        resource.setrlimit(kind, (limit, limit))
    os.setpriority(os.PRIO_PROCESS, 0, limits.niceness)
    # Codecs write warnings about every odd file to standard error; up to here it was ours.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stderr.fileno())
    os.close(nowhere)


def cpu_seconds() -> float:
    """Return the processor time that this process has used so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def allow_cpu_seconds(used_seconds: float, max_cpu_seconds: int) -> None:
    """Move the soft limit ahead of what was used so far; beyond it the kernel sends SIGXCPU."""
    _, hard_limit = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(used_seconds) + max_cpu_seconds, hard_limit))


def outcome_of(
    function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], limits: DecodeLimits
) -> tuple[bool, Any]:
    """Return ``(True, result)`` or ``(False, MediaRejected)``."""
    try:
        return True, function(*args, **kwargs)
    except MediaRejected as error:
        return False, error
    except MemoryError:
        return False, MediaRejected(
            "out_of_memory",
            f"decoding needed more than {limits.max_memory_bytes} bytes of memory",
            max_memory_bytes=limits.max_memory_bytes,
        )
    except Exception as error:
        # A fault of ours or of a codec: this file fails and says where, the others go on.
        return False, MediaRejected(
            "decoder_crashed",
            f"the decoder failed with {type(error).__name__}: {error}",
            traceback=traceback.format_exc(),
        )


if __name__ == "__main__":
    main()
