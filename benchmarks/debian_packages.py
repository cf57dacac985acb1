"""Real media that every Debian machine can fetch: files taken out of packages by name.

Nothing is installed: a package is downloaded and unpacked into a cache folder, where its media stay
under their own licences (``usr/share/doc/NAME/copyright``).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from encoders.errors import KindredError

CORPORA_DIR_VARIABLE = "KINDRED_CORPORA_DIR"
DEB_DIR_VARIABLE = "KINDRED_DEB_DIR"

UPDATE_SECONDS = 180
DOWNLOAD_SECONDS = 600


class PackageUnavailable(KindredError):
    """A Debian package is neither in the cache nor to be had."""

    code = "package_unavailable"


def corpora_folder() -> Path:
    """Return the cache: ``KINDRED_CORPORA_DIR``, or a folder in the user's cache."""
    named = os.environ.get(CORPORA_DIR_VARIABLE)
    return Path(named) if named else Path.home() / ".cache" / "kindred" / "corpora"


def package_folder(name: str) -> Path:
    """Return the unpacked files of a Debian package, fetching them the first time.

    ``KINDRED_DEB_DIR`` may name a folder of ``.deb`` files, which is looked into before the
    package archive.

    Raises:
        PackageUnavailable: it cannot be fetched; the message says what to do.
    """
    folder = corpora_folder() / name
    if folder.is_dir():
        return folder
    if shutil.which("dpkg-deb") is None:
        raise PackageUnavailable(
            f"package {name!r} cannot be unpacked: this machine has no dpkg-deb. Unpack it "
            f"elsewhere and copy its files to {folder}",
            package=name,
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{name}-", dir=folder.parent) as scratch:
        deb = _deb_file(name, Path(scratch))
        unpacked = Path(scratch) / "files"
        _run(["dpkg-deb", "-x", str(deb), str(unpacked)], name, DOWNLOAD_SECONDS)
        try:
            unpacked.rename(folder)
        except OSError:
            # Another process was first; what it unpacked is the same.
            if not folder.is_dir():
                raise
    return folder


def _deb_file(name: str, scratch: Path) -> Path:
    mirror = os.environ.get(DEB_DIR_VARIABLE)
    if mirror:
        kept = sorted(Path(mirror).glob(f"{name}_*.deb"))
        if kept:
            return kept[-1]
    if shutil.which("apt-get") is None:
        raise PackageUnavailable(
            f"package {name!r} is needed, and this machine has no apt-get. Put its .deb file "
            f"into a folder and name that folder in {DEB_DIR_VARIABLE}",
            package=name,
        )
    try:
        _download(name, scratch)
    except PackageUnavailable:
        # A fresh machine, or one whose lists are out of date, does not know the package yet.
        _run(["apt-get", "update", "-qq"], name, UPDATE_SECONDS)
        _download(name, scratch)
    return next(scratch.glob(f"{name}_*.deb"))


def _download(name: str, folder: Path) -> None:
    # As root apt hands the download to its own user, who may not write into our folder.
    command = ["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", name]
    _run(command, name, DOWNLOAD_SECONDS, folder)


def _run(command: list[str], package: str, seconds: float, folder: Path | None = None) -> None:
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise PackageUnavailable(
            f"package {package!r}: `{' '.join(command)}` took longer than {seconds:.0f} s",
            package=package,
        ) from error
    if done.returncode:
        raise PackageUnavailable(
            f"package {package!r}: `{' '.join(command)}` ended with {done.returncode}: "
            f"{done.stderr.strip()[-400:]}",
            package=package,
            exit_code=done.returncode,
        )
