"""Changes are made for callers on this machine alone, until there are keys."""

from __future__ import annotations

from search_api.errors import NotAllowed
from search_api.settings import Settings, is_loopback


def require_loopback(settings: Settings, instead: str) -> None:
    """Refuse a change where other machines reach the server.

    Args:
        settings: of the server.
        instead: what to do.

    Raises:
        NotAllowed: it listens beyond loopback.
    """
    if not is_loopback(settings.host):
        raise NotAllowed(
            "this server can be reached from other machines and has no keys, so it changes nothing "
            f"for whoever asks; {instead} where its data lies"
        )
