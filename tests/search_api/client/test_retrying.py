"""When the client sends a request again, with a transport that fails as told."""

from __future__ import annotations

import asyncio
import inspect
import io
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from search_api.client import ApiError, AsyncKindredClient, KindredClient, Retries, Unreachable

QUICK = Retries(attempts=4, first_wait_seconds=0.001, max_wait_seconds=2.0)
HEALTHY = {"item_id": "a", "created": True, "change_seq": 1, "segments": {}}


class Script:
    """Answers requests one after the other, and keeps what was sent."""

    def __init__(self, *outcomes: Exception | int | httpx.Response) -> None:
        self.outcomes = list(outcomes)
        self.sent: list[httpx.Request] = []
        self.bodies: list[bytes] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(request)
        self.bodies.append(request.content)
        return self._next(request)

    async def later(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(request)
        self.bodies.append(await request.aread())
        return self._next(request)

    def _next(self, request: httpx.Request) -> httpx.Response:
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        if isinstance(outcome, httpx.Response):
            return outcome
        problem = {"type": "urn:x", "title": "t", "status": outcome, "code": "busy", "detail": "d"}
        return httpx.Response(outcome, json=HEALTHY if outcome < 300 else problem)


def client(script: Script, retries: Retries = QUICK) -> KindredClient:
    return KindredClient("http://x", retries=retries, transport=httpx.MockTransport(script))


def test_writes_are_repeated_under_one_key_until_they_are_answered() -> None:
    script = Script(503, httpx.ReadError("broke"), 429, 201)
    assert client(script).put_text("a", "words")
    keys = {request.headers["idempotency-key"] for request in script.sent}
    assert (len(script.sent), len(keys)) == (4, 1)
    again = Script(201)
    client(again).put_text("a", "words")
    assert again.sent[0].headers["idempotency-key"] not in keys


def test_it_gives_up_and_says_what_was_said_last() -> None:
    script = Script(503, 503, 503, 503, 201)
    with pytest.raises(ApiError) as refused:
        client(script).put_text("a", "words")
    assert (refused.value.status, refused.value.code, len(script.sent)) == (503, "busy", 4)
    broken = Script(*(httpx.ReadTimeout("slow") for _ in range(4)))
    with pytest.raises(Unreachable, match="slow"):
        client(broken).put_text("a", "words")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 500])
def test_what_will_not_pass_is_not_repeated(status: int) -> None:
    script = Script(status, 201)
    with pytest.raises(ApiError):
        client(script).put_text("a", "words")
    assert len(script.sent) == 1


def test_a_write_that_is_still_carried_out_is_asked_for_again() -> None:
    problem = {"type": "", "title": "", "status": 409, "code": "idempotency_key_in_use"}
    script = Script(httpx.Response(409, json=problem), 201)
    assert client(script).put_text("a", "words")


CHANGES: list[Callable[[KindredClient], Any]] = [
    lambda kindred: kindred.roll_back(),
    lambda kindred: kindred.take_down(["a"]),
]


@pytest.mark.parametrize("change", CHANGES)
def test_what_counts_each_time_is_repeated_only_if_it_was_not_seen(
    change: Callable[[KindredClient], Any],
) -> None:
    for outcome in (httpx.ReadError("broke"), 503):
        script = Script(outcome, 200)
        with pytest.raises((ApiError, Unreachable)):
            change(client(script))
        assert len(script.sent) == 1
    script = Script(httpx.ConnectError("nobody"), 429, httpx.ConnectError("nobody"), 400)
    with pytest.raises(ApiError):
        change(client(script))
    assert len(script.sent) == 4


def test_a_server_is_given_the_time_it_asks_for() -> None:
    retries = Retries(attempts=3, first_wait_seconds=0.5, max_wait_seconds=8)
    answer = httpx.Response(429, headers={"Retry-After": "2"})
    for _ in range(50):
        waited = retries.wait_seconds(1, answer)
        assert waited is not None
        assert 2 <= waited <= 2.5
        second = retries.wait_seconds(2, httpx.Response(503))
        assert second is not None
        assert 0 <= second <= 1
    assert retries.wait_seconds(3, answer) is None
    assert retries.wait_seconds(1, httpx.Response(503, headers={"Retry-After": "60"})) is None
    dated = {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}
    assert retries.wait_seconds(1, httpx.Response(503, headers=dated)) is not None


class OneWay(io.BytesIO):
    """A file that cannot be read again."""

    def seekable(self) -> bool:
        return False


def test_an_open_file_is_sent_again_whole() -> None:
    file = io.BytesIO(b"first-second")
    script = Script(503, 201)
    client(script).put_file("a", file)
    assert len(script.bodies) == 2
    assert all(b"first-second" in body for body in script.bodies)
    assert not file.closed
    once = Script(503, 201)
    with pytest.raises(ApiError):
        client(once).put_file("a", OneWay(b"sent"))
    assert len(once.sent) == 1


def test_answers_of_something_else_are_told_apart() -> None:
    page = httpx.Response(200, text="<html>a proxy</html>")
    with pytest.raises(Unreachable, match="something else than Kindred"):
        client(Script(page)).item("a")
    gate = httpx.Response(502, text="<html>bad gateway</html>")
    with pytest.raises(ApiError, match="bad gateway") as refused:
        client(Script(gate), Retries(attempts=1)).item("a")
    assert refused.value.status == 502


def test_statuses_that_nobody_knows_are_errors_too() -> None:
    with pytest.raises(ApiError) as refused:
        client(Script(httpx.Response(599, text="?")), Retries(attempts=1)).item("a")
    assert refused.value.status == 599


def test_both_clients_have_the_same_methods() -> None:
    def methods(kind: type) -> dict[str, list[str]]:
        return {
            name: list(inspect.signature(method).parameters)
            for name, method in vars(kind).items()
            if inspect.isfunction(method) and not name.startswith("_")
        }

    assert len(methods(KindredClient)) > 20
    assert methods(KindredClient) == methods(AsyncKindredClient)


def test_ids_are_one_part_of_the_address() -> None:
    script = Script(404)
    with pytest.raises(ApiError):
        client(script).item("../v1/snapshots?x=1#y")
    assert script.sent[0].url.raw_path == b"/v1/items/..%2Fv1%2Fsnapshots%3Fx%3D1%23y"


def test_the_other_client_repeats_alike() -> None:
    script = Script(503, httpx.ReadError("broke"), 201)

    async def write() -> None:
        transport = httpx.MockTransport(script.later)
        async with AsyncKindredClient("http://x", retries=QUICK, transport=transport) as kindred:
            await kindred.put_file("a", b"bytes", attributes={"title": "x"})

    asyncio.run(write())
    assert len({request.headers["idempotency-key"] for request in script.sent}) == 1
    assert all(
        b"bytes" in body and b'{"attributes":{"title":"x"}' in body for body in script.bodies
    )
