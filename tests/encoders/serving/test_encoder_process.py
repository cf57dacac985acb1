"""The encoder process's server, spoken to through the client that API workers use."""

import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image

from encoders.config import ConceptsConfig, PassageSegments, SentenceConfig, WholeSegments
from encoders.media.rejection import MediaRejected
from encoders.query_plan import PlannedChannel, plan_queries
from encoders.serving import version_maker
from encoders.serving.encoder_process import EncoderProcessConfig, serve
from encoders.serving.errors import BeingPrepared, EncoderFailed, EncoderUnavailable
from encoders.serving.messages import Ping, frame, read_reply
from encoders.serving.version_maker import VersionRequest
from search_api.remote_query_encoder import RemoteQueryEncoder
from tests.fake_encoders import FakeLoader

CHANNELS = {
    "pictures": PlannedChannel(ConceptsConfig(classifier="efficientnet_lite2"), WholeSegments()),
    "passages": PlannedChannel(SentenceConfig(), PassageSegments(max_words=8)),
}


@pytest.fixture
def socket_path() -> Iterator[Path]:
    # Not pytest's tmp_path: socket paths must be short.
    with tempfile.TemporaryDirectory(prefix="kindred-test-") as folder:
        yield Path(folder) / "encoder.sock"


@contextlib.asynccontextmanager
async def serving(socket_path: Path, loader: FakeLoader) -> AsyncIterator[RemoteQueryEncoder]:
    """Run the server in this process and give a client of it."""
    stop = asyncio.Event()
    server = asyncio.create_task(serve(socket_path, CHANNELS, loader, stop=stop))
    while not await asyncio.to_thread(socket_path.exists):
        assert not server.done(), server.exception()
        await asyncio.sleep(0.01)
    client = RemoteQueryEncoder(socket_path, plan_queries(CHANNELS, loader.identify))
    try:
        yield client
    finally:
        await client.aclose()
        stop.set()
        await server


def picture_file(folder: Path, colour: str) -> Path:
    path = folder / f"{colour}.png"
    Image.new("RGB", (32, 24), colour).save(path)
    return path


@pytest.mark.asyncio
async def test_words_come_back_as_the_vectors_of_every_channel_they_can_search(
    socket_path: Path,
) -> None:
    loader = FakeLoader()
    async with serving(socket_path, loader) as client:
        queries = await client.encode_text("red fox", ["pictures", "passages"])
    assert list(queries) == ["pictures", "passages"]
    expected = loader.open(SentenceConfig()).encode(["red fox"])
    for query in queries.values():
        assert query.space_id == "words"
        assert query.vectors.dtype == np.float32
        np.testing.assert_allclose(query.vectors, expected, rtol=0, atol=1e-7)


@pytest.mark.asyncio
async def test_every_encoder_is_warm_before_the_socket_opens(socket_path: Path) -> None:
    loader = FakeLoader()
    async with serving(socket_path, loader) as client:
        await client.ping()
        assert all(encoder.batches for encoder in loader.encoders.values())
        assert len(loader.encoders) == 2


@pytest.mark.asyncio
async def test_many_questions_at_once_each_get_their_own_answer(socket_path: Path) -> None:
    loader = FakeLoader()
    texts = [f"question {number % 20}" for number in range(100)]
    async with serving(socket_path, loader) as client:
        answers = await asyncio.gather(*(client.encode_text(t, ["passages"]) for t in texts))
    encoder = loader.open(SentenceConfig(role="query"))
    for text, answer in zip(texts, answers, strict=True):
        np.testing.assert_allclose(
            answer["passages"].vectors, encoder.encode([text]), rtol=0, atol=1e-7
        )


@pytest.mark.asyncio
async def test_a_picture_is_sniffed_decoded_and_encoded(socket_path: Path, tmp_path: Path) -> None:
    async with serving(socket_path, FakeLoader()) as client:
        found = await client.encode_file(picture_file(tmp_path, "red"), ["pictures", "passages"])
        words = await client.encode_text("red", ["passages"])
    assert (found.medium, found.format) == ("image", "png")
    for query in found.channels.values():
        np.testing.assert_allclose(query.vectors, words["passages"].vectors, rtol=0, atol=1e-6)


@pytest.mark.asyncio
async def test_a_text_file_asks_with_each_of_its_passages(
    socket_path: Path, tmp_path: Path
) -> None:
    path = tmp_path / "story.txt"
    path.write_text(" ".join(f"word{number}" for number in range(20)))
    async with serving(socket_path, FakeLoader()) as client:
        found = await client.encode_file(path, ["passages"])
    assert found.medium == "text"
    assert found.channels["passages"].vectors.shape == (3, 64)


@pytest.mark.asyncio
async def test_a_rejected_file_comes_back_as_the_same_error(
    socket_path: Path, tmp_path: Path
) -> None:
    path = tmp_path / "broken.png"
    path.write_bytes(picture_file(tmp_path, "red").read_bytes()[:60])
    async with serving(socket_path, FakeLoader()) as client:
        with pytest.raises(MediaRejected) as caught:
            await client.encode_file(path, ["pictures"])
        await client.ping()
    assert caught.value.reason in ("truncated", "corrupt")


