"""The command line on made-up models: whole commands, run in a process that forked a moment ago."""

from __future__ import annotations

import hashlib
import io
import json
import os
import resource
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn
from unittest.mock import patch

import numpy as np

from benchmarks import made_up_items
from benchmarks.made_up_items import COLLECTION, DIM, made_up_identities, made_up_write
from benchmarks.write_points import step_name, watching
from encoders.config import EncoderConfig, WhisperConfig
from encoders.encoder import EncoderIdentity
from encoders.errors import ModelMissing
from encoders.space import Vectors, unit_rows
from indexer.catalog.catalog import Catalog
from indexer.config import CollectionConfig, parse_collection
from indexer.data_dir import DATA_DIR_VARIABLE, DataDir
from indexer.smoke_search import search_once
from search_api.cli.main import run

NUM_ITEMS = 120
TO_TAKE_DOWN = "item-0007"
NUM_FILES = 3
NUM_SNAPSHOTS = 3
"""As many as are kept, so that the next publish removes one."""

EDGE_CHANNEL = """
  edge:
    media: [text]
    encoder: {family: sentence_transformers}
    index: {engine: qdrant}
"""
TAKES_ROOM = frozenset({"open", "write", "fsync", "mkdir", "link", "sendfile"})


class MadeUpEncoder:
    """A text's vector is a digest of it."""

    def __init__(self, identity: EncoderIdentity) -> None:
        self.identity = identity

    def encode(self, batch: Sequence[str]) -> Vectors:
        """Return ``(len(batch), DIM)`` float32 unit rows."""
        seeds = [int(hashlib.sha256(text.encode()).hexdigest()[:16], 16) for text in batch]
        rows = [np.random.default_rng(seed).standard_normal(DIM) for seed in seeds]
        return unit_rows(np.array(rows, np.float32).reshape(-1, DIM))


class MadeUpLoader:
    """Stands in for `EncoderLoader`: no weights are needed, none are missing."""

    @property
    def models(self) -> MadeUpLoader:
        """The model folder, in which everything is."""
        return self

    def require(self, name: str) -> None:
        """Find the weights."""

    def identify(self, _config: EncoderConfig) -> EncoderIdentity:
        """Return what the made-up items were encoded with."""
        return made_up_identities()["flat"]

    def open(self, config: EncoderConfig) -> MadeUpEncoder:
        """Return an encoder."""
        return MadeUpEncoder(self.identify(config))

    def open_recognizer(self, _config: WhisperConfig) -> NoReturn:
        """Refuse: the collection has no speech."""
        raise ModelMissing("there is no recogniser among made-up models")


