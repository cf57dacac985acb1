"""Somebody who looks at the pages, and notices what goes wrong behind them."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Response

EXPECTED_NOISE = ("Failed to load resource",)
"""What the console says of every answer that is an error; `Visitor.failed` counts those."""


class Visitor:
    """A page of its own in a browser.

    Leaving it raises if a script failed, the content security policy was violated, another machine
    was asked for anything, or an answer was an error that the test did not expect.

    Args:
        browser: opens the page.
        url: of the server.
        options: of the browser context: ``viewport``, ``java_script_enabled``, ``color_scheme``…
    """

    def __init__(self, browser: Browser, url: str, **options: Any) -> None:
        self.url = url
        self._context = browser.new_context(base_url=url, **options)
        self.page: Page = self._context.new_page()
        self.page.set_default_timeout(8_000)
        self.expected_statuses: set[int] = set()
        """Statuses of errors that belong to the test."""

        self.complaints: list[str] = []
        self.failed: list[tuple[int, str]] = []
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", self._on_request)
        self.page.on("response", self._on_response)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(EXPECTED_NOISE):
            self.complaints.append(message.text)

    def _on_request(self, request: Request) -> None:
        if not request.url.startswith((self.url, "data:", "blob:")):
            self.complaints.append(f"asked another place: {request.url}")

    def _on_response(self, response: Response) -> None:
        if response.status >= 400:
            self.failed.append((response.status, response.url))

    def open(self, path: str) -> Page:
        self.page.goto(path)
        return self.page

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._context.close()
        if error is None:
            assert self.complaints == []
            assert [
                (status, url) for status, url in self.failed if status not in self.expected_statuses
            ] == []
