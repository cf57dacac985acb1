"""The process that holds the models and encodes the questions of all API workers.

``python -m encoders.serving.encoder_process SOCKET`` reads one line of JSON
(`EncoderProcessConfig`) from its standard input, loads every encoder that questions need, and then
serves `encoders.serving.messages` on a Unix socket. If it cannot start, `start_problem` says why.
Standard input stays open as a lifeline: when
it ends, whoever started this process is gone, and so is this process.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import msgspec
import structlog

from encoders.config import EncoderConfig
from encoders.errors import KindredError
from encoders.loading import EncoderLoader
from encoders.logs import configure_logs
from encoders.media.sandbox import DecodeSandbox
from encoders.models.folder import ModelFolder
from encoders.query_encoding import Loader, encode_file, encode_text
from encoders.query_plan import PlannedChannel, QueryPlan, plan_queries
from encoders.serving.errors import Overloaded
from encoders.serving.item_encoding import ItemEncoding, OpenRecognizer
from encoders.serving.messages import (
    EncodeFile,
    EncodeText,
    ItemMessage,
    MakeThumbnail,
    MakeVersion,
    Message,
    Reply,
    frame,
    pack_error,
    pack_queries,
    read_message,
)
from encoders.serving.micro_batcher import DEFAULT_LIMITS, BatchLimits, MicroBatcher
from encoders.serving.start_problem import keep_start_problem
from encoders.serving.version_maker import VersionMaker, VersionRequest
from encoders.serving.warming import warm
from encoders.space import Vectors

MAX_WAITING_FILES = 32
"""Files decoded or waiting at once; decoded pictures and sounds are large."""

STOP_SECONDS = 5.0
"""How long an orphaned process may take to end by itself."""

log = structlog.get_logger("kindred.encoder")


class EncoderProcessConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What the encoder process is told at its start."""

    channels: dict[str, PlannedChannel]
    models_dir: str
    num_threads: int = 1
    device: str = "cpu"
    batches: BatchLimits = DEFAULT_LIMITS