@dataclass(frozen=True, slots=True)
class Place:
    """The folders of one case."""

    folder: Path

    @property
    def data_dir(self) -> DataDir:
        """What the commands work on."""
        return DataDir(self.folder / "data")

    @property
    def yaml(self) -> Path:
        """The collection."""
        return self.folder / "made-up.yaml"

    @property
    def config(self) -> CollectionConfig:
        """The collection as it was read."""
        return parse_collection(self.yaml.read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with a process's changes to files."""

    number: int = 0
    """Before the how-manieth change, from 1; 0 for none."""

    errno: int = 0

    lasts: bool = False
    """Whether later changes that take room fail as well."""

    max_file_bytes: int | None = None
    """No file may become larger, whoever writes it: the kernel refuses (RLIMIT_FSIZE)."""

    ignore_free_space: bool = False
    """Begin although there is no room, as if others had filled the disk meanwhile."""


@dataclass(frozen=True, slots=True)
class CommandEnd:
    """How a command ended."""

    exit_code: int
    out: str
    err: str
    steps: list[str]
    """Every change it made below the folder, by name and in order, failed ones included."""

    @property
    def reason(self) -> str:
        """What it said about its failure; empty without one."""
        try:
            return str(json.loads(self.out)["error"]["message"])
        except (ValueError, KeyError, TypeError):
            return ""


def run_command(
    place: Place, arguments: Sequence[str], fault: Fault | None = None, *, data: str = "data"
) -> CommandEnd:
    """Run ``kindred`` in this process, which is not good for anything else afterwards.

    Args:
        place: where; changes below its folder are counted.
        arguments: of the command.
        fault: what goes wrong.
        data: which folder below ``place`` is the data folder.
    """
    fault = fault or Fault()
    os.environ[DATA_DIR_VARIABLE] = str(place.folder / data)
    os.environ["KINDRED_COLLECTION"] = str(place.yaml)
    os.environ["KINDRED_DECODE_WORKERS"] = "1"
    steps: list[str] = []

    def on_point(action: str, path: str) -> None:
        steps.append(step_name(action, path, place.folder))
        is_next = len(steps) == fault.number
        is_later = fault.lasts and len(steps) > fault.number > 0 and action in TAKES_ROOM
        if is_next or is_later:
            # As the system says it: only calls that are given a path name it.
            named = () if action in ("write", "fsync", "sendfile") else (path,)
            raise OSError(fault.errno, os.strerror(fault.errno), *named)

    out, err = io.StringIO(), io.StringIO()
    if fault.max_file_bytes is not None:
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (fault.max_file_bytes, hard))
    with ExitStack() as stack:
        stack.enter_context(patch("search_api.cli.workspace.open_loader", made_up_loader))
        for module in ("indexer.reindex", "indexer.publish"):
            # This process is a child of its own already, and starting another takes seconds.
            stack.enter_context(patch(f"{module}.smoke_search", search_once))
        if fault.ignore_free_space:
            stack.enter_context(patch("indexer.free_space.SAFETY_FACTOR", 0.0))
        stack.enter_context(redirect_stdout(out))
        stack.enter_context(redirect_stderr(err))
        stack.enter_context(watching(place.folder, on_point))
        exit_code = run([*arguments, "--json"])
    if fault.max_file_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    return CommandEnd(exit_code, out.getvalue(), err.getvalue(), steps)


def made_up_loader(**_options: Any) -> MadeUpLoader:
    """Return what commands open encoders with."""
    return MadeUpLoader()


def prepare(place: Place, *, edge: bool = False) -> None:
    """Fill a folder with a published collection, files to ingest and a backup."""
    place.folder.mkdir()
    yaml = made_up_items.YAML + (EDGE_CHANNEL if edge else "")
    place.yaml.write_text(yaml, encoding="utf-8")
    media = place.folder / "media"
    media.mkdir()
    for number in range(NUM_FILES):
        (media / f"note-{number}.txt").write_text(f"Note {number} about the weather at sea.\n")
    identity = made_up_identities()["flat"]
    identities = dict.fromkeys(place.config.channels, identity)
    with Catalog.open(place.data_dir) as catalog:
        catalog.register_collection(place.config)
        writes = [made_up_write(name, 0, identities) for name in item_names()]
        catalog.write(COLLECTION, writes)
    for _ in range(NUM_SNAPSHOTS):
        _must_succeed(place, ["reindex"])
    sha256 = made_up_items.content_sha256(TO_TAKE_DOWN, 0)
    cached = place.data_dir.thumbnails / sha256[:2] / f"{sha256}-small"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"a small picture")
    _must_succeed(place, ["backup", str(place.folder / "kept")])
    with Catalog.open(place.data_dir) as catalog:
        catalog.write(COLLECTION, [made_up_write("late", 0, identities)])


def item_names() -> list[str]:
    """Return the items that are there from the beginning."""
    return [f"item-{number:04d}" for number in range(NUM_ITEMS)]


def _must_succeed(place: Place, arguments: Sequence[str]) -> None:
    with _kept_environment():
        end = run_command(place, arguments)
    if end.exit_code != 0:
        raise RuntimeError(f"{arguments} ended with {end.exit_code}: {end.out}{end.err}")


@contextmanager
def _kept_environment() -> Iterator[None]:
    with patch.dict(os.environ):
        yield
