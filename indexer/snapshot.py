"""Snapshots: finished, immutable, checksummed sets of indexes of one collection.

```
snapshots/<collection>/live                       which one is served (see publish.py)
snapshots/<collection>/<id>/manifest.json         written last: its presence says "finished"
                           /collection.json       the collection it was built for
                           /items.arrow           one row per item, sorted by item_id
                           /channels/<name>/index.faiss | index.npy    row -> vector
                                           /qdrant/                    or so, with vectors.npy
                                           /qdrant.json                or on a server
                                           /segments.arrow             row -> item, times, words
                                           /segment_ids.npy            row -> catalog
```
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np

from encoders.encoder import EncoderIdentity
from encoders.errors import ConfigError, KindredError
from indexer.ann.building import build_index
from indexer.ann.opening import EXACT_FILE, FAISS_FILE
from indexer.ann.payload import PayloadTable, payload_columns
from indexer.ann.qdrant_build import build_edge_index
from indexer.ann.qdrant_generation import generation_of
from indexer.ann.qdrant_server import QdrantServer
from indexer.ann.qdrant_server_build import BUILD_PATIENCE, build_server_index
from indexer.catalog.catalog import Catalog
from indexer.config import CollectionConfig
from indexer.data_dir import DataDir
from indexer.durable_files import read_file, sync_file, sync_folder, write_file
from indexer.manifest import (
    FORMAT_VERSION,
    MANIFEST_FILE,
    MAX_MANIFEST_BYTES,
    ChannelEntry,
    Manifest,
    SnapshotCorrupt,
    SnapshotUnreadable,
    durable_entries,
    encode_manifest,
    read_manifest,
    require_spaces,
    verify_files,
)
from indexer.snapshot_files import (
    CHANNELS_FOLDER,
    COLLECTION_FILE,
    mapped_items,
    mapped_segments,
)
from indexer.snapshot_removal import (
    BUILDING_PREFIX,
    discard,
    remove_snapshot,
    remove_unfinished,
    unfinished_snapshots,
)
from indexer.staging import Progress, StagedChannel, stage_channel, stage_items

__all__ = [
    "ChannelEntry",
    "Manifest",
    "Snapshot",
    "SnapshotCorrupt",
    "SnapshotUnreadable",
    "build_snapshot",
    "read_manifest",
    "remove_snapshot",
    "remove_unfinished",
    "unfinished_snapshots",
]

Accept = Callable[[Path, Manifest], None]
"""Called with the folder and the manifest of a new snapshot; raises to refuse it."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A finished snapshot on disk."""

    path: Path
    manifest: Manifest

    @classmethod
    def open(
        cls,
        path: Path,
        verify: bool = True,
        identities: Mapping[str, EncoderIdentity] | None = None,
    ) -> Snapshot:
        """Open the snapshot in a folder.

        Args:
            path: its folder.
            verify: compare every file with its recorded sha256 first. Only then may its indexes be
                opened.
            identities: the collection's encoders by channel, to refuse vectors of other spaces.

        Raises:
            SnapshotCorrupt: a file is missing or was changed.
            SnapshotUnreadable: its format is unknown to this version.
            SpaceMismatch: a channel's vectors belong to another space than its encoder's.
        """
        manifest = read_manifest(path)
        if manifest.snapshot_id != path.name:
            raise SnapshotCorrupt(
                f"{path / MANIFEST_FILE}: expected snapshot {path.name}, got "
                f"{manifest.snapshot_id}",
                file=str(path / MANIFEST_FILE),
                expected=path.name,
                got=manifest.snapshot_id,
            )
        require_spaces(manifest, identities or {})
        if verify:
            verify_files(path, manifest)
        return cls(path, manifest)

    @property
    def collection(self) -> CollectionConfig | None:
        """The collection it was built for; ``None`` for snapshots of versions that did not say.

        Raises:
            SnapshotCorrupt: the file is not a collection.
        """
        path = self.path / COLLECTION_FILE
        try:
            content = read_file(path, MAX_MANIFEST_BYTES)
            return msgspec.json.decode(content, type=CollectionConfig)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise SnapshotCorrupt(f"{path}: not a collection: {error}", file=str(path)) from error

    def channel_folder(self, channel: str) -> Path:
        """Return where a channel's files lie."""
        return self.path / CHANNELS_FOLDER / channel


