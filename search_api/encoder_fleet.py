"""The encoder processes of a server: one, and two while it switches to another model."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from encoders.errors import KindredError
from encoders.loading import EncoderLoader
from encoders.query_plan import plan_queries
from encoders.serving.encoder_process import EncoderProcessConfig
from encoders.serving.messages import ErrorMessage
from encoders.serving.micro_batcher import BatchLimits
from indexer.config import CollectionConfig
from indexer.publish import PointerStamp, live_snapshot_path, pointer_stamp
from indexer.served_collection import own_collection
from search_api.encoder_sockets import encoder_key, encoder_socket
from search_api.encoder_supervisor import EncoderSupervisor
from search_api.query_vectors import planned_channels
from search_api.settings import Settings

POLL_SECONDS = 0.5
CONNECT_SECONDS = 1.0

log = structlog.get_logger("kindred.supervisor")


class EncoderFleet:
    """Keeps the encoder process alive that the live snapshot asks for.

    When a snapshot is published that another model made, that model's process is started beside the
    one of before, which ends only when every worker had time to go over to the new one.

    Args:
        settings: what is served, and how the models run.
        sockets: folder of the processes' sockets; its path must be short.
        tell: is told why a process cannot be started.
    """

    def __init__(
        self, settings: Settings, sockets: Path, tell: Callable[[ErrorMessage], object]
    ) -> None:
        self._settings = settings
        self._sockets = sockets
        self._tell = tell
        self._loader = EncoderLoader(settings.models)
        self._running: dict[str, EncoderSupervisor] = {}
        self._wanted = ""
        self._answers_since: float | None = None
        self._pointer: PointerStamp | None = None
        self._collection = ""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="encoder-fleet")

    def start(self, config: CollectionConfig) -> None:
        """Start the process of a collection, and follow the live snapshot from now on."""
        self._collection = config.name
        self._pointer = pointer_stamp(self._settings.data, config.name)
        self._want(config)
        self._thread.start()

    def stop(self) -> None:
        """End all processes."""
        self._stopping.set()
        self._thread.join()
        for supervisor in self._running.values():
            supervisor.stop()

    def _watch(self) -> None:
        while not self._stopping.wait(POLL_SECONDS):
            try:
                self._follow_pointer()
                self._end_unwanted()
            except (KindredError, OSError) as error:
                # The workers say what is wrong with a snapshot; the next one is another chance.
                log.error("cannot follow the live snapshot", error=str(error))

    def _follow_pointer(self) -> None:
        """Start what the live snapshot asks for, if the pointer has moved to another one."""
        stamp = pointer_stamp(self._settings.data, self._collection)
        if stamp == self._pointer:
            return
        self._pointer = stamp
        path = live_snapshot_path(self._settings.data, self._collection)
        config = path and own_collection(
            path, lambda one: plan_queries(planned_channels(one), self._loader.identify).identities
        )
        if config:
            self._want(config)

    def _want(self, config: CollectionConfig) -> None:
        channels = planned_channels(config)
        key = encoder_key(channels, plan_queries(channels, self._loader.identify))
        if key == self._wanted:
            return
        self._wanted, self._answers_since = key, None
        if key in self._running:
            return
        told = EncoderProcessConfig(
            channels=channels,
            models_dir=str(self._settings.models.root),
            num_threads=self._settings.encoder_threads,
            device=self._settings.encoder_device,
            batches=BatchLimits(
                max_contents=self._settings.encoder_batch_size,
                max_wait_seconds=self._settings.encoder_batch_wait_ms / 1000,
                max_waiting=self._settings.max_waiting_encodes,
            ),
        )
        supervisor = EncoderSupervisor(told, encoder_socket(self._sockets, key), self._tell)
        supervisor.start()
        self._running[key] = supervisor

    def _end_unwanted(self) -> None:
        """End the processes of before, once all workers have left them."""
        if len(self._running) == 1:
            return
        if self._answers_since is None:
            if _answers(encoder_socket(self._sockets, self._wanted)):
                self._answers_since = time.monotonic()
            return
        if time.monotonic() - self._answers_since < self._settings.drain_seconds:
            return
        for key in [key for key in self._running if key != self._wanted]:
            self._running.pop(key).stop()


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(CONNECT_SECONDS)
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
