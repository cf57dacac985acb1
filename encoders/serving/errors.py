"""Errors of encoders that serve many askers."""

from __future__ import annotations

from encoders.errors import KindredError


class Overloaded(KindredError):
    """Too much waits already; the same request may succeed a moment later."""

    code = "overloaded"


class DeadlineExceeded(KindredError):
    """The answer would have come too late, so the work was dropped."""

    code = "deadline_exceeded"


class EncoderUnavailable(KindredError):
    """The encoder process does not answer: it is starting, restarting or gone."""

    code = "encoder_unavailable"


class BeingPrepared(KindredError):
    """What was asked for is being made and takes a while; ask again soon."""

    code = "being_prepared"


class EncoderFailed(KindredError):
    """An encoder raised something unexpected; its log has the traceback."""

    code = "encoder_failed"
