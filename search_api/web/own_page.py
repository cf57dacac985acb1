"""What only this server's own pages may send."""

from __future__ import annotations

from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from search_api.errors import InvalidRequest


def own_page_only(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """Refuse what another site's page sends, before it is received.

    Such a page must not act, or fill this server's disk, through a visitor's browser. Browsers say
    where a form was sent from: in ``Sec-Fetch-Site`` on trusted addresses, in ``Origin`` on all.
    """
    headers = connection.headers
    site = headers.get("sec-fetch-site")
    if site is not None:
        is_own = site in ("same-origin", "none")
    else:
        # A proxy before this server may have changed the host that the browser asked.
        hosts = (headers.get("host"), headers.get("x-forwarded-host"))
        is_own = "origin" not in headers or headers["origin"].partition("://")[2] in hosts
    if not is_own:
        raise InvalidRequest("this is taken from this server's own pages only")
