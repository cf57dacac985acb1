"""Writes on the real server: workers, encoder process and catalog in processes of their own."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import soundfile

from encoders.admission.hearing import MAN_HZ
from encoders.admission.plain_speech import SENTENCES, spoken
from encoders.loading import EncoderLoader
from indexer.data_dir import DataDir
from tests.search_api.test_server import (
    RunningServer,
    start,
    store_texts,
    wait_until,
    workers_of,
)

__all__ = ["start"]

VISIBLE_SECONDS = 1.0


def found(http: httpx.Client, text: str) -> list[str]:
    body = {"query": {"text": text}, "channels": ["passages"], "limit": 50}
    answer = http.post("/v1/search", json=body)
    assert answer.status_code == 200, answer.text
    return [hit["item_id"] for hit in answer.json()["hits"]]


def connections(server: RunningServer, count: int = 12) -> list[httpx.Client]:
    """Open connections of their own, which the kernel spreads over the workers."""
    return [
        httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=60) for _ in range(count)
    ]


def finished(http: httpx.Client, location: str, seconds: float = 90) -> Any:
    job: Any = None
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        job = http.get(location).json()
        if job["state"] in ("done", "failed"):
            return job
        time.sleep(0.1)
    raise AssertionError(f"the job is {job}")


@pytest.mark.weights
def test_writes_on_two_workers(
    tmp_path: Path,
    loader: EncoderLoader,
    start: Callable[..., RunningServer],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KINDRED_JOB_LEASE_SECONDS", "2")
    monkeypatch.setenv("KINDRED_MAX_DELTA_SEGMENTS", "60")
    store_texts(DataDir(tmp_path / "data"), loader)
    server = start(workers=2)
    wait_until(lambda: server.status("/readyz") == 200, "the server is ready")
    clients = connections(server)
    own_writes_are_found_at_once_and_by_all_soon(clients)
    of_one_key_sent_to_all_at_once_one_is_carried_out(clients)
    writes_of_one_item_at_once_leave_one_of_them_whole(clients)
    recordings_are_heard_and_encoded_by_the_encoder_process(clients[0], tmp_path)
    a_killed_worker_loses_no_job(server, clients[0])
    a_large_delta_is_folded(server)
    for client in clients:
        client.close()


def own_writes_are_found_at_once_and_by_all_soon(clients: list[httpx.Client]) -> None:
    for number, http in enumerate(clients):
        text = f"Report {number}: the lighthouse keeper counts ships."
        assert http.put(f"/v1/items/own-{number}", json={"text": text}).status_code == 201
        assert f"own-{number}" in found(http, text), "by the worker that answered"
    time.sleep(VISIBLE_SECONDS)
    expected = {f"own-{number}" for number in range(len(clients))}
    for http in clients:
        assert expected <= set(found(http, "The lighthouse keeper counts ships."))
    assert clients[0].delete("/v1/items/own-0").status_code == 204
    assert "own-0" not in found(clients[0], "The lighthouse keeper counts ships.")
    time.sleep(VISIBLE_SECONDS)
    for http in clients:
        assert "own-0" not in found(http, "The lighthouse keeper counts ships.")


def of_one_key_sent_to_all_at_once_one_is_carried_out(clients: list[httpx.Client]) -> None:
    def send(http: httpx.Client) -> httpx.Response:
        headers = {"Idempotency-Key": "race"}
        while True:
            answer = http.put("/v1/items/raced", json={"text": "Once only."}, headers=headers)
            if answer.status_code != 409:
                return answer
            time.sleep(0.05)

    with ThreadPoolExecutor(len(clients)) as pool:
        answers = list(pool.map(send, clients))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    fresh = [answer for answer in answers if "idempotency-replayed" not in answer.headers]
    assert len(fresh) == 1


def writes_of_one_item_at_once_leave_one_of_them_whole(clients: list[httpx.Client]) -> None:
    texts = ["Bread rises in the oven.", "Snow falls on the pass.", None]

    def send(number: int) -> tuple[str | None, int]:
        http, text = clients[number], texts[number % 3]
        if text is None:
            assert http.delete("/v1/items/contested").status_code in (204, 404)
            return None, 0
        answer = http.put("/v1/items/contested", json={"text": text})
        assert answer.status_code in (200, 201), answer.text
        return text, answer.json()["change_seq"]

    with ThreadPoolExecutor(len(clients)) as pool:
        written = list(pool.map(send, range(len(clients))))
    numbers = [seq for text, seq in written if text]
    assert len(set(numbers)) == len(numbers), "each write has a number of its own"
    last = max(written, key=lambda each: each[1])[0]
    time.sleep(VISIBLE_SECONDS)
    media = clients[0].get("/v1/items/contested/media")
    assert media.status_code == 404 or media.text == last
    for http in clients:
        hits = {"contested" in found(http, text)[:1] for text in texts if text == last}
        assert hits == {media.status_code == 200}


def recordings_are_heard_and_encoded_by_the_encoder_process(
    http: httpx.Client, folder: Path
) -> None:
    path = folder / "talk.wav"
    voice = spoken(list(SENTENCES), [MAN_HZ] * len(SENTENCES))
    soundfile.write(path, voice.samples, voice.sample_rate_hz)
    answer = http.put("/v1/items/talk", files={"file": ("talk.wav", path.read_bytes())})
    assert answer.status_code == 201, answer.text
    segments = answer.json()["segments"]
    assert segments["speech"] > 0
    assert segments["sounds"] > 0
    transcript = http.get("/v1/items/talk/transcript").json()
    words = [word for said in transcript["utterances"] for word in said["words"]]
    assert len(words) > 10
    assert all(word["stop_seconds"] <= voice.duration_seconds + 0.5 for word in words)


def a_killed_worker_loses_no_job(server: RunningServer, http: httpx.Client) -> None:
    operations = [
        {"op": "put", "item_id": f"job-{number}", "text": f"Chapter {number}. " + "A word. " * 400}
        for number in range(24)
    ]
    headers = {"Prefer": "respond-async"}
    accepted = http.post("/v1/items/batch", json={"operations": operations}, headers=headers)
    assert accepted.status_code == 202, accepted.text
    location = accepted.headers["location"]
    wait_until(lambda: http.get(location).json()["state"] == "running", "a worker has the job")
    for worker in workers_of(server):
        worker.kill()
    wait_until(lambda: server.status("/readyz") == 200, "there are new workers")
    (fresh,) = connections(server, 1)
    with fresh:
        job = finished(fresh, location)
        assert job["state"] == "done", job
        assert [each["status"] for each in job["results"]] == [201] * 24
        kept = {f"own-{number}" for number in range(1, 12)}
        found_now = set(found(fresh, "The lighthouse keeper counts ships."))
        assert kept <= found_now, "what was acknowledged outlives the workers"
        assert fresh.get("/v1/items/job-23").status_code == 200


def a_large_delta_is_folded(server: RunningServer) -> None:
    (http,) = connections(server, 1)

    def served() -> Any:
        return http.get("/v1/collections").json()["collections"][0]

    with http:
        wait_until(lambda: served()["snapshot"] is not None, "the delta is folded")
        wait_until(lambda: served()["delta"] < 10, "the delta is small")
        assert "kitten" in found(http, "a young cat")[:1]
        assert http.get("/v1/items/job-23").status_code == 200
