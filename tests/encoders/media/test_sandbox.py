"""What the sandbox promises when a decoder misbehaves."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from encoders.media.content import Block
from encoders.media.decode_limits import DecodeLimits
from encoders.media.rejection import MediaRejected, Reason
from encoders.media.sandbox import DecodeSandbox
from tests.generated_media import chord, gradient, write_sound
from tests.media_zoo import FFCONCAT, HLS, SDP

LIMITS = DecodeLimits(max_wall_seconds=30.0, max_memory_bytes=2 * 1024**3)
TIGHT = DecodeLimits(max_wall_seconds=2.0, max_cpu_seconds=1, max_memory_bytes=1024**3)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[DecodeSandbox]:
    with DecodeSandbox(LIMITS, num_workers=2) as opened:
        yield opened


@pytest.fixture(scope="module")
def tight() -> Iterator[DecodeSandbox]:
    with DecodeSandbox(TIGHT) as opened:
        yield opened


@pytest.fixture
def picture_path(tmp_path: Path) -> Path:
    Image.fromarray(gradient(60, 40)).save(tmp_path / "picture.png")
    return tmp_path / "picture.png"


def reason_of(future: Future[Any]) -> str:
    with pytest.raises(MediaRejected) as caught:
        future.result(timeout=60)
    return caught.value.reason


# Tasks that run in the child.


def double(number: int) -> int:
    return 2 * number


def wait(seconds: float) -> None:
    time.sleep(seconds)


def spin() -> None:
    while True:
        pass


def swell() -> int:
    return len(np.ones(TIGHT.max_memory_bytes // 4, dtype=np.float64))


def send_signal(number: int) -> None:
    os.kill(os.getpid(), number)


def leave() -> None:
    os._exit(7)


def stumble() -> None:
    raise KeyError("a fault of ours")


def reject(reason: Reason) -> None:
    raise MediaRejected(reason, "told so", number=3)


def loaded_modules() -> set[str]:
    import av  # noqa: F401
    import PIL.Image  # noqa: F401
    import soundfile  # noqa: F401

    return {name.partition(".")[0] for name in sys.modules}


def write_file(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        file.write(b"x")


def stall() -> None:
    """Say that an answer of 16 bytes follows, and send two of them."""
    os.write(int(sys.argv[1]), b"\0\0\0\x10ab")
    time.sleep(600.0)


def process_id() -> int:
    return os.getpid()


def test_results_and_rejections_come_back_whole(sandbox: DecodeSandbox) -> None:
    assert sandbox.run(double, 21).result() == 42
    with pytest.raises(MediaRejected, match="told so") as caught:
        sandbox.run(reject, "no_text").result()
    assert (caught.value.reason, caught.value.detail) == ("no_text", {"number": 3})


def test_a_fault_in_a_decoder_rejects_one_file_and_says_where(sandbox: DecodeSandbox) -> None:
    with pytest.raises(MediaRejected, match="KeyError") as caught:
        sandbox.run(stumble).result()
    assert caught.value.reason == "decoder_crashed"
    assert "stumble" in str(caught.value.detail["traceback"])


@pytest.mark.parametrize("number", [signal.SIGABRT, signal.SIGSEGV, signal.SIGKILL])
def test_a_crash_is_named_and_costs_only_its_own_file(
    sandbox: DecodeSandbox, number: signal.Signals
) -> None:
    futures = [sandbox.run(double, 1), sandbox.run(send_signal, number)]
    futures += [sandbox.run(double, value) for value in range(10)]
    with pytest.raises(MediaRejected, match=number.name) as caught:
        futures[1].result()
    assert caught.value.reason == "decoder_crashed"
    assert [future.result() for future in futures[2:]] == [2 * value for value in range(10)]


def test_a_decoder_that_exits_is_a_crash(sandbox: DecodeSandbox) -> None:
    assert reason_of(sandbox.run(leave)) == "decoder_crashed"


def test_a_hang_ends_at_the_wall_clock(tight: DecodeSandbox, picture_path: Path) -> None:
    hang = tight.run(wait, 600.0)
    after = tight.picture(picture_path)
    assert reason_of(hang) == "timeout"
    assert after.result().width_px == 60


def test_a_stall_in_the_middle_of_an_answer_ends_at_the_wall_clock(
    tight: DecodeSandbox, picture_path: Path
) -> None:
    assert reason_of(tight.run(stall)) == "timeout"
    assert tight.picture(picture_path).result().width_px > 0


def test_an_endless_loop_ends_at_the_processor_limit() -> None:
    limits = DecodeLimits(max_wall_seconds=60.0, max_cpu_seconds=1)
    with DecodeSandbox(limits) as sandbox:
        with pytest.raises(MediaRejected, match="processor time") as caught:
            sandbox.run(spin).result()
        assert caught.value.reason == "timeout"


def test_too_much_memory_is_refused_and_the_next_file_decodes(
    tight: DecodeSandbox, picture_path: Path
) -> None:
    assert reason_of(tight.run(swell)) == "out_of_memory"
    assert tight.picture(picture_path).result().height_px == 40


def test_time_in_the_queue_does_not_count(tight: DecodeSandbox) -> None:
    waits = [tight.run(wait, 0.8) for _ in range(4)]  # 3.2 s in all, allowed 2 s each
    assert [future.result() for future in waits] == [None] * 4


def test_a_child_killed_while_idle_loses_nothing(picture_path: Path) -> None:
    with DecodeSandbox(LIMITS) as sandbox:
        child = sandbox.run(process_id).result()
        os.kill(child, signal.SIGKILL)
        os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
        assert sandbox.picture(picture_path).result().width_px == 60
        assert sandbox.run(process_id).result() != child


def test_children_import_no_machine_learning_library(sandbox: DecodeSandbox) -> None:
    heavy = {"torch", "torchvision", "timm", "transformers", "sentence_transformers", "onnxruntime"}
    heavy |= {"faiss", "pyarrow", "sqlalchemy", "litestar", "pytest"}
    assert sandbox.run(loaded_modules).result() & (heavy - {"pytest"}) == set()


def test_children_cannot_write_files(sandbox: DecodeSandbox, tmp_path: Path) -> None:
    assert reason_of(sandbox.run(write_file, tmp_path / "new")) == "decoder_crashed"
    assert (tmp_path / "new").stat().st_size == 0


def test_closing_kills_the_children_and_cancels_what_waits() -> None:
    sandbox = DecodeSandbox(LIMITS)
    child = sandbox.run(process_id).result()
    running, waiting = sandbox.run(wait, 600.0), sandbox.run(double, 1)
    while not running.running():
        time.sleep(0.01)
    sandbox.close()
    sandbox.close()
    for future in (running, waiting):
        with pytest.raises(CancelledError):
            future.result(timeout=10)
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)
    with pytest.raises(RuntimeError, match="closed"):
        sandbox.run(double, 1)


def test_a_cancelled_future_is_never_decoded(tight: DecodeSandbox) -> None:
    busy, waiting = tight.run(wait, 0.3), tight.run(spin)
    assert waiting.cancel()
    assert busy.result() is None
    assert tight.run(double, 4).result() == 8


def test_every_kind_of_medium_goes_through(
    sandbox: DecodeSandbox, picture_path: Path, tmp_path: Path
) -> None:
    sound_path = write_sound(tmp_path / "a.flac", chord(seconds=2.0), 16_000)
    (tmp_path / "a.txt").write_text("some words")
    assert sandbox.picture(picture_path, max_side_px=30).result().picture.pixels.shape == (
        20,
        30,
        3,
    )
    assert sandbox.thumbnail(picture_path, max_side_px=30).result()[8:12] == b"WEBP"
    assert sandbox.sound_info(sound_path).result().duration_seconds == 2.0
    assert len(sandbox.sound(sound_path, 0.5, 1.0, 8_000).result().samples) == 4_000
    assert sandbox.document(tmp_path / "a.txt", "plain").result().blocks == (Block("some words"),)


def test_a_file_that_is_gone_has_vanished(sandbox: DecodeSandbox, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    futures = [sandbox.picture(gone), sandbox.sound_info(gone), sandbox.document(gone, "plain")]
    assert [reason_of(future) for future in futures] == ["vanished"] * 3


@pytest.mark.parametrize("template", [HLS, FFCONCAT, SDP])
@pytest.mark.parametrize("name", ["a.m4a", "a.mp3", "a.jpg", "a.m3u8", "a"])
def test_a_playlist_opens_no_connection(
    sandbox: DecodeSandbox, tmp_path: Path, template: str, name: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        address = f"127.0.0.1:{server.getsockname()[1]}"
        (tmp_path / name).write_text(template.replace("192.0.2.1", address))
        for future in (sandbox.sound_info(tmp_path / name), sandbox.picture(tmp_path / name)):
            assert reason_of(future) in ("content_mismatch", "unsupported_format")
        with pytest.raises(TimeoutError):
            server.accept()


def test_more_children_decode_at_the_same_time(sandbox: DecodeSandbox) -> None:
    first, second = sandbox.run(wait, 1.0), sandbox.run(wait, 1.0)
    while not (first.running() and second.running()):
        assert not first.done() or not second.done()
        time.sleep(0.01)
    assert first.result() is second.result() is None
