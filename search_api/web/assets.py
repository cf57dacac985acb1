"""Style, script and icon of the pages: read once, sent under names that change with the content."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

MEDIA_TYPES: Mapping[str, str] = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

NUM_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Asset:
    """A file of the pages."""

    content: bytes
    media_type: str

    digest: str
    """Part of its address, so that browsers may keep it for good."""


@cache
def assets() -> Mapping[str, Asset]:
    """Return every file of the pages by name."""
    found = {}
    for file in resources.files("search_api.web").joinpath("static").iterdir():
        suffix = file.name[file.name.rfind(".") :]
        if suffix in MEDIA_TYPES:
            content = file.read_bytes()
            digest = hashlib.sha256(content).hexdigest()[:NUM_DIGITS]
            found[file.name] = Asset(content, MEDIA_TYPES[suffix], digest)
    return found


def asset_url(name: str) -> str:
    """Return the address of a file of the pages."""
    return f"/static/{assets()[name].digest}/{name}"
