"""Finding a Chromium to test the pages with."""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM_VARIABLE = "KINDRED_CHROMIUM"
REQUIRE_VARIABLE = "KINDRED_REQUIRE_BROWSER"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

ARGUMENTS = [
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--mute-audio",
    # Moments are played by a click that Chromium may not have seen as one.
    "--autoplay-policy=no-user-gesture-required",
]


PR_CAPBSET_DROP = 24
CAP_SYS_NICE = 23


def _forbid_real_time_threads() -> None:
    """Take from this thread's child processes the right to run before everybody else.

    Started as root, Chromium runs its audio threads under ``SCHED_RR``. Two of them that catch up
    with a clock that stood still keep two cores to themselves, and no timeout of a test comes to
    run. Whoever is not root lacks the right already, and the call changes nothing (capabilities(7),
    prctl(2)).
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_SYS_NICE)


def chromium_path() -> Path | None:
    """Return the program named by ``KINDRED_CHROMIUM``, or the first one installed."""
    named = os.environ.get(CHROMIUM_VARIABLE)
    if named:
        return Path(named)
    found = next(filter(None, map(shutil.which, NAMES)), None)
    return Path(found) if found else None


@contextmanager
def browser() -> Iterator[Browser]:
    """Give a browser, or skip; where one is promised, its absence fails."""
    from playwright.sync_api import sync_playwright

    path = chromium_path()
    if path is None:
        reason = (
            "no Chromium to test the pages with: apt-get install chromium, or name one in "
            + CHROMIUM_VARIABLE
        )
        if os.environ.get("CI") or os.environ.get(REQUIRE_VARIABLE):
            pytest.fail(reason)
        pytest.skip(reason)
    _forbid_real_time_threads()
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        try:
            yield opened
        finally:
            opened.close()