class EncoderServer:
    """Answers messages on a Unix socket.

    Args:
        plan: how each channel is asked.
        batcher: runs the models.
        sandbox: decodes files.
        versions: makes versions of files that browsers play.
        items: encodes what is stored.
    """

    def __init__(
        self,
        plan: QueryPlan,
        batcher: MicroBatcher,
        sandbox: DecodeSandbox,
        versions: VersionMaker,
        items: ItemEncoding,
    ) -> None:
        self._plan = plan
        self._batcher = batcher
        self._sandbox = sandbox
        self._versions = versions
        self._items = items
        self._num_files = 0

    async def start(self, socket_path: Path) -> asyncio.Server:
        """Listen at ``socket_path``, for this user only."""
        await asyncio.to_thread(socket_path.unlink, missing_ok=True)
        previous = os.umask(0o177)
        try:
            return await asyncio.start_unix_server(self._serve_connection, path=str(socket_path))
        finally:
            os.umask(previous)

    async def _serve_connection(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Answer one worker until it hangs up; what it still waited for is then dropped."""
        answering: set[asyncio.Task[None]] = set()
        try:
            while True:
                message = await read_message(reader)
                task = asyncio.create_task(self._answer(message, writer))
                answering.add(task)
                task.add_done_callback(answering.discard)
        except (asyncio.IncompleteReadError, ConnectionError, msgspec.MsgspecError) as error:
            if not isinstance(error, asyncio.IncompleteReadError):
                log.warning("connection ended", error=str(error))
        except asyncio.CancelledError:
            pass  # the process ends; asyncio would print it as a fault
        finally:
            for task in answering:
                task.cancel()
            writer.close()

    async def _answer(self, message: Message, writer: asyncio.StreamWriter) -> None:
        deadline = None
        if message.timeout_seconds is not None:
            deadline = time.monotonic() + message.timeout_seconds
        try:
            async with asyncio.timeout(message.timeout_seconds):
                reply = await self._reply(message, deadline)
        except TimeoutError:
            return  # the asker has stopped waiting
        except KindredError as error:
            reply = Reply(id=message.id, error=pack_error(error))
        except Exception as error:
            log.exception("request failed", op=type(message).__name__)
            reply = Reply(id=message.id, error=pack_error(error))
        with contextlib.suppress(ConnectionError):
            writer.write(frame(reply))
            await writer.drain()

    async def _reply(self, message: Message, deadline: float | None) -> Reply:
        async def encode(config: EncoderConfig, contents: Sequence[Any]) -> Vectors:
            return await self._batcher.encode(config, contents, deadline=deadline)

        if isinstance(message, EncodeText):
            queries = await encode_text(message.text, message.channels, self._plan, encode)
            return Reply(id=message.id, vectors=pack_queries(queries))
        if isinstance(message, EncodeFile):
            with self._place_for_file():
                found = await encode_file(
                    Path(message.path), message.channels, self._plan, self._sandbox, encode
                )
            return Reply(
                id=message.id,
                medium=found.medium,
                format=found.format,
                vectors=pack_queries(found.channels),
            )
        if isinstance(message, ItemMessage):
            return await self._items.reply(message, deadline)
        if isinstance(message, MakeThumbnail):
            with self._place_for_file():
                thumbnail = make_thumbnail(
                    self._sandbox, Path(message.path), message.max_side_px, message.at_seconds
                )
                return Reply(id=message.id, data=await asyncio.wrap_future(thumbnail))
        if isinstance(message, MakeVersion):
            request = VersionRequest(
                path=Path(message.path),
                size_bytes=message.size_bytes,
                mtime_ns=message.mtime_ns,
                target=Path(message.target),
            )
            return Reply(id=message.id, format=await self._versions.version(request))
        return Reply(id=message.id)

    @contextlib.contextmanager
    def _place_for_file(self) -> Iterator[None]:
        if self._num_files >= MAX_WAITING_FILES:
            raise Overloaded(
                f"{self._num_files} files wait to be decoded already; try again soon",
                waiting=self._num_files,
            )
        self._num_files += 1
        try:
            yield
        finally:
            self._num_files -= 1


def make_thumbnail(
    sandbox: DecodeSandbox, path: Path, max_side_px: int, at_seconds: float | None
) -> Future[bytes]:
    """Make a small WebP of a picture, or of the frame that a video shows at ``at_seconds``."""
    if at_seconds is None:
        return sandbox.thumbnail(path, max_side_px=max_side_px)
    return sandbox.video_thumbnail(path, at_seconds, max_side_px=max_side_px)


async def serve(
    socket_path: Path,
    channels: Mapping[str, PlannedChannel],
    loader: Loader,
    *,
    batches: BatchLimits = DEFAULT_LIMITS,
    stop: asyncio.Event | None = None,
    open_recognizer: OpenRecognizer | None = None,
) -> None:
    """Load the models, then answer on ``socket_path``.

    Args:
        socket_path: where to listen; made only when every model is loaded.
        channels: how the collection's channels are encoded.
        loader: opens encoders.
        batches: how questions are gathered.
        stop: ends serving when set; by default SIGTERM and SIGINT do.
        open_recognizer: opens what hears speech in items that are stored; ``None``: such items are
            refused.
    """
    plan = plan_queries(channels, loader.identify)
    batcher = MicroBatcher(loader.open, batches)
    versions = VersionMaker()
    try:
        with DecodeSandbox() as sandbox:
            await warm(plan, batcher)
            stop = stop or _stop_signal()
            items = ItemEncoding(batcher, open_recognizer)
            server = await EncoderServer(plan, batcher, sandbox, versions, items).start(socket_path)
            log.info("encoder process ready", channels=list(channels))
            await stop.wait()
            server.close()
            items.close()
    finally:
        await versions.aclose()
        batcher.close()
        await asyncio.to_thread(socket_path.unlink, missing_ok=True)


def _stop_signal() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


def exit_with_parent() -> None:
    """End this process when its standard input ends: the supervisor is gone.

    A thread of its own, since neither the event loop nor the models may delay it.
    """

    def watch() -> None:
        while os.read(0, 4096):
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(STOP_SECONDS)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name="lifeline", daemon=True).start()


def main(arguments: Sequence[str]) -> int:
    """Run the encoder process; see the module's docstring."""
    (socket_path,) = arguments
    configure_logs()
    config = msgspec.json.decode(sys.stdin.buffer.readline(), type=EncoderProcessConfig)
    exit_with_parent()
    loader = EncoderLoader(
        ModelFolder(Path(config.models_dir)), num_threads=config.num_threads, device=config.device
    )
    # Of its own, so that questions do not wait for its lock while a recogniser is loaded.
    ears = EncoderLoader(loader.models, num_threads=config.num_threads, device=config.device)
    try:
        asyncio.run(
            serve(
                Path(socket_path),
                config.channels,
                loader,
                batches=config.batches,
                open_recognizer=ears.open_recognizer,
            )
        )
    except KindredError as error:
        log.error("encoder process cannot start", code=error.code, error=error.message)
        return keep_start_problem(Path(socket_path), error)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
