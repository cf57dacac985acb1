"""A hub of models on this machine: repositories out of folders, as the real one answers."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

COMMIT = "5f0c1a9be2d74c3388a61e0d7bb04c55e19f3a72"


class SmallHub:
    """Repositories by name, each a folder; asked for anything, it writes down what.

    Attributes:
        repositories: folder of each ``OWNER/NAME``.
        asked: method and path of every request.
    """

    def __init__(self, repositories: Mapping[str, Path]) -> None:
        self.repositories = repositories
        self.asked: list[str] = []

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body for a path."""
        for name, folder in self.repositories.items():
            if path.startswith(f"/api/models/{name}"):
                rest = path.removeprefix(f"/api/models/{name}").strip("/")
                if rest in ("", f"revision/{COMMIT}", "revision/main", "revision/v1"):
                    return self._json(self._info(name, folder))
                if rest.startswith("tree/"):
                    return self._json(self._tree(folder))
            if path.startswith(f"/{name}/resolve/{COMMIT}/"):
                file = folder / path.removeprefix(f"/{name}/resolve/{COMMIT}/")
                if file.is_file():
                    content = file.read_bytes()
                    etag = f'"{hashlib.sha256(content).hexdigest()}"'
                    return 200, {"ETag": etag, "X-Repo-Commit": COMMIT}, content
                return 404, {"X-Error-Code": "EntryNotFound"}, b"no such file"
        return 404, {"X-Error-Code": "RepoNotFound"}, b"no such repository"

    def _names(self, folder: Path) -> list[str]:
        return sorted(
            path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
        )

    def _info(self, name: str, folder: Path) -> object:
        return {
            "id": name,
            "sha": COMMIT,
            "siblings": [{"rfilename": file} for file in self._names(folder)],
            "cardData": {"license": "mit"},
        }

    def _tree(self, folder: Path) -> object:
        return [
            {"type": "file", "path": name, "size": (folder / name).stat().st_size, "oid": "0" * 40}
            for name in self._names(folder)
        ]

    def _json(self, value: object) -> tuple[int, dict[str, str], bytes]:
        return 200, {"Content-Type": "application/json"}, json.dumps(value).encode()


@contextmanager
def hub_serving(repositories: Mapping[str, Path]) -> Iterator[tuple[str, SmallHub]]:
    """Serve repositories on a loopback port; give the address and the hub."""
    hub = SmallHub(repositories)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _send(self, *, with_body: bool) -> None:
            path = unquote(urlsplit(self.path).path)
            hub.asked.append(f"{self.command} {path}")
            status, headers, body = hub.answer(path)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if with_body:
                self.wfile.write(body)

        def do_GET(self) -> None:
            self._send(with_body=True)

        def do_HEAD(self) -> None:
            self._send(with_body=False)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, name="hub")
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
