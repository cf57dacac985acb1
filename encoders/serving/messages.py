"""What goes over the encoder process's socket: length-prefixed msgpack frames.

One frame is four bytes of length (big-endian) and a message. Requests carry an id of the asker's
choice; replies come in any order and repeat it, so one connection serves many questions at once.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec
import numpy as np

from encoders.config import EncoderConfig, WhisperConfig
from encoders.errors import (
    ConfigError,
    DependencyMissing,
    KindredError,
    ModelCorrupt,
    ModelMissing,
)
from encoders.media.content import Medium, Utterance
from encoders.media.rejection import MediaRejected
from encoders.query_encoding import ChannelQuery
from encoders.serving.errors import (
    BeingPrepared,
    DeadlineExceeded,
    EncoderFailed,
    EncoderUnavailable,
    Overloaded,
)
from encoders.serving.item_messages import PackedArray, PackedContent, PackedWindow
from encoders.speech.recognizer import LanguageState

MAX_FRAME_BYTES = 64 * 1024 * 1024
_LENGTH = struct.Struct(">I")


class _Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="op"):
    id: int

    timeout_seconds: float | None = None
    """How long the asker still waits when the message arrives; later, the work is dropped."""


class Ping(_Message, frozen=True, kw_only=True, tag="ping"):
    """Are you there and loaded?"""


class EncodeText(_Message, frozen=True, kw_only=True, tag="encode_text"):
    """Words as a question."""

    text: str
    channels: list[str]


class EncodeFile(_Message, frozen=True, kw_only=True, tag="encode_file"):
    """A file as a question."""

    path: str
    channels: list[str]


class MakeThumbnail(_Message, frozen=True, kw_only=True, tag="thumbnail"):
    """A small picture of a file."""

    path: str
    max_side_px: int

    at_seconds: float | None = None
    """Where in a video; ``None`` for pictures."""


class MakeVersion(_Message, frozen=True, kw_only=True, tag="version"):
    """A version of a file that browsers play; see `version_maker.VersionRequest`."""

    path: str
    size_bytes: int
    mtime_ns: int
    target: str


class EncodeContents(_Message, frozen=True, kw_only=True, tag="encode_contents"):
    """Contents of an item that is stored."""

    encoder: EncoderConfig
    contents: list[PackedContent]


class FindVoice(_Message, frozen=True, kw_only=True, tag="find_voice"):
    """One run of the network that hears voices: its inputs by name."""

    inputs: dict[str, PackedArray]


class HearWindows(_Message, frozen=True, kw_only=True, tag="hear_windows"):
    """Windows of speech of items that are stored."""

    recognizer: WhisperConfig
    windows: list[PackedWindow]
    recordings: list[LanguageState]
    max_seconds: float


ItemMessage: TypeAlias = EncodeContents | FindVoice | HearWindows
Message: TypeAlias = Ping | EncodeText | EncodeFile | MakeThumbnail | MakeVersion | ItemMessage


class EncodedVectors(msgspec.Struct, frozen=True, kw_only=True):
    """Vectors that several channels share."""

    channels: list[str]
    space_id: str
    dim: int
    rows: bytes
    """``(num_segments, dim)`` float32, little-endian, row by row."""


class ErrorMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A `KindredError` on its way to another process."""

    code: str
    message: str
    reason: str | None = None
    """For rejected media, why."""

    detail: dict[str, Any] = {}


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to one message: an error, or the fields that its kind has."""

    id: int
    error: ErrorMessage | None = None
    medium: Medium | None = None
    format: str | None = None
    vectors: list[EncodedVectors] = []
    data: bytes = b""
    arrays: list[PackedArray] = []
    utterances: list[list[Utterance]] = []
    recordings: list[LanguageState] = []


_message_decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)
_reply_decoder = msgspec.msgpack.Decoder(Reply)
_encoder = msgspec.msgpack.Encoder()


def frame(message: Message | Reply) -> bytes:
    """Return the bytes that carry ``message``."""
    body = _encoder.encode(message)
    return _LENGTH.pack(len(body)) + body


async def read_message(reader: asyncio.StreamReader) -> Message:
    """Read one message; raises ``asyncio.IncompleteReadError`` when the connection ends."""
    return _message_decoder.decode(await _read_frame(reader))


async def read_reply(reader: asyncio.StreamReader) -> Reply:
    """Read one reply; raises ``asyncio.IncompleteReadError`` when the connection ends."""
    return _reply_decoder.decode(await _read_frame(reader))


async def _read_frame(reader: asyncio.StreamReader) -> bytes:
    (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
    if length > MAX_FRAME_BYTES:
        raise ConnectionError(f"a frame of {length} bytes; at most {MAX_FRAME_BYTES} are taken")
    return await reader.readexactly(length)


def pack_queries(queries: Mapping[str, ChannelQuery]) -> list[EncodedVectors]:
    """Return ``queries`` for the wire, vectors that channels share once."""
    shared: dict[int, tuple[ChannelQuery, list[str]]] = {}
    for channel, query in queries.items():
        shared.setdefault(id(query), (query, []))[1].append(channel)
    return [
        EncodedVectors(
            channels=channels,
            space_id=query.space_id,
            dim=query.vectors.shape[1],
            rows=query.vectors.astype("<f4").tobytes(),
        )
        for query, channels in shared.values()
    ]


def unpack_queries(packed: list[EncodedVectors]) -> dict[str, ChannelQuery]:
    """Return what `pack_queries` was given."""
    queries: dict[str, ChannelQuery] = {}
    for encoded in packed:
        vectors = np.frombuffer(encoded.rows, dtype="<f4").reshape(-1, encoded.dim)
        query = ChannelQuery(encoded.space_id, vectors.astype(np.float32))
        queries.update(dict.fromkeys(encoded.channels, query))
    return queries


_ERRORS: Mapping[str, type[KindredError]] = {
    kind.code: kind
    for kind in (
        BeingPrepared,
        ConfigError,
        DeadlineExceeded,
        DependencyMissing,
        EncoderFailed,
        EncoderUnavailable,
        ModelCorrupt,
        ModelMissing,
        Overloaded,
    )
}


def pack_error(error: Exception) -> ErrorMessage:
    """Return ``error`` for the wire; what is not a `KindredError` becomes `EncoderFailed`."""
    if isinstance(error, KindredError):
        return ErrorMessage(
            code=error.code,
            message=error.message,
            reason=error.reason if isinstance(error, MediaRejected) else None,
            detail={
                key: value if isinstance(value, str | int | float | bool | None) else str(value)
                for key, value in error.detail.items()
            },
        )
    return ErrorMessage(
        code=EncoderFailed.code, message=f"the encoder raised {type(error).__name__}"
    )


def unpack_error(error: ErrorMessage) -> KindredError:
    """Return the error that `pack_error` was given, as an exception to raise."""
    if error.code == MediaRejected.code and error.reason is not None:
        detail = {key: value for key, value in error.detail.items() if key != "reason"}
        return MediaRejected(error.reason, error.message, **detail)  # type: ignore[arg-type]
    return _ERRORS.get(error.code, EncoderFailed)(error.message, **error.detail)
