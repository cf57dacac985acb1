"""``kindred serve``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from search_api.cli import output
from search_api.cli.workspace import collection_option, json_option

if TYPE_CHECKING:
    from search_api.settings import Settings


@click.command()
@click.option(
    "--host",
    envvar="KINDRED_HOST",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on.",
)
@click.option(
    "--port",
    envvar="KINDRED_PORT",
    default=8080,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="0: any free one.",
)
@click.option(
    "--workers",
    envvar="KINDRED_WORKERS",
    default=2,
    show_default=True,
    type=click.IntRange(1, 64),
    help="API processes; all of them share one encoder process.",
)
@click.option(
    "--pull-models",
    is_flag=True,
    help="First fetch those models of the collection that are not here yet.",
)
@collection_option
@json_option
def serve(
    host: str, port: int, workers: int, pull_models: bool, collection: str, as_json: bool
) -> int:
    """Answer searches over HTTP until stopped.

    Until API keys are configured the server listens on loopback only.
    """
    from indexer.config import load_collection
    from search_api.cli.models import pull_with_progress
    from search_api.server import serve as run_server
    from search_api.settings import Settings

    settings = Settings.from_environment(
        collection=collection, host=host, port=port, workers=workers
    )
    settings.check_exposure()
    if pull_models:
        for model in load_collection(settings.collection).models:
            pull_with_progress(model, settings.models, quiet=as_json)
    return run_server(settings, announce_with(as_json))


def announce_with(as_json: bool) -> Callable[[Settings], None]:
    """Return what tells the address: a sentence for people, one JSON value for programs."""
    from search_api.server import tell_people

    return _print_address if as_json else tell_people


def _print_address(settings: Settings) -> None:
    output.print_json(
        {"url": settings.url, "collection": settings.collection, "workers": settings.workers}
    )
