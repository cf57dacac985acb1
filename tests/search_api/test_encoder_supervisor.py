"""The supervisor of the encoder process, with a command that is no encoder."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from encoders.errors import KindredError, ModelCorrupt
from encoders.serving.encoder_process import EncoderProcessConfig
from encoders.serving.messages import ErrorMessage
from encoders.serving.start_problem import EXIT_CANNOT_START, keep_start_problem, start_problem
from search_api import encoder_supervisor
from search_api.encoder_supervisor import EncoderSupervisor


@pytest.fixture
def told() -> list[ErrorMessage]:
    return []


@pytest.fixture
def supervisor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: list[ErrorMessage]
) -> Iterator[EncoderSupervisor]:
    monkeypatch.setattr(encoder_supervisor, "MIN_RESTART_SECONDS", 0.01)
    config = EncoderProcessConfig(channels={}, models_dir=str(tmp_path))
    supervisor = EncoderSupervisor(config, tmp_path / "encoder.sock", told.append)
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


def ending_with(code: int) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", f"raise SystemExit({code})"])


def test_a_process_that_refuses_to_start_is_not_started_again(
    supervisor: EncoderSupervisor,
    monkeypatch: pytest.MonkeyPatch,
    told: list[ErrorMessage],
    tmp_path: Path,
) -> None:
    num_starts = 0

    def spawn() -> "subprocess.Popen[bytes]":
        nonlocal num_starts
        num_starts += 1
        code = keep_start_problem(tmp_path / "encoder.sock", ModelCorrupt("vocab.txt is damaged"))
        assert code == EXIT_CANNOT_START
        return ending_with(code)

    monkeypatch.setattr(supervisor, "_spawn", spawn)
    supervisor.start()
    supervisor._thread.join(30)
    assert not supervisor._thread.is_alive()
    assert num_starts == 1
    assert [(each.code, each.message) for each in told] == [
        ("model_corrupt", "vocab.txt is damaged")
    ]


def test_a_fault_that_may_pass_is_tried_again(
    supervisor: EncoderSupervisor,
    monkeypatch: pytest.MonkeyPatch,
    told: list[ErrorMessage],
    tmp_path: Path,
) -> None:
    started: list[subprocess.Popen[bytes]] = []

    def spawn() -> "subprocess.Popen[bytes]":
        code = keep_start_problem(tmp_path / "encoder.sock", KindredError("busy"))
        started.append(sleeper() if started else ending_with(code))
        return started[-1]

    monkeypatch.setattr(supervisor, "_spawn", spawn)
    supervisor.start()
    deadline = time.monotonic() + 10
    while len(started) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(started) == 2
    assert told == []


def test_a_new_start_forgets_why_the_last_one_failed(
    supervisor: EncoderSupervisor, tmp_path: Path
) -> None:
    keep_start_problem(tmp_path / "encoder.sock", ModelCorrupt("vocab.txt is damaged"))
    assert start_problem(tmp_path / "encoder.sock") is not None
    supervisor.start()
    assert start_problem(tmp_path / "encoder.sock") is None
