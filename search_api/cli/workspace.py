"""What every command needs: the data folder, the collection, the catalog and the models."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from encoders.loading import EncoderLoader
    from encoders.run_size import RunBudget
    from indexer.catalog.catalog import Catalog
    from indexer.config import CollectionConfig
    from indexer.data_dir import DataDir
    from indexer.live_view import LiveCollection

COLLECTION_VARIABLE = "KINDRED_COLLECTION"
CommandT = TypeVar("CommandT", bound=Callable[..., Any])


def collection_option(command: CommandT) -> CommandT:
    """Add ``--collection NAME|FILE``."""
    return click.option(
        "--collection",
        envvar=COLLECTION_VARIABLE,
        default="starter",
        show_default=True,
        metavar="NAME|FILE",
        help="A collection shipped with Kindred, or the path of a .yaml file.",
    )(command)


def json_option(command: CommandT) -> CommandT:
    """Add ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON value.")(command)


def num_cpus() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0))


def encode_threads() -> int:
    """Return how many threads the models use: ``KINDRED_ENCODER_THREADS``, else all but one."""
    return _count_setting("KINDRED_ENCODER_THREADS", max(1, num_cpus() - 1))


def decode_workers() -> int:
    """Return how many decoders run: ``KINDRED_DECODE_WORKERS``, else one for every two cores."""
    return _count_setting("KINDRED_DECODE_WORKERS", max(1, num_cpus() // 2))


def encoder_device() -> str:
    """Return the device of the models: ``KINDRED_ENCODER_DEVICE``, else the processor."""
    return os.environ.get("KINDRED_ENCODER_DEVICE") or "cpu"


def ingest_run_budget() -> RunBudget:
    """Return what choosing run sizes may use: memory of ``KINDRED_ENCODER_RUN_BYTES``, else 1 GB.

    Only a run that encodes many contents asks for it: questions never wait for a warm-up.
    """
    from encoders.run_size import RunBudget

    return RunBudget(_count_setting("KINDRED_ENCODER_RUN_BYTES", RunBudget().memory_bytes))


def _count_setting(variable: str, default: int) -> int:
    from encoders.errors import ConfigError

    text = os.environ.get(variable)
    if not text:
        return default
    if not text.isdecimal() or int(text) < 1:
        raise ConfigError(f"{variable} should be a whole number from 1 up, got {text!r}")
    return int(text)


@dataclass(frozen=True)
class Workspace:
    """The open state that a command works on."""

    data_dir: DataDir
    config: CollectionConfig
    catalog: Catalog
    loader: EncoderLoader

    def live(self) -> LiveCollection:
        """Return what searches see now: the live snapshot and everything written since."""
        from indexer.live_view import LiveCollection
        from indexer.pipeline import channel_identities

        identities = channel_identities(self.config, self.loader)
        live = LiveCollection(self.catalog, self.data_dir, self.config, identities)
        live.refresh()
        return live


@contextmanager
def open_workspace(collection: str, *, run_budget: RunBudget | None = None) -> Iterator[Workspace]:
    """Open the data folder and a collection for one command.

    Args:
        collection: name, or path of a YAML.
        run_budget: see `EncoderLoader`.
    """
    from indexer.catalog.catalog import Catalog
    from indexer.config import load_collection
    from indexer.data_dir import DataDir

    config = load_collection(collection)
    data_dir = DataDir.from_environment()
    with Catalog.open(data_dir) as catalog:
        yield Workspace(data_dir, config, catalog, open_loader(run_budget=run_budget))


def open_loader(*, run_budget: RunBudget | None = None) -> EncoderLoader:
    """Return what opens encoders, with the threads and the device that the environment names.

    Args:
        run_budget: see `EncoderLoader`.
    """
    from encoders.loading import EncoderLoader
    from encoders.models.folder import ModelFolder

    return EncoderLoader(
        ModelFolder.from_environment(),
        num_threads=encode_threads(),
        device=encoder_device(),
        run_budget=run_budget,
    )
