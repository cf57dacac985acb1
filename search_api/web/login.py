"""Logging in to the pages with an API key."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, get, post
from litestar.datastructures import Cookie
from litestar.params import QueryParameter, URLEncodedBody
from litestar.response import Redirect

from search_api.access.guard import COOKIE
from search_api.access.principal import Authenticator
from search_api.errors import NotAuthenticated
from search_api.web.error_pages import PAGE_EXCEPTION_HANDLERS, own_path
from search_api.web.own_page import own_page_only
from search_api.web.rendering import page

COOKIE_SECONDS = 30 * 24 * 3600


class LoginForm(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What the page sends."""

    key: str
    next: str = "/"


@get("/login", include_in_schema=False, access="open")
async def login_page(
    request: Request[Any, Any, Any],
    next: Annotated[str, QueryParameter(description="Where to go then.")] = "/",
) -> Response[str]:
    """Return the page that asks for a key."""
    return _page(request, own_path(next))


@post("/login", status_code=303, include_in_schema=False, guards=[own_page_only], access="open")
async def log_in(data: URLEncodedBody[LoginForm], request: Request[Any, Any, Any]) -> Response[Any]:
    """Keep a key in the browser, which then sends it along with what it reads."""
    authenticator: Authenticator = request.app.state.authenticator
    key, target = data.key.strip(), own_path(data.next)
    try:
        authenticator.principal(key).require("read")
    except NotAuthenticated as error:
        return _page(request, target, error.message)
    proto = request.headers.get("x-forwarded-proto", request.url.scheme)
    cookie = Cookie(
        COOKIE,
        value=key,
        max_age=COOKIE_SECONDS,
        httponly=True,
        secure=proto == "https",
        samesite="lax",
    )
    return Redirect(target, status_code=303, cookies=[cookie])


@post("/logout", status_code=303, include_in_schema=False, guards=[own_page_only], access="open")
async def log_out() -> Redirect:
    """Forget the key."""
    cookie = Cookie(COOKIE, value="", max_age=0, httponly=True, samesite="lax")
    return Redirect("/login", status_code=303, cookies=[cookie])


def _page(request: Request[Any, Any, Any], target: str, refusal: str = "") -> Response[str]:
    context = {"next": target, "refusal": refusal, "has_key": COOKIE in request.cookies}
    return page("login.html", context, status=401 if refusal else 200)


login_router = Router(
    path="/",
    route_handlers=[login_page, log_in, log_out],
    exception_handlers=PAGE_EXCEPTION_HANDLERS,
)
