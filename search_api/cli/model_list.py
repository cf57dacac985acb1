"""``kindred models list``: what there is and what can be had."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from search_api.cli import output
from search_api.cli.workspace import json_option

if TYPE_CHECKING:
    from encoders.models.checkpoints import Checkpoint
    from encoders.models.folder import ModelStatus
    from encoders.models.hub_table import HubModel

MAX_LISTED_LANGUAGES = 5
"""More are counted; ``--json`` names them all."""


@click.command("list")
@json_option
def list_models(as_json: bool) -> int:
    """List models: what they take, dimension, size, licence, languages, origin.

    First those of the starter and those that were pulled, then a choice from the hub.
    """
    from encoders.models.folder import ModelFolder
    from encoders.models.hub_table import HUB_MODELS

    folder = ModelFolder.from_environment()
    listed = folder.installed()
    checkpoints = list(folder.checkpoints.all())
    pulled = {f"{each.record.family}:{each.record.source}" for each in checkpoints}
    if as_json:
        output.print_json(
            {
                "models_dir": str(folder.root),
                "models": [_status_json(entry) for entry in listed],
                "checkpoints": [_checkpoint_json(each) for each in checkpoints],
                "hub": [_hub_json(model, model.name in pulled) for model in HUB_MODELS],
            }
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
    for each in checkpoints:
        shown.add_row(*_checkpoint_row(each))
    output.console().print(shown)
    offered = output.table("on the hub", "takes", "dim", "MB", "licence", "languages", "for")
    for known in HUB_MODELS:
        if known.name not in pulled:
            offered.add_row(
                known.name,
                ", ".join(known.media),
                "-" if known.dim is None else str(known.dim),
                str(known.size_megabytes),
                known.licence,
                known.languages,
                known.note,
            )
    output.console().print(offered)
    click.echo(f"model folder: {folder.root}")
    click.echo("`kindred models pull NAME` fetches any of them, and every other model of a family.")
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


def _checkpoint_row(checkpoint: Checkpoint) -> list[str]:
    from encoders.models.checkpoints import FAMILY_MEDIA
    from encoders.models.lookup import checkpoint_dim

    record = checkpoint.record
    origin = record.origin
    place = f"{origin.repository} {(origin.revision or '')[:8]}" if origin.repository else "local"
    return [
        f"{record.family}:{record.source}",
        "yes",
        ", ".join(FAMILY_MEDIA[record.family]),
        "-" if (dim := checkpoint_dim(checkpoint)) is None else str(dim),
        f"{checkpoint.size_bytes / 1e6:.0f}",
        origin.licence or "not stated",
        "",
        place,
    ]


def _checkpoint_json(checkpoint: Checkpoint) -> dict[str, object]:
    from encoders.models.lookup import checkpoint_dim

    record = checkpoint.record
    return {
        "name": f"{record.family}:{record.source}",
        "path": str(checkpoint.folder),
        "dim": checkpoint_dim(checkpoint),
        "size_bytes": checkpoint.size_bytes,
        "licence": record.origin.licence,
        "repository": record.origin.repository,
        "revision": record.origin.revision,
        "pulled": record.pulled,
    }


def _hub_json(model: HubModel, is_pulled: bool) -> dict[str, object]:
    return {
        "name": model.name,
        "installed": is_pulled,
        "media": list(model.media),
        "dim": model.dim,
        "size_megabytes": model.size_megabytes,
        "licence": model.licence,
        "languages": model.languages,
        "note": model.note,
    }
