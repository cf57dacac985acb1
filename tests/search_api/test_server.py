"""The real server: supervisor, encoder process and workers, on the starter's weights."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from encoders.errors import ConfigError, ModelMissing
from encoders.loading import EncoderLoader
from encoders.media.content import Segment
from encoders.media.segmentation import segmentation_id
from encoders.models.folder import ModelFolder
from indexer.catalog.catalog import Catalog
from indexer.catalog.records import ChannelVectors, ItemRecord, ItemWrite
from indexer.config import load_collection
from indexer.data_dir import DataDir
from search_api.access.api_key import new_key
from search_api.access.key_file import KeyFile
from search_api.encoder_sockets import KEY_LENGTH, encoder_socket
from search_api.server import free_port, run_folder, serve, sockets_folder
from search_api.settings import Settings

TEXTS = {
    "kitten": "A kitten sleeps on the sofa.",
    "stocks": "The stock market fell by three per cent.",
    "storm": "Thunder and heavy rain are expected tonight.",
}
SERVE = """
import sys
from search_api.server import serve
from search_api.settings import Settings
if __name__ == "__main__":
    sys.exit(serve(Settings.from_environment()))
"""


def store_texts(data_dir: DataDir, loader: EncoderLoader) -> None:
    config = load_collection("starter")
    channel = config.channels["passages"]
    identity = loader.identify(channel.encoder)
    vectors = loader.open(channel.encoder).encode(list(TEXTS.values()))
    with Catalog.open(data_dir) as catalog:
        catalog.register_collection(config)
        for row, (item_id, text) in enumerate(TEXTS.items()):
            record = ItemRecord(
                item_id, "text", "plain", "test", item_id, item_id, f"{row:064x}", 1, 1
            )
            passages = ChannelVectors(
                "passages",
                identity.encoder_id,
                identity.space_id,
                segmentation_id(channel.segments),
                f"{row:064x}",
                (Segment(text=text),),
                vectors[row : row + 1],
            )
            catalog.write(config.name, [ItemWrite(record, (passages,))])


class RunningServer:
    """A server in processes of its own."""

    def __init__(
        self, folder: Path, models: ModelFolder, workers: int, terminal: Path | None = None
    ) -> None:
        script = folder / "run_server.py"
        script.write_text(SERVE)
        self.port = free_port("127.0.0.1", 0)
        self.terminal = (terminal or Path(os.devnull)).open("wb")
        self.process = subprocess.Popen(
            [sys.executable, str(script)],
            env={
                **os.environ,
                "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
                "KINDRED_DATA_DIR": str(folder / "data"),
                "KINDRED_MODELS_DIR": str(models.root),
                "KINDRED_PORT": str(self.port),
                "KINDRED_WORKERS": str(workers),
            },
            stderr=self.terminal if terminal else None,
        )
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30)

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def status(self, path: str) -> int:
        try:
            return self.http.get(path).status_code
        except httpx.TransportError:
            return 0

    def close(self) -> None:
        self.http.close()
        self.terminal.close()
        family: list[psutil.Process] = []
        with contextlib.suppress(psutil.NoSuchProcess):
            family = self.children()
        self.process.kill()
        self.process.wait()
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


@pytest.fixture
def start(tmp_path: Path, models: ModelFolder) -> Iterator[Callable[..., RunningServer]]:
    started: list[RunningServer] = []

    def start(
        workers: int = 1, models: ModelFolder = models, terminal: Path | None = None
    ) -> RunningServer:
        started.append(RunningServer(tmp_path, models, workers, terminal))
        return started[-1]

    yield start
    for server in started:
        server.close()


def wait_until(condition: Callable[[], Any], what: str, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited too long until {what}"
        time.sleep(0.1)


def gone(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def encoder_of(server: RunningServer) -> psutil.Process:
    (encoder,) = [p for p in server.children() if "encoders.serving.encoder_process" in p.cmdline()]
    return encoder


def workers_of(server: RunningServer) -> list[psutil.Process]:
    return [p for p in server.children() if any("spawn_main" in part for part in p.cmdline())]


@pytest.mark.weights
def test_the_server_survives_the_death_of_its_encoder_and_leaves_nobody_behind(
    tmp_path: Path, loader: EncoderLoader, start: Callable[..., RunningServer]
) -> None:
    store_texts(DataDir(tmp_path / "data"), loader)
    server = start(workers=2)
    wait_until(lambda: server.status("/readyz") == 200, "the server is ready")

    answer = server.http.post("/v1/search", json={"query": {"text": "a young cat"}, "limit": 3})
    assert answer.status_code == 200, answer.text
    assert answer.json()["hits"][0]["item_id"] == "kitten"

    assert len(workers_of(server)) == 2
    for worker in workers_of(server):
        libraries = {Path(mapped.path).name for mapped in worker.memory_maps()}
        assert not {name for name in libraries if name.startswith(("libtorch", "onnxruntime"))}

    encoder_of(server).kill()
    wait_until(lambda: server.status("/readyz") == 503, "the loss is noticed")
    assert server.status("/healthz") == 200
    lost = server.http.post("/v1/search", json={"query": {"text": "a cat"}})
    assert lost.status_code == 503
    assert lost.headers["retry-after"]
    similar = server.http.get("/v1/items/kitten/similar")
    assert similar.status_code == 200, "stored vectors need no encoder"
    wait_until(lambda: server.status("/readyz") == 200, "the encoder is back")

    family = server.children()
    server.process.kill()
    wait_until(lambda: all(gone(process) for process in family), "nobody is left")


@pytest.mark.weights
def test_a_key_has_one_limit_with_all_workers(
    tmp_path: Path, start: Callable[..., RunningServer]
) -> None:
    data_dir = DataDir(tmp_path / "data")
    key, token = new_key("slow", "read", requests_per_minute=20)
    KeyFile(data_dir.keys).add(key)
    server = start(workers=3)
    wait_until(lambda: server.status("/healthz") == 200, "a worker answers")
    assert server.status("/v1/collections") == 401

    def ask(_: int) -> int:
        # A connection of its own, which any worker may take.
        url = f"http://127.0.0.1:{server.port}/v1/failures"
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.get(url, headers=headers, timeout=60).status_code

    started = time.monotonic()
    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(ask, range(80)))
    come_back = 1 + int((time.monotonic() - started) / 3)
    assert set(statuses) == {200, 429}
    assert 20 <= statuses.count(200) <= 20 + come_back


@pytest.mark.weights
def test_sigterm_ends_everything_and_clears_up(
    tmp_path: Path, start: Callable[..., RunningServer]
) -> None:
    server = start()
    wait_until(lambda: server.status("/healthz") == 200, "the worker answers")
    family = server.children()
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(60) == 0
    wait_until(lambda: all(gone(process) for process in family), "nobody is left")
    assert list((tmp_path / "data" / "run").glob("serve-*")) == []


def with_zeroed_sentence_model(models: ModelFolder, target: Path) -> ModelFolder:
    """Return a copy of a model folder in which the sentence model's tensors are all zeros."""
    target.mkdir()
    for name in ("efficientnet_lite2", "yamnet"):
        (target / name).symlink_to(models.root / name)
    shutil.copytree(models.root / "minilm", target / "minilm")
    weights = target / "minilm" / "model.safetensors"
    size_bytes = weights.stat().st_size
    with weights.open("r+b") as file:
        header_bytes = 8 + int.from_bytes(file.read(8), "little")
        file.truncate(header_bytes)
        file.truncate(size_bytes)
    return ModelFolder(target)


