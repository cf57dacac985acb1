"""Errors that name what went wrong, where, and what to do about it.

Every error raised on purpose derives from `KindredError`, carries a short stable ``code`` for
programs and a ``detail`` mapping with the values a person needs. The command line and the HTTP API
translate them; nothing here knows of either.
"""

from __future__ import annotations

from typing import ClassVar


class KindredError(Exception):
    """An error with a stable code.

    Attributes:
        code: short name for programs, stable across releases.
        detail: the values behind the message, JSON-ready.
    """

    code: ClassVar[str] = "error"

    def __init__(self, message: str, **detail: object) -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail


class ConfigError(KindredError):
    """A configuration file or setting that cannot be used as it stands."""

    code = "bad_config"


class SpaceMismatch(KindredError):
    """Vectors of two different spaces were about to be compared."""

    code = "space_mismatch"


class DependencyMissing(KindredError):
    """A package, extra or system program that this call needs is not installed."""

    code = "dependency_missing"


class ModelMissing(KindredError):
    """Weights that a channel needs are not in the model folder."""

    code = "model_missing"


class ModelUnavailable(KindredError):
    """Weights could not be fetched from where they are published, nor from a mirror."""

    code = "model_unavailable"


class ModelCorrupt(KindredError):
    """A model file differs from its recorded sha256, or does not hold what it should."""

    code = "model_corrupt"
