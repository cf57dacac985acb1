"""``kindred doctor``: is everything here that an ingest and a search need?"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from encoders.errors import KindredError
from search_api.cli import output
from search_api.cli.workspace import collection_option, json_option, num_cpus

if TYPE_CHECKING:
    from indexer.ann.qdrant_generation import Generation

MIN_FREE_BYTES = 2_000_000_000


@dataclass(frozen=True, slots=True)
class Check:
    """One answer of the doctor."""

    name: str
    state: Literal["ok", "warning", "failed"]
    detail: str


@click.command()
@collection_option
@json_option
def doctor(collection: str, as_json: bool) -> int:
    """Check packages, models, data folder and live index, and say what to do about each fault."""
    checks = list(_checks(collection))
    if as_json:
        output.print_json(
            {
                "checks": [
                    {"name": check.name, "state": check.state, "detail": check.detail}
                    for check in checks
                ]
            }
        )
    else:
        marks = {"ok": "ok", "warning": "!!", "failed": "XX"}
        for check in checks:
            click.echo(f"{marks[check.state]}  {check.name}: {check.detail}")
    return int(any(check.state == "failed" for check in checks))


def _checks(collection: str) -> Iterator[Check]:
    yield Check("python", "ok", f"{sys.version.split()[0]}, {num_cpus()} processors")
    yield _checked("faiss", _faiss)
    yield _checked("torch", _torch)
    yield _checked("decoders", _decoders)
    yield from _models()
    yield _checked("collection", lambda: _collection(collection))
    yield from _qdrant_servers(collection)
    yield _checked("data folder", _data_folder)
    yield _free_space()
    yield _checked("catalog", lambda: _catalog(collection))
    yield _checked("live index", lambda: _live_index(collection))


def _checked(name: str, check: Callable[[], str]) -> Check:
    try:
        return Check(name, "ok", check())
    except KindredError as error:
        return Check(name, "failed", error.message)
    except Exception as error:
        # Whatever breaks here would break an ingest: the doctor reports it instead of dying of it.
        return Check(name, "failed", f"{type(error).__name__}: {error}")


def _faiss() -> str:
    from indexer.ann.faiss_index import faiss_build

    return faiss_build()


def _torch() -> str:
    from encoders.torch_imports import install

    install()
    import torch
    import torchvision

    device = f"CUDA {torch.version.cuda}" if torch.cuda.is_available() else "CPU only"
    return f"torch {torch.__version__}, torchvision {torchvision.__version__}, {device}"


def _decoders() -> str:
    import av
    import PIL
    import soundfile

    return (
        f"FFmpeg through PyAV {av.__version__}, libsndfile {soundfile.__libsndfile_version__}, "
        f"Pillow {PIL.__version__}"
    )


def _models() -> Iterator[Check]:
    from encoders.models.folder import MODELS, ModelFolder

    folder = ModelFolder.from_environment()
    for name in MODELS:

        def verified(name: str = name) -> str:
            folder.verify(name)
            return f"every file has its sha256, in {folder.root}"

        yield _checked(f"model {name}", verified)


def _collection(collection: str) -> str:
    from indexer.config import collection_path, load_collection

    config = load_collection(collection)
    return f"{config.name} from {collection_path(collection)}: {', '.join(config.channels)}"


def _qdrant_servers(collection: str) -> Iterator[Check]:
    """Ask each server that the collection names once."""
    from indexer.ann.qdrant_generation import generation_of
    from indexer.ann.qdrant_server import QdrantServer
    from indexer.ann.qdrant_server_build import CHANGE_PATIENCE
    from indexer.config import load_collection

    try:
        config = load_collection(collection)
    except KindredError:
        return
    servers = {
        (each.index.url, each.index.api_key_variable, each.index.grpc): (name, each.index)
        for name, each in config.channels.items()
        if each.index.url is not None
    }
    for channel, index in servers.values():
        generation = generation_of(index, config.name, channel, "doctor")

        def asked(generation: Generation = generation) -> str:
            server = QdrantServer(generation, CHANGE_PATIENCE)
            return f"version {server.check_version()} at {generation.url}"

        yield _checked("qdrant", asked)


def _data_folder() -> str:
    root, there = _data_root()
    # Written to, since rights and mounts do not tell all: root may write even where nobody can.
    with tempfile.TemporaryFile(dir=there) as probe:
        probe.write(b"kindred")
    return f"{root} can be written to"


def _free_space() -> Check:
    _, there = _data_root()
    free_bytes = shutil.disk_usage(there).free
    state: Literal["ok", "warning"] = "ok" if free_bytes >= MIN_FREE_BYTES else "warning"
    return Check("free space", state, f"{free_bytes / 1e9:.0f} GB for the data folder")


def _data_root() -> tuple[Path, Path]:
    """Return the data folder, and itself or the nearest folder above it that exists."""
    from indexer.data_dir import DataDir

    root = DataDir.from_environment().root.absolute()
    return root, next(path for path in (root, *root.parents) if path.exists())


def _catalog(collection: str) -> str:
    from indexer.catalog.catalog import Catalog
    from indexer.config import load_collection
    from indexer.data_dir import DataDir

    data_dir = DataDir.from_environment()
    if not data_dir.catalog_path.exists():
        return "none yet; the first ingest makes it"
    with Catalog.open(data_dir) as catalog:
        catalog.check_integrity()
        counts = catalog.counts(load_collection(collection).name)
    return f"{counts.items} items, {counts.segments} segments, integrity checked"


def _live_index(collection: str) -> str:
    from indexer.config import load_collection
    from indexer.data_dir import DataDir
    from indexer.publish import live_snapshot_path
    from indexer.snapshot import Snapshot

    path = live_snapshot_path(DataDir.from_environment(), load_collection(collection).name)
    if path is None:
        return "none yet; the first ingest publishes one"
    manifest = Snapshot.open(path, verify=True).manifest
    return f"{manifest.snapshot_id}, every file has its sha256"
