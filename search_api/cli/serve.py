"""``kindred serve``."""

from __future__ import annotations

import click

from search_api.cli.workspace import collection_option


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65535))
@click.option(
    "--workers",
    default=2,
    show_default=True,
    type=click.IntRange(1, 64),
    help="API processes; all of them share one encoder process.",
)
@collection_option
def serve(host: str, port: int, workers: int, collection: str) -> int:
    """Answer searches over HTTP until stopped.

    Until API keys are configured the server listens on loopback only.
    """
    from search_api.server import serve as run_server
    from search_api.settings import Settings

    settings = Settings.from_environment(
        collection=collection, host=host, port=port, workers=workers
    )
    return run_server(settings)
