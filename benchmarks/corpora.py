"""The media that Kindred is measured and shown on: sets with known answers, and the demo's folder.

Everything comes out of Debian packages into a cache folder; no media are kept in the project.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.captioned_media import (
    CaptionedFile,
    scratch_sounds,
    stamp_pictures,
    stamp_sounds,
)
from benchmarks.debian_packages import PackageUnavailable, package_folder
from benchmarks.demo_media import DemoCorpus, DemoQuestion, bundled_demo, package_demo

__all__ = [
    "CaptionedFile",
    "DemoCorpus",
    "DemoQuestion",
    "PackageUnavailable",
    "captioned_pictures",
    "captioned_sounds",
    "demo_folder",
    "scratch_folder",
    "stamps_folder",
]

STAMPS_PACKAGE = "tuxpaint-stamps-default"
SCRATCH_PACKAGE = "scratch"


def stamps_folder() -> Path:
    """Return the folder of Tux Paint's stamps, fetched the first time.

    Raises:
        PackageUnavailable: it cannot be had on this machine.
    """
    return package_folder(STAMPS_PACKAGE) / "usr/share/tuxpaint/stamps"


def scratch_folder() -> Path:
    """Return the media folder of Scratch, fetched the first time.

    Raises:
        PackageUnavailable: it cannot be had on this machine.
    """
    return package_folder(SCRATCH_PACKAGE) / "usr/share/scratch/Media"


def captioned_pictures() -> list[CaptionedFile]:
    """Return the 785 bitmap stamps that have a caption (of 796)."""
    return stamp_pictures(stamps_folder())


def captioned_sounds() -> list[CaptionedFile]:
    """Return 135 stamp sounds that have a caption (of 136) and Scratch's 114 sounds.

    24 of them are spoken letters and digits: see `CaptionedFile.is_symbol`.
    """
    return stamp_sounds(stamps_folder()) + scratch_sounds(scratch_folder() / "Sounds")


def demo_folder(target: Path) -> DemoCorpus:
    """Fill ``target`` with a few hundred pictures, sounds and texts for the demo.

    Without Debian's packages the demo makes do with what Python packages bring, and its notice
    says so. A target that was filled before is left as it is.

    Args:
        target: a folder of the demo's own; made when it is not there.
    """
    try:
        stamps, scratch = stamps_folder(), scratch_folder()
    except PackageUnavailable as error:
        return bundled_demo(target, error.message)
    return package_demo(target, stamps, scratch)
