"""A Qdrant server on this machine, for tests: the client's local mode behind HTTP, with faults.

It says what requests do and how failures are told; it is no evidence about a real server.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from qdrant_client import QdrantClient, models

Fault = Callable[[str, str], int | None]
"""Given method and path, the status to fail with; 0 closes the connection; ``None`` is no fault."""


class FakeQdrant:
    """Listens on a free port of the loopback address until it is stopped."""

    def __init__(self) -> None:
        self.local = QdrantClient(":memory:")
        self.requests: list[tuple[str, str, Any]] = []
        self.fault: Fault = lambda method, path: None
        self.version = "1.15.0"
        self.count_offset = 0
        self.delay_seconds = 0.0
        self.lock = threading.Lock()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length) or b"null")
                path = self.path.partition("?")[0]
                time.sleep(fake.delay_seconds)
                with fake.lock:
                    fake.requests.append((self.command, path, body))
                    status = fake.fault(self.command, path)
                    if status is None:
                        reply = fake.reply(self.command, path, body)
                if status == 0:
                    self.close_connection = True
                    return
                if status is not None:
                    reply = {"status": {"error": f"fault {status}"}, "time": 0.0}
                content = json.dumps(reply).encode()
                self.send_response(status or 200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815

            def log_message(self, *arguments: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    @property
    def collections(self) -> set[str]:
        """What it holds."""
        return {each.name for each in self.local.get_collections().collections}

    @property
    def aliases(self) -> dict[str, str]:
        """The collection behind each alias."""
        return {each.alias_name: each.collection_name for each in self.local.get_aliases().aliases}

    def reply(self, method: str, path: str, body: Any) -> Any:
        if path == "/":
            return {"title": "qdrant - vector search engine", "version": self.version}
        if path == "/collections/aliases":
            operations = models.ChangeAliasesOperation.model_validate(body).actions
            return _ok(self.local.update_collection_aliases(operations))
        _, _, name, *rest = path.split("/")
        return _ok(self._collection_reply(method, name, "/".join(rest), body))

    def _collection_reply(self, method: str, name: str, rest: str, body: Any) -> Any:
        local = self.local
        done = {"operation_id": 0, "status": "completed"}
        match method, rest:
            case "GET", "exists":
                return {"exists": local.collection_exists(name)}
            case "GET", "":
                return local.get_collection(name).model_dump(mode="json")
            case "PUT", "":
                size = models.VectorParams.model_validate(body["vectors"])
                return local.create_collection(name, vectors_config=size)
            case "PATCH", "":
                return True
            case "DELETE", "":
                return local.delete_collection(name)
            case "PUT", "index":
                return done
            case "PUT", "points":
                local.upsert(name, models.PointsBatch.model_validate(body).batch)
                return done
            case "POST", "points/count":
                return {"count": local.count(name).count + self.count_offset}
            case "POST", "points/query/batch":
                requests = models.QueryRequestBatch.model_validate(body).searches
                for request in requests:
                    request.params = None  # local mode compares every row
                return [found.model_dump() for found in local.query_batch_points(name, requests)]
        raise AssertionError(f"unexpected request {method} {rest}")


def _ok(result: Any) -> Any:
    return {"result": result, "status": "ok", "time": 0.0}