def build_snapshot(
    catalog: Catalog,
    data_dir: DataDir,
    config: CollectionConfig,
    identities: Mapping[str, EncoderIdentity],
    progress: Progress | None = None,
    *,
    num_threads: int = 1,
    accept: Accept | None = None,
) -> Snapshot:
    """Build a snapshot of everything a collection holds now; publishing it is another step.

    The caller holds the collection's writer lock, so half-built snapshots found beside it belong to
    runs that died; they are removed.

    Args:
        catalog: what to build from, read as of one moment.
        data_dir: where snapshots lie.
        config: the collection.
        identities: the encoder of each channel; vectors of other encoders stay out.
        progress: told how far reading and indexing are.
        num_threads: threads to train and add with.
        accept: asked once everything is written; what it refuses never becomes a finished snapshot,
            not even if the process is killed meanwhile.

    Raises:
        ConfigError: a channel has no identity.
    """
    missing = sorted(set(config.channels) - set(identities))
    if missing:
        raise ConfigError(f"no encoder identity for channels {', '.join(missing)}", missing=missing)
    parent = data_dir.snapshots(config.name)
    parent.mkdir(parents=True, exist_ok=True)
    remove_unfinished(data_dir, config.name)
    created = datetime.now(UTC)
    # Ids sort by time; the random part keeps apart two of one microsecond.
    snapshot_id = f"{created:%Y%m%dT%H%M%S}.{created:%f}Z-{secrets.token_hex(3)}"
    folder = parent / f"{BUILDING_PREFIX}{snapshot_id}"
    final = parent / snapshot_id
    folder.mkdir()
    try:
        write_file(folder / COLLECTION_FILE, msgspec.json.encode(config))
        through_seq, num_items, staged = _staged(catalog, config, identities, folder, progress)
        channels = {
            one.name: _indexed(one, config, folder, num_threads, progress) for one in staged
        }
        manifest = Manifest(
            snapshot_id=snapshot_id,
            collection=config.name,
            created=created.isoformat(timespec="microseconds"),
            format_version=FORMAT_VERSION,
            through_seq=through_seq,
            config_digest=config.digest,
            num_items=num_items,
            channels=channels,
            files=durable_entries(folder),
        )
        _write_manifest(folder, manifest)
        if accept is not None:
            accept(folder, manifest)
        folder.rename(final)
        sync_folder(parent)
    except BaseException:
        if final.exists():
            final.rename(folder)
        # What is left in spite of that is removed by the next build.
        with suppress(KindredError, OSError):
            discard(folder)
        raise
    return Snapshot(final, manifest)


def _staged(
    catalog: Catalog,
    config: CollectionConfig,
    identities: Mapping[str, EncoderIdentity],
    folder: Path,
    progress: Progress | None,
) -> tuple[int, int, list[StagedChannel]]:
    """Copy one state of the catalog into ``folder``: its number, its items, its channels."""
    with catalog.state() as state:
        through_seq = state.change_seq(config.name)
        item_rows, num_items = stage_items(state, config, folder)
        staged = []
        for name in config.channels:
            target = folder / CHANNELS_FOLDER / name
            target.mkdir(parents=True)
            staged.append(
                stage_channel(state, config, name, identities[name], item_rows, target, progress)
            )
        return through_seq, num_items, staged


def _indexed(
    staged: StagedChannel,
    collection: CollectionConfig,
    folder: Path,
    num_threads: int,
    progress: Progress | None,
) -> ChannelEntry:
    """Turn a staged channel's vectors into its index, in place.

    Args:
        staged: the channel.
        collection: it belongs to.
        folder: of the snapshot that is being built.
        num_threads: threads to train and add with.
        progress: told how many rows are done.
    """

    def report(done: int) -> None:
        if progress is not None:
            progress(f"{staged.name}: index", done, staged.num_segments)

    identity = staged.identity
    config = collection.channels[staged.name].index
    vectors = np.load(staged.vectors_path, mmap_mode="r" if staged.num_segments else None)
    if config.engine == "qdrant":
        payload = _payload(staged, collection, folder)
        if config.url is None:
            built = build_edge_index(
                vectors,
                identity.space_id,
                config,
                payload,
                staged.folder,
                num_threads=num_threads,
                progress=report,
            )
        else:
            snapshot_id = folder.name.removeprefix(BUILDING_PREFIX)
            generation = generation_of(config, collection.name, staged.name, snapshot_id)
            built = build_server_index(
                vectors,
                identity.space_id,
                config,
                payload,
                staged.folder,
                QdrantServer(generation, BUILD_PATIENCE),
                progress=report,
            )
    else:
        built = build_index(
            vectors, identity.space_id, config, num_threads=num_threads, progress=report
        )
    entry = built.entry
    if entry.engine == "exact":
        staged.vectors_path.rename(staged.folder / EXACT_FILE)
    elif entry.engine == "faiss":
        built.write(staged.folder / FAISS_FILE)
        if not entry.vectors_file:
            staged.vectors_path.unlink()
    return ChannelEntry(
        space_id=identity.space_id,
        encoder_id=identity.encoder_id,
        dim=identity.dim,
        num_segments=staged.num_segments,
        num_items=staged.num_items,
        num_uncovered_items=staged.num_uncovered_items,
        recall_at_10=built.recall_at_10,
        index=entry,
    )


def _payload(staged: StagedChannel, collection: CollectionConfig, folder: Path) -> PayloadTable:
    item_rows = mapped_segments(staged.folder).column("item_row").to_numpy()
    return PayloadTable(mapped_items(folder), item_rows, payload_columns(collection.attributes))


def _write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest, after everything else is on the disk."""
    path = folder / MANIFEST_FILE
    write_file(path, encode_manifest(manifest))
    sync_file(path)
    sync_folder(folder)
