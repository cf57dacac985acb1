"""``kindred serve``: one encoder process and several API workers, kept alive together."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import psutil

from encoders.admission.report import AdmissionRefused
from encoders.errors import ConfigError, ModelCorrupt, ModelMissing
from encoders.loading import EncoderLoader
from encoders.models.lookup import required_models
from encoders.query_plan import plan_queries
from encoders.serving.messages import ErrorMessage
from search_api.access.limit_service import SOCKET_NAME, LimitService
from search_api.encoder_fleet import EncoderFleet
from search_api.encoder_sockets import KEY_LENGTH, encoder_socket
from search_api.query_vectors import planned_channels
from search_api.service import served_config
from search_api.settings import (
    METRICS_FOLDER_VARIABLE,
    SETTINGS_VARIABLE,
    Settings,
    is_loopback,
)

MAX_SOCKET_PATH_BYTES = 100
"""Unix socket paths end at 107 bytes on Linux and at 103 on macOS."""

STOP_SECONDS = 6
"""How long workers may finish what they answer when the server is told to stop: less than the 10 s
after which container engines kill.
"""

ADVICE = {
    AdmissionRefused.code: "`kindred models check FAMILY:SOURCE` shows all that was measured; pull "
    "the model anew with `kindred models pull`, or name another one in the collection",
    ModelMissing.code: "fetch the model with `kindred models pull`",
    ModelCorrupt.code: "fetch the model anew with `kindred models pull`",
    ConfigError.code: "correct the setting or the collection",
}
"""What to do about errors, by their code."""

GENERAL_ADVICE = "mend what it names"

FOLDER_PREFIX = "serve-"


def tell_people(settings: Settings) -> None:
    """Print where the server is found."""
    print(announcement(settings), flush=True)


def tell_refusal(problem: ErrorMessage) -> None:
    """Print why no question can be encoded, and what to do."""
    print(
        f"kindred: the encoder process cannot start ({problem.code}): {problem.message}\n"
        f"kindred: {ADVICE.get(problem.code, GENERAL_ADVICE)}; then start `kindred serve` again. "
        "Until then questions are answered 503, and /readyz says why.",
        file=sys.stderr,
        flush=True,
    )


def serve(settings: Settings, announce: Callable[[Settings], object] = tell_people) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code.

    Args:
        settings: what is served, where, by how many workers.
        announce: told what is served, port included, once the port is taken.

    Raises:
        ConfigError: the address may not or cannot be listened on, or the collection is wrong.
        ModelMissing: the collection needs weights that are not in the model folder.
        ModelCorrupt: what a model says of itself cannot be read.
        SpaceMismatch: an adapter of the collection was fitted on other models.
    """
    settings.check_exposure()
    identify = EncoderLoader(settings.models).identify
    config = served_config(
        settings, lambda one: plan_queries(planned_channels(one), identify).identities
    )
    # Named here, where a person sees it, instead of in the logs of children that keep dying.
    plan_queries(planned_channels(config), identify)
    for channel in config.channels.values():
        for model in required_models(channel.encoder):
            settings.models.require(model)
    settings = settings.replace(port=free_port(settings.host, settings.port))
    with run_folder(settings.data.run) as folder, sockets_folder(folder) as sockets:
        settings = settings.replace(
            encoder_sockets=str(sockets), uploads_dir=str(folder / "uploads")
        )
        limits = LimitService(sockets / SOCKET_NAME)
        limits.start()
        fleet = EncoderFleet(settings, sockets, tell_refusal)
        fleet.start(config)
        try:
            return _run_workers(settings, folder, announce)
        finally:
            fleet.stop()
            limits.stop()


def _run_workers(settings: Settings, folder: Path, announce: Callable[[Settings], object]) -> int:
    """Run the API workers in the foreground."""
    from granian import Granian
    from granian.constants import Interfaces
    from granian.log import LogLevels

    settings_path = folder / "settings.json"
    settings_path.write_bytes(msgspec.json.encode(settings))
    metrics_folder = folder / "metrics"
    metrics_folder.mkdir()
    os.environ[SETTINGS_VARIABLE] = str(settings_path)
    os.environ[METRICS_FOLDER_VARIABLE] = str(metrics_folder)
    # Workers start clean: a forked one would carry this process's threads' locks, and the pipe
    # that keeps the encoder process alive.
    multiprocessing.set_start_method("spawn", force=True)
    server = Granian(
        "search_api.app:create_worker_app",
        factory=True,
        interface=Interfaces.ASGI,
        address=settings.host,
        port=settings.port,
        workers=settings.workers,
        respawn_failed_workers=True,
        workers_kill_timeout=STOP_SECONDS,
        websockets=False,
        log_level=LogLevels.warning,
    )
    server.on_startup(lambda: announce(settings))
    try:
        server.serve()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 1
    return 0


def announcement(settings: Settings) -> str:
    """Return what people are told once the server listens."""
    reach = "this machine only" if is_loopback(settings.host) else "every address that reaches it"
    who = "with an API key" if settings.has_keys else "open to everybody there"
    return (
        f"Kindred serves {settings.collection} at {settings.url} "
        f"({settings.workers} workers; {reach}, {who}); /readyz says when the models are loaded"
    )


def free_port(host: str, port: int) -> int:
    """Return ``port``, or any free one for 0, after making sure that nobody listens there.

    Workers share their port with ``SO_REUSEPORT``, with which a second server on the same port
    would start without a word and take half of the requests.

    Raises:
        ConfigError: the port is taken, or the host is not an address of this machine.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            found: int = probe.getsockname()[1]
            return found
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {host} port {port}: {error.strerror or error}", host=host, port=port
        ) from error


@contextmanager
def run_folder(run: Path) -> Iterator[Path]:
    """Give a folder of this process's own below ``run``; those of dead servers are removed."""
    run.mkdir(parents=True, exist_ok=True)
    for old in run.glob(f"{FOLDER_PREFIX}*"):
        if not _alive(old.name.removeprefix(FOLDER_PREFIX)):
            shutil.rmtree(old, ignore_errors=True)
    folder = run / f"{FOLDER_PREFIX}{os.getpid()}"
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _alive(pid: str) -> bool:
    """Tell whether another process of this id runs; this one's folder is a dead namesake's."""
    return pid.isdigit() and int(pid) != os.getpid() and psutil.pid_exists(int(pid))


@contextmanager
def sockets_folder(folder: Path) -> Iterator[Path]:
    """Give a folder for the encoders' sockets: ``folder``, or one whose path is short enough."""
    if len(os.fsencode(encoder_socket(folder, "0" * KEY_LENGTH))) <= MAX_SOCKET_PATH_BYTES:
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="kindred-") as short:
        yield Path(short)
