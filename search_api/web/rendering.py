"""From templates to HTML answers, with what browsers may do on them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from litestar import Response
from litestar.enums import MediaType

from search_api.web.assets import asset_url
from search_api.web.cards import clock, fragment, item_url, media_url

PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "media-src 'self'; font-src 'self'; connect-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    # The words that somebody searches for concern no other site.
    "Referrer-Policy": "same-origin",
    "Cache-Control": "private, no-cache",
}

MEDIUM_NAMES: Mapping[str, tuple[str, str]] = {
    "image": ("Picture", "Pictures"),
    "audio": ("Sound", "Sounds"),
    "video": ("Video", "Videos"),
    "text": ("Text", "Texts"),
}
"""What people call each medium: one of it, and many."""


@cache
def environment() -> Environment:
    """Return the templates: everything put into them is escaped."""
    made = Environment(
        loader=PackageLoader("search_api.web", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(
        asset_url=asset_url, item_url=item_url, media_url=media_url, medium_names=MEDIUM_NAMES
    )
    made.filters.update(clock=clock, bytes=readable_bytes, fragment=fragment)
    return made


def page(
    template: str,
    context: Mapping[str, Any],
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response[str]:
    """Return a page."""
    return Response(
        environment().get_template(template).render(context),
        status_code=status,
        media_type=MediaType.HTML,
        headers={**PAGE_HEADERS, **(headers or {})},
    )


def readable_bytes(num_bytes: int) -> str:
    """Return a size as people say it: ``812 bytes``, ``1.4 MB``."""
    size = float(num_bytes)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size /= 1000
    return f"{num_bytes} bytes" if unit == "bytes" else f"{size:.1f} {unit}"
