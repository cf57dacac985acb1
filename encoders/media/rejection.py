"""Why a file was not taken: one short reason for programs, one sentence for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, TypeAlias

from encoders.errors import KindredError

Reason: TypeAlias = Literal[
    "empty",
    "unrecognized",
    "content_mismatch",
    "unsupported_format",
    "corrupt",
    "truncated",
    "too_many_pixels",
    "too_long",
    "too_many_bytes",
    "no_sound",
    "no_picture",
    "no_text",
    "invalid_json",
    "invalid_transcript",
    "vanished",
    "unreadable",
    "timeout",
    "out_of_memory",
    "decoder_crashed",
]
"""
``empty``               no bytes
``unrecognized``        binary content of no known format
``content_mismatch``    named like a picture, sound or video, but holds text or a playlist
``unsupported_format``  a known format that is not taken; the message names it
``corrupt``             the format is right, the data inside is not
``truncated``           the data ends before it should
``too_many_pixels``, ``too_long``, ``too_many_bytes``   beyond `DecodeLimits`
``no_sound``, ``no_picture``, ``no_text``   readable, but nothing in it to encode
``invalid_json``        claims to be JSON and is not
``invalid_transcript``  a transcript beside a recording that cannot be read
``vanished``            was there when the run was planned, is gone now
``unreadable``          no permission, an input/output error, or not a regular file
``timeout``, ``out_of_memory``, ``decoder_crashed``   the decoder was stopped or died
"""


class MediaRejected(KindredError):
    """A file that cannot become an item, and why.

    Attributes:
        reason: one of `Reason`, stable across releases.
    """

    code: ClassVar[str] = "media_rejected"

    def __init__(self, reason: Reason, message: str, **detail: object) -> None:
        super().__init__(message, **detail)
        self.reason: Reason = reason

    def __reduce__(self) -> tuple[object, ...]:
        # An exception pickles as class(*args); ours has a reason and keywords besides.
        return _rebuild, (self.reason, self.message, self.detail)


def _rebuild(reason: Reason, message: str, detail: Mapping[str, object]) -> MediaRejected:
    return MediaRejected(reason, message, **detail)
