"""Why the encoder process could not start, told to its supervisor and to the API workers.

The reason is a file beside the socket that never came to be; the exit code says whether trying
again could help.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from encoders.admission.report import AdmissionRefused
from encoders.errors import (
    ConfigError,
    DependencyMissing,
    KindredError,
    ModelCorrupt,
    ModelMissing,
    SpaceMismatch,
)
from encoders.serving.messages import ErrorMessage, pack_error

EXIT_FAILED = 1
EXIT_CANNOT_START = 3
"""Trying again would end the same way until somebody mends what is wrong."""

_LASTING = (
    AdmissionRefused,
    ConfigError,
    DependencyMissing,
    ModelCorrupt,
    ModelMissing,
    SpaceMismatch,
)


def keep_start_problem(socket_path: Path, error: KindredError) -> int:
    """Write down why the process cannot listen on ``socket_path``; return the exit code."""
    path = _path(socket_path)
    partial = path.with_suffix(".partial")
    partial.write_bytes(msgspec.json.encode(pack_error(error)))
    partial.replace(path)
    return EXIT_CANNOT_START if isinstance(error, _LASTING) else EXIT_FAILED


def start_problem(socket_path: Path) -> ErrorMessage | None:
    """Return why the last start failed; ``None`` if it did not, or not for a known reason."""
    try:
        return msgspec.json.decode(_path(socket_path).read_bytes(), type=ErrorMessage)
    except (OSError, msgspec.MsgspecError):
        return None


def forget_start_problem(socket_path: Path) -> None:
    """Remove what an earlier start left."""
    _path(socket_path).unlink(missing_ok=True)


def _path(socket_path: Path) -> Path:
    return socket_path.with_name(f"{socket_path.name}.problem")
