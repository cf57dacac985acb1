"""Bodies that a route reads itself, because there may be several kinds of them."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from litestar import Request

from search_api.errors import InvalidRequest, UploadTooLarge, WrongMediaType

JSON = "application/json"
MULTIPART = "multipart/form-data"
RAW = "application/octet-stream"
MAX_JSON_BYTES = 16_000_000

BodyT = TypeVar("BodyT")


def inlined_schema(kind: type) -> dict[str, Any]:
    """Return the JSON schema of a struct that refers to nothing outside itself."""
    (schema,), components = msgspec.json.schema_components([kind], ref_template="{name}")

    def resolved(value: Any) -> Any:
        if isinstance(value, dict):
            if "$ref" in value:
                return resolved(components[value["$ref"]])
            return {key: resolved(each) for key, each in value.items()}
        return [resolved(each) for each in value] if isinstance(value, list) else value

    found: dict[str, Any] = resolved(schema)
    return found


def decoded(body: bytes | str, kind: type[BodyT], where: str) -> BodyT:
    """Return a JSON body.

    Raises:
        InvalidRequest: saying what does not fit.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.MsgspecError as error:
        raise InvalidRequest(f"{where}: {error}") from error


async def json_body(request: Request[Any, Any, Any], kind: type[BodyT]) -> BodyT:
    """Read a body that must be JSON.

    Raises:
        WrongMediaType: it says that it is something else. Browsers send other types to any server
            that a page names, without asking it first.
        UploadTooLarge: it is larger than `MAX_JSON_BYTES`.
        InvalidRequest: it does not fit.
    """
    sent = request.content_type[0]
    if sent != JSON:
        raise WrongMediaType(f"expected Content-Type {JSON}, got {sent or 'none'}")
    announced = request.content_length or 0
    body = b"" if announced > MAX_JSON_BYTES else await request.body()
    if max(announced, len(body)) > MAX_JSON_BYTES:
        raise UploadTooLarge(
            f"the JSON has {max(announced, len(body))} bytes; at most {MAX_JSON_BYTES} are taken",
            max_bytes=MAX_JSON_BYTES,
        )
    if not body:
        raise InvalidRequest("the request has no body")
    return decoded(body, kind, "body")
