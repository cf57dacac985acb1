"""``kindred models list``: what there is and what can be had."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from encoders.errors import KindredError
from search_api.cli import output
from search_api.cli.figures import (
    NOT_MEASURED,
    recall_cell,
    recall_json,
    speeds_cell,
    speeds_json,
)
from search_api.cli.workspace import json_option

if TYPE_CHECKING:
    from rich.table import Table

    from encoders.adapters.file import AdapterRecord
    from encoders.models.checkpoints import Checkpoint
    from encoders.models.folder import ModelFolder, ModelStatus
    from encoders.models.hub_table import HubModel

EntryT = TypeVar("EntryT")

MAX_LISTED_LANGUAGES = 5
"""More are counted; ``--json`` names them all."""


class ListProblem(NamedTuple):
    """A model that is there and cannot be listed."""

    name: str
    code: str
    message: str


@click.command("list")
@json_option
def list_models(as_json: bool) -> int:
    """List models: what they take, dimension, size, licence, languages, speed, recall, origin.

    First those of the starter, those that were pulled and the adapters, then a choice from the hub.
    Speed is what one core takes in per second, measured by `kindred models check`.
    """
    from encoders.adapters.file import read_record
    from encoders.models.folder import ModelFolder
    from encoders.models.hub_table import HUB_MODELS
    from encoders.models.lookup import adapter_folders

    folder = ModelFolder.from_environment()
    checkpoints = list(folder.checkpoints.all())
    pulled = {f"{each.record.family}:{each.record.source}" for each in checkpoints}
    problems: list[ListProblem] = []
    models = _readable(
        folder.installed(),
        lambda each: each.description.name,
        lambda each: _status_json(each, folder) if as_json else _status_row(each, folder),
        problems,
    )
    taken = _readable(
        checkpoints,
        lambda each: f"{each.record.family}:{each.record.source}",
        lambda each: _checkpoint_json(each, folder) if as_json else _checkpoint_row(each, folder),
        problems,
    )
    make_adapter = _adapter_json if as_json else _adapter_row
    fitted = _readable(
        adapter_folders(folder).items(),
        lambda each: f"adapter:{each[0]}",
        lambda each: make_adapter(each[0], read_record(each[1]), folder),
        problems,
    )
    if as_json:
        output.print_json(
            {
                "models_dir": str(folder.root),
                "models": models,
                "checkpoints": taken,
                "adapters": fitted,
                "hub": [_hub_json(model, model.name in pulled) for model in HUB_MODELS],
                "problems": [each._asdict() for each in problems],
            }
        )
        return 0
    shown = output.table(
        "model", "here", "takes", "dim", "MB", "licence", "languages", "speed", "recall", "from"
    )
    for row in [*models, *taken, *fitted]:
        shown.add_row(*row)
    output.console().print(shown)
    output.console().print(_offered([model for model in HUB_MODELS if model.name not in pulled]))
    for problem in problems:
        click.echo(f"{problem.name} cannot be read: {problem.message}", err=True)
    click.echo(f"model folder: {folder.root}")
    click.echo("speed: of one core; ~ on another machine. `kindred models check` measures it here.")
    click.echo("`kindred models pull NAME` fetches any of them, and every other model of a family.")
    return 0


def _readable(
    entries: Iterable[EntryT],
    name_of: Callable[[EntryT], str],
    make: Callable[[EntryT], Any],
    problems: list[ListProblem],
) -> list[Any]:
    """Return what ``make`` gives of each entry; one that cannot be read is named and left out."""
    made = []
    for entry in entries:
        try:
            made.append(make(entry))
        except KindredError as error:
            problems.append(ListProblem(name_of(entry), error.code, error.message))
    return made


def _offered(models: list[HubModel]) -> Table:
    shown = output.table("on the hub", "takes", "dim", "MB", "licence", "languages", "for")
    for known in models:
        shown.add_row(
            known.name,
            ", ".join(known.media),
            "-" if known.dim is None else str(known.dim),
            str(known.size_megabytes),
            known.licence,
            known.languages,
            known.note,
        )
    return shown


def _status_row(entry: ModelStatus, folder: ModelFolder) -> list[str]:
    from encoders.measured import speeds_of_starter
    from encoders.models.figures import STARTER_FIGURES

    model = entry.description
    return [
        model.name,
        "yes" if entry.installed else "no",
        model.medium,
        "-" if model.dim is None else str(model.dim),
        f"{model.size_bytes / 1e6:.0f}",
        model.licence,
        _languages(model.languages),
        speeds_cell(speeds_of_starter(model.name, folder)),
        recall_cell(STARTER_FIGURES[model.name].recall),
        model.origin,
    ]


def _languages(codes: tuple[str, ...]) -> str:
    return ", ".join(codes) if len(codes) <= MAX_LISTED_LANGUAGES else f"{len(codes)} languages"


def _status_json(entry: ModelStatus, folder: ModelFolder) -> dict[str, object]:
    from encoders.measured import speeds_of_starter
    from encoders.models.figures import STARTER_FIGURES

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
        "speed": speeds_json(speeds_of_starter(model.name, folder)),
        "recall": recall_json(STARTER_FIGURES[model.name].recall),
        "origin": model.origin,
    }


def _checkpoint_row(checkpoint: Checkpoint, folder: ModelFolder) -> list[str]:
    from encoders.measured import measured_speeds
    from encoders.models.checkpoints import FAMILY_MEDIA
    from encoders.models.lookup import checkpoint_dim

    record = checkpoint.record
    origin = record.origin
    place = f"{origin.repository} {(origin.revision or '')[:8]}" if origin.repository else "local"
    name = f"{record.family}:{record.source}"
    return [
        name,
        "yes",
        ", ".join(FAMILY_MEDIA[record.family]),
        "-" if (dim := checkpoint_dim(checkpoint)) is None else str(dim),
        f"{checkpoint.size_bytes / 1e6:.0f}",
        origin.licence or "not stated",
        "",
        speeds_cell(measured_speeds(name, folder)),
        NOT_MEASURED,
        place,
    ]


def _checkpoint_json(checkpoint: Checkpoint, folder: ModelFolder) -> dict[str, object]:
    import msgspec

    from encoders.measured import measured_speeds
    from encoders.models.lookup import checkpoint_dim

    record = checkpoint.record
    name = f"{record.family}:{record.source}"
    return {
        "name": name,
        "path": str(checkpoint.folder),
        "dim": checkpoint_dim(checkpoint),
        "size_bytes": checkpoint.size_bytes,
        "licence": record.origin.licence,
        "speed": speeds_json(measured_speeds(name, folder)),
        "recall": None,
        "repository": record.origin.repository,
        "revision": record.origin.revision,
        "text_from": msgspec.to_builtins(record.origin.text_from),
        "pulled": record.pulled,
    }


def _adapter_row(name: str, record: AdapterRecord, folder: ModelFolder) -> list[str]:
    from encoders.config import medium_of_encoder
    from encoders.measured import recall_of_adapter, speeds_of_adapter

    return [
        f"adapter:{name}",
        "yes",
        medium_of_encoder(record.features),
        str(record.dim),
        "",
        "",
        "",
        speeds_cell(speeds_of_adapter(record, folder)),
        recall_cell(recall_of_adapter(record)),
        f"{record.num_pairs} pairs",
    ]


def _adapter_json(name: str, record: AdapterRecord, folder: ModelFolder) -> dict[str, object]:
    from encoders.config import medium_of_encoder
    from encoders.measured import recall_of_adapter, speeds_of_adapter

    return {
        "name": f"adapter:{name}",
        "medium": medium_of_encoder(record.features),
        "dim": record.dim,
        "pairs": record.num_pairs,
        "speed": speeds_json(speeds_of_adapter(record, folder)),
        "recall": recall_json(recall_of_adapter(record)),
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
        "speed": None,
        "recall": None,
        "note": model.note,
    }
