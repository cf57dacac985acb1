"""The supervisor of the encoder process, with a command that is no encoder."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from encoders.serving.encoder_process import EncoderProcessConfig
from search_api import encoder_supervisor
from search_api.encoder_supervisor import EncoderSupervisor


@pytest.fixture
def supervisor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EncoderSupervisor]:
    monkeypatch.setattr(encoder_supervisor, "MIN_RESTART_SECONDS", 0.01)
    config = EncoderProcessConfig(channels={}, models_dir=str(tmp_path))
    supervisor = EncoderSupervisor(config, tmp_path / "encoder.sock")
    yield supervisor
    supervisor.stop()


def sleeper() -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])


def test_a_start_that_fails_is_tried_again(
    supervisor: EncoderSupervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine short of memory or processes for a moment must not end supervision for good."""
    started: list[subprocess.Popen[bytes]] = []
    attempts: list[str] = []

    def spawn() -> "subprocess.Popen[bytes]":
        attempts.append("start")
        if len(attempts) in (2, 3):
            raise BlockingIOError(11, "Resource temporarily unavailable")
        started.append(sleeper())
        return started[-1]

    monkeypatch.setattr(supervisor, "_spawn", spawn)
    supervisor.start()
    started[0].kill()
    deadline = time.monotonic() + 10
    while len(started) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(started) == 2
    assert started[1].poll() is None
