"""The files of a Qdrant Edge shard inside a snapshot, and how they are opened without a change.

Edge opens its small files for writing although it only searches, so a snapshot's own must not be
given to it. The large ones (vectors, their quantised form, the graph) it only reads: those stay as
they are, everything else (a hundred files, most of them zeros) lies in one archive.

```
qdrant/rest.zip                                           unpacked into a private folder
      /segments/<id>/vector_storage/matrix.dat            linked to from there
                                   /quantized.data
                    /vector_index/graph.bin, links_compressed.bin
```
"""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

from indexer.durable_files import naming

REST_FILE = "rest.zip"

ONLY_READ = ("matrix.dat", "quantized.data", "graph.bin", "links_compressed.bin")
"""Names of files that Edge opens for reading only."""

BYTES_PER_READ = 1 << 20


def pack_shard(folder: Path) -> None:
    """Turn a closed shard's folder into the form that a snapshot keeps, in place."""
    _drop_empty_segments(folder)
    small = [
        path for path in sorted(folder.rglob("*")) if path.is_file() and path.name not in ONLY_READ
    ]
    # Level 1: nearly all of it is zeros, or payload that higher levels hardly make smaller.
    rest = folder / REST_FILE
    with (
        naming(rest),
        zipfile.ZipFile(rest, "x", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
    ):
        for path in small:
            archive.write(path, path.relative_to(folder).as_posix())
    for path in small:
        path.unlink()
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()


def unpack_shard(folder: Path, target: Path) -> None:
    """Lay a shard out in ``target`` as Edge expects it; ``folder`` is only read from then on."""
    with zipfile.ZipFile(folder / REST_FILE) as archive:
        for entry in archive.infolist():
            parts = entry.filename.split("/")
            if entry.filename.startswith("/") or ".." in parts:
                raise ValueError(f"{folder / REST_FILE}: {entry.filename!r} leads elsewhere")
            path = target / entry.filename
            path.parent.mkdir(parents=True, exist_ok=True)
            _extract_sparsely(archive, entry, path)
    for path in folder.rglob("*"):
        if path.is_file() and path.name != REST_FILE:
            link = target / path.relative_to(folder)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path.absolute())


def _extract_sparsely(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path) -> None:
    """Write a file without its zeros: Edge lays out pages of 32 MB of which it uses a few KB."""
    with archive.open(entry) as packed, path.open("wb") as file:
        while chunk := packed.read(BYTES_PER_READ):
            if chunk.count(0) == len(chunk):
                file.seek(len(chunk), 1)
            else:
                file.write(chunk)
        file.truncate(entry.file_size)


def _drop_empty_segments(folder: Path) -> None:
    """Remove segments that no point was ever written to; Edge makes one anew when it opens."""
    for segment in (folder / "segments").iterdir():
        # The file that maps ids to places comes with the first point.
        if not any(path.stat().st_size for path in segment.glob("*id_tracker.mappings")):
            shutil.rmtree(segment)