@pytest.mark.asyncio
async def test_a_thumbnail_is_a_small_webp(socket_path: Path, tmp_path: Path) -> None:
    async with serving(socket_path, FakeLoader()) as client:
        picture = await client.thumbnail(picture_file(tmp_path, "blue"), 16)
    assert picture[:4] == b"RIFF"
    assert picture[8:12] == b"WEBP"


@pytest.mark.asyncio
async def test_a_version_that_browsers_play_is_made_where_it_was_asked_for(
    socket_path: Path, tmp_path: Path
) -> None:
    path = tmp_path / "scan.tiff"
    Image.new("RGB", (32, 24), "red").save(path)
    status = path.stat()
    request = VersionRequest(path, status.st_size, status.st_mtime_ns, tmp_path / "kept" / "scan")
    async with serving(socket_path, FakeLoader()) as client:
        assert await client.version(request) == "webp"
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["scan.webp"]


@pytest.mark.asyncio
async def test_a_version_that_takes_long_is_said_to_be_under_way(
    socket_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(version_maker, "WAIT_SECONDS", 0.0)
    path = picture_file(tmp_path, "red")
    status = path.stat()
    request = VersionRequest(path, status.st_size, status.st_mtime_ns, tmp_path / "kept" / "red")
    async with serving(socket_path, FakeLoader()) as client:
        with pytest.raises(BeingPrepared):
            await client.version(request)


@pytest.mark.asyncio
async def test_an_encoder_that_raises_fails_that_question_only(socket_path: Path) -> None:
    loader = FakeLoader()
    async with serving(socket_path, loader) as client:
        encoder = loader.open(SentenceConfig(role="query"))
        working = encoder.encode
        encoder.encode = lambda _batch: 1 / 0  # type: ignore[method-assign,assignment]
        with pytest.raises(EncoderFailed, match="ZeroDivisionError"):
            await client.encode_text("red", ["passages"])
        encoder.encode = working  # type: ignore[method-assign]
        await client.encode_text("red", ["passages"])


@pytest.mark.asyncio
async def test_no_server_is_said_at_once_and_a_later_one_is_found(socket_path: Path) -> None:
    client = RemoteQueryEncoder(socket_path, plan_queries(CHANNELS, FakeLoader().identify))
    with pytest.raises(EncoderUnavailable):
        await client.ping()
    async with serving(socket_path, FakeLoader()):
        for _ in range(100):
            with contextlib.suppress(EncoderUnavailable):
                await client.ping()
                break
            await asyncio.sleep(0.05)
        await client.ping()
        await client.aclose()


@pytest.mark.asyncio
async def test_questions_in_flight_fail_when_the_server_goes(socket_path: Path) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(4)
        writer.close()

    server = await asyncio.start_unix_server(hang_up, path=str(socket_path))
    client = RemoteQueryEncoder(socket_path, plan_queries(CHANNELS, FakeLoader().identify))
    with pytest.raises(EncoderUnavailable, match="hung up"):
        await client.encode_text("red", ["passages"])
    server.close()
    await client.aclose()


@pytest.mark.asyncio
async def test_garbage_on_the_socket_harms_nobody_else(socket_path: Path) -> None:
    async with serving(socket_path, FakeLoader()) as client:
        for garbage in (b"\xff\xff\xff\xff", b"\0\0\0\3abc", b"\0\0\0\1"):
            reader, writer = await asyncio.open_unix_connection(str(socket_path))
            writer.write(garbage)
            writer.write_eof()
            assert await reader.read() == b""
            writer.close()
        reader, writer = await asyncio.open_unix_connection(str(socket_path))
        writer.write(frame(Ping(id=7)))
        assert (await read_reply(reader)).id == 7
        writer.close()
        await client.ping()


def test_the_socket_is_for_this_user_only(socket_path: Path) -> None:
    async def mode() -> int:
        async with serving(socket_path, FakeLoader()):
            return (await asyncio.to_thread(socket_path.stat)).st_mode & 0o777

    assert asyncio.run(mode()) == 0o600


def test_the_process_ends_when_its_starter_is_gone(socket_path: Path, tmp_path: Path) -> None:
    """The starter dies by SIGKILL: nobody tells the process, only its standard input ends."""
    config = EncoderProcessConfig(channels={}, models_dir=str(tmp_path))
    starter = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import subprocess, sys, time\n"
            "process = subprocess.Popen([sys.executable, '-m', 'encoders.serving.encoder_process',"
            " sys.argv[1]], stdin=subprocess.PIPE, start_new_session=True)\n"
            "process.stdin.write(sys.argv[2].encode() + b'\\n'); process.stdin.flush()\n"
            "print(process.pid, flush=True); time.sleep(600)",
            str(socket_path),
            msgspec.json.encode(config).decode(),
        ],
        stdout=subprocess.PIPE,
    )
    assert starter.stdout is not None
    process_id = int(starter.stdout.readline())
    wait_until(socket_path.exists)
    starter.kill()
    starter.wait()
    starter.stdout.close()
    wait_until(lambda: not running(process_id))


def running(process_id: int) -> bool:
    try:
        state = Path(f"/proc/{process_id}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_until(condition: object, seconds: float = 60) -> None:
    assert callable(condition)
    deadline = os.times().elapsed + seconds
    while not condition():
        assert os.times().elapsed < deadline, "waited too long"
        asyncio.run(asyncio.sleep(0.05))
