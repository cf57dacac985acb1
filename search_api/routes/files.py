"""Sending files: whole, in part, or not at all when the asker has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from litestar import HttpMethod, Request, Response
from litestar.response import Stream

from search_api.byte_range import ByteRange, RangeNotSatisfiable, parse_range
from search_api.problems import problem_response
from search_api.schemas import Problem
from search_api.stored_media import StoredMedia, read_chunks

MEDIA_HEADERS = {"Content-Security-Policy": "sandbox; default-src 'none'"}
"""A stored file must never act as a page of this server, whatever it contains."""


GET_AND_HEAD = (HttpMethod.GET, HttpMethod.HEAD)
"""What can be read can be asked about."""


def file_response(
    request: Request[Any, Any, Any],
    media: StoredMedia,
    etag: str,
    headers: Mapping[str, str] | None = None,
) -> Response[Any]:
    """Return an open file, or the part that a ``Range`` header asks for.

    Args:
        request: whose headers say which part is wanted.
        media: closed when it is sent.
        etag: of the file's content, with its quotation marks.
        headers: sent besides.
    """
    sent = {**MEDIA_HEADERS, **(headers or {}), "ETag": etag, "Accept-Ranges": "bytes"}
    wanted_range = request.headers.get("range")
    if request.method == HttpMethod.HEAD:
        media.file.close()
        sent["Content-Length"] = str(media.size_bytes)
        return Response(b"", media_type=media.media_type, headers=sent)
    if request.headers.get("if-range") not in (None, etag):
        wanted_range = None
    try:
        part = parse_range(wanted_range, media.size_bytes)
    except RangeNotSatisfiable:
        media.file.close()
        problem = Problem(
            type="urn:kindred:problem:range_not_satisfiable",
            title="Requested Range Not Satisfiable",
            status=416,
            detail=f"{wanted_range!r} lies outside the file's {media.size_bytes} bytes",
            code="range_not_satisfiable",
        )
        return problem_response(problem, {"Content-Range": f"bytes */{media.size_bytes}"})
    wanted = part or ByteRange(0, media.size_bytes)
    sent["Content-Length"] = str(wanted.stop - wanted.start)
    if part is not None:
        sent["Content-Range"] = part.content_range(media.size_bytes)
    return Stream(
        read_chunks(media, wanted),
        status_code=200 if part is None else 206,
        media_type=media.media_type,
        headers=sent,
    )


def not_modified(
    request: Request[Any, Any, Any], etag: str, headers: Mapping[str, str] | None = None
) -> Response[Any] | None:
    """Return 304 if the asker has what ``etag`` names; weak comparison, as RFC 9110 asks."""
    header = request.headers.get("if-none-match")
    names = {name.strip().removeprefix("W/") for name in (header or "").split(",")}
    if "*" not in names and etag not in names:
        return None
    return Response(content=b"", status_code=304, headers={**(headers or {}), "ETag": etag})