@pytest.mark.weights
def test_a_model_that_is_not_admitted_is_named_to_people_and_not_tried_again(
    tmp_path: Path, models: ModelFolder, start: Callable[..., RunningServer]
) -> None:
    damaged = with_zeroed_sentence_model(models, tmp_path / "damaged")
    terminal = tmp_path / "terminal.txt"
    server = start(models=damaged, terminal=terminal)

    def reason() -> str:
        with contextlib.suppress(httpx.TransportError):
            return server.http.get("/readyz").text
        return ""

    wait_until(lambda: "admission_refused" in reason(), "the reason is said")
    problem = server.http.get("/readyz").json()
    assert problem["status"] == 503
    assert "is refused, texts_distinct: " in problem["detail"]
    wait_until(lambda: "start `kindred serve` again" in terminal.read_text(), "people are told")
    said = [line for line in terminal.read_text().splitlines() if line.startswith("kindred: ")]
    assert len(said) == 2, "once, and not for every start"
    assert "cannot start (admission_refused)" in said[0]
    assert "texts_distinct" in said[0]
    assert "kindred models check" in said[1]
    assert not [p for p in server.children() if "encoders.serving.encoder_process" in p.cmdline()]
    # What needs no encoder goes on.
    assert server.status("/healthz") == 200
    assert server.http.get("/v1/items").status_code == 200
    asked = server.http.post("/v1/search", json={"query": {"text": "a cat"}})
    assert (asked.status_code, asked.json()["code"]) == (503, "encoder_unavailable")
    assert "texts_distinct" in asked.json()["detail"]
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(60) == 0


def settings_in(folder: Path, **values: Any) -> Settings:
    return Settings(data_dir=str(folder / "data"), models_dir=str(folder / "models"), **values)


def test_an_exposed_address_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="KINDRED_ALLOW_ANONYMOUS"):
        serve(settings_in(tmp_path, host="0.0.0.0"))
    assert not (tmp_path / "data").exists()


def test_missing_models_are_named_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="kindred models pull"):
        serve(settings_in(tmp_path))


@pytest.mark.weights
def test_an_adapter_that_is_not_here_is_named_before_anything_starts(
    tmp_path: Path, models: ModelFolder
) -> None:
    """Each worker and the encoder process would die of it, again and again."""
    collection = tmp_path / "ours.yaml"
    collection.write_text(
        "name: ours\nchannels:\n  pictures: {media: [image], "
        "encoder: {family: adapter, adapter: never-fitted, medium: image}}\n"
    )
    settings = Settings(
        data_dir=str(tmp_path / "data"),
        models_dir=str(models.root),
        collection=str(collection),
    )
    with pytest.raises(ModelMissing, match="never-fitted"):
        serve(settings)
    assert not (tmp_path / "data" / "run").exists()


def test_a_taken_port_is_refused() -> None:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        with pytest.raises(ConfigError, match="in use"):
            free_port("127.0.0.1", listener.getsockname()[1])


def test_folders_of_dead_servers_are_removed_and_of_living_ones_kept(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (tmp_path / f"serve-{ended.pid}").mkdir()
    (tmp_path / f"serve-{os.getppid()}").mkdir()
    with run_folder(tmp_path) as folder:
        names = {path.name for path in tmp_path.iterdir()}
        assert names == {folder.name, f"serve-{os.getppid()}"}
        assert folder.stat().st_mode & 0o777 == 0o700
    assert not folder.exists()


def test_a_long_data_folder_still_gets_a_short_socket(tmp_path: Path) -> None:
    with sockets_folder(tmp_path / ("x" * 120)) as folder:
        assert len(os.fsencode(encoder_socket(folder, "0" * KEY_LENGTH))) <= 100
        assert folder.stat().st_mode & 0o777 == 0o700
    assert not folder.exists()
