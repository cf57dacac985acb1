"""Decoding in child processes that cannot take the rest down with them.

Codecs are large C libraries fed by strangers. Each decoder here lives in a process of its own
with bounded memory, processor time and wall clock; when it crashes, hangs or swells, that one file
is rejected, the process is replaced, and every other file goes on.

Why not a process pool from a library: the standard library's pool is lost after one abort, and
pebble's (5.2) after the death of an idle child, because its children share one pipe. Here one
thread talks to one child over one pipe, so a dead child can only concern the task it held.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from pathlib import Path
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

from encoders.media import (
    audio_decoder,
    image_decoder,
    text_reader,
    transcript_reader,
    video_decoder,
)
from encoders.media.content import (
    DecodedPicture,
    Document,
    Shot,
    Sound,
    SoundInfo,
    Transcript,
    VideoInfo,
)
from encoders.media.decode_limits import DecodeLimits
from encoders.media.decoder_child import DecoderChild

__all__ = ["DecodeLimits", "DecodeSandbox", "DecodedPicture", "SoundInfo"]

ResultT = TypeVar("ResultT")
Parameters = ParamSpec("Parameters")

_Task = tuple[Future[Any], Callable[..., Any], tuple[Any, ...], dict[str, Any]]


class DecodeSandbox:
    """A few decoder processes behind a queue; safe to use from several threads.

    Processes start with the first task that needs them and import no machine-learning library.
    Every method returns a future at once. A future fails with `MediaRejected`, whatever happened
    to the process; its clock starts when a process takes the task up, not while it is queued.

    Args:
        limits: bounds on each file and each process.
        num_workers: how many files are decoded at the same time.
    """

    def __init__(self, limits: DecodeLimits | None = None, *, num_workers: int = 1) -> None:
        if num_workers < 1:
            raise ValueError(f"num_workers must be at least 1, got {num_workers}")
        self.limits = limits or DecodeLimits()
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._children = [DecoderChild(self.limits) for _ in range(num_workers)]
        self._threads = [
            threading.Thread(
                target=self._serve, args=(child,), name=f"decoder-{number}", daemon=True
            )
            for number, child in enumerate(self._children)
        ]
        self._lock = threading.Lock()
        for thread in self._threads:
            thread.start()

    @property
    def cpu_seconds(self) -> float:
        """Processor time that all processes together have spent on tasks that were answered."""
        return sum(child.cpu_seconds for child in self._children)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def picture(self, path: Path, *, max_side_px: int = 1024) -> Future[DecodedPicture]:
        """Decode a picture, upright, on white, its longer side at most ``max_side_px``."""
        return self.run(
            image_decoder.decode_picture, path, max_side_px=max_side_px, limits=self.limits
        )

    def thumbnail(self, path: Path, *, max_side_px: int) -> Future[bytes]:
        """Make a small WebP of a picture, for display."""
        return self.run(
            image_decoder.encode_thumbnail, path, max_side_px=max_side_px, limits=self.limits
        )

    def sound_info(self, path: Path) -> Future[SoundInfo]:
        """Find out how long a sound is, without decoding all of it."""
        return self.run(audio_decoder.sound_info, path, limits=self.limits)

    def sound(
        self, path: Path, start_seconds: float, stop_seconds: float, sample_rate_hz: int
    ) -> Future[Sound]:
        """Decode ``[start_seconds, stop_seconds)`` of a sound as mono at ``sample_rate_hz``.

        What lies beyond the end is left out: the sound may be shorter than asked for, or empty.
        """
        return self.run(
            audio_decoder.decode_sound,
            path,
            start_seconds,
            stop_seconds,
            sample_rate_hz,
            limits=self.limits,
        )

    def document(self, path: Path, format: str) -> Future[Document]:
        """Read the text of a file of one of the text formats that `sniff` names."""
        return self.run(text_reader.read_document, path, format, limits=self.limits)

    def transcript(self, path: Path) -> Future[Transcript]:
        """Read a transcript that lies beside a recording."""
        return self.run(transcript_reader.read_transcript, path, limits=self.limits)

    def video_info(self, path: Path) -> Future[VideoInfo]:
        """Find out how long and large a video is and whether it has sound."""
        return self.run(video_decoder.video_info, path, limits=self.limits)

    def shots(
        self,
        path: Path,
        start_seconds: float,
        stop_seconds: float,
        max_shot_seconds: float,
        *,
        max_side_px: int = 512,
    ) -> Future[list[Shot]]:
        """Decode the shots of ``[start_seconds, stop_seconds)`` of a video."""
        return self.run(
            video_decoder.decode_shots,
            path,
            start_seconds,
            stop_seconds,
            max_shot_seconds,
            max_side_px=max_side_px,
            limits=self.limits,
        )

    def video_thumbnail(self, path: Path, at_seconds: float, *, max_side_px: int) -> Future[bytes]:
        """Make a small WebP of one frame of a video, for display."""
        return self.run(
            video_decoder.encode_video_thumbnail,
            path,
            at_seconds=at_seconds,
            max_side_px=max_side_px,
            limits=self.limits,
        )

    def run(
        self,
        function: Callable[Parameters, ResultT],
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Future[ResultT]:
        """Run a module-level function in a decoder process.

        Args:
            function: importable by its name in the child; arguments and result are pickled.
            *args: its positional arguments.
            **kwargs: its keyword arguments.
        """
        future: Future[ResultT] = Future()
        with self._lock:
            if self._closing.is_set():
                raise RuntimeError("the decode sandbox is closed")
            self._tasks.put((future, function, args, kwargs))
        return future

    def close(self) -> None:
        """Cancel what is queued or running and end the processes. Safe to call twice."""
        with self._lock:
            if self._closing.is_set():
                return
            self._closing.set()
            for _ in self._threads:
                self._tasks.put(None)
        for child in self._children:
            child.kill()
        for thread in self._threads:
            thread.join()

    def _serve(self, child: DecoderChild) -> None:
        while (task := self._tasks.get()) is not None:
            future, function, args, kwargs = task
            if self._closing.is_set():
                future.cancel()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = child.call(function, args, kwargs)
            except BaseException as error:
                future.set_exception(CancelledError() if self._closing.is_set() else error)
            else:
                future.set_result(result)
        child.close()
