"""``kindred models fit-adapter``: from one's own pairs of media and titles to an encoder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from search_api.cli import output
from search_api.cli.workspace import decode_workers, encode_threads, encoder_device, json_option

if TYPE_CHECKING:
    from encoders.adapters.file import AdapterRecord
    from encoders.adapters.pairs import PairProgress, SkippedPair
    from encoders.config import EncoderConfig
    from encoders.models.folder import ModelFolder

MAX_LISTED_ROWS = 10
"""More of the rows that could not be used are counted; ``--json`` lists them all."""


@click.command("fit-adapter")
@click.option(
    "--pairs",
    "pairs_path",
    required=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="CSV, JSON Lines or Parquet with the columns path, title and, if wanted, group.",
)
@click.option("--name", required=True, help="What collections call the adapter.")
@click.option(
    "--features",
    default="features:efficientnet_lite2",
    show_default=True,
    metavar="FAMILY:SOURCE",
    help="The encoder of pictures or sounds whose vectors are mapped.",
)
@click.option(
    "--base",
    metavar="FAMILY:SOURCE",
    help="The encoder that the map is added to; by default the concepts of the same classifier.",
)
@click.option(
    "--words",
    default="sentence_transformers:minilm",
    show_default=True,
    metavar="FAMILY:SOURCE",
    help="The encoder of titles, whose space the adapter leads into.",
)
@click.option("--window-seconds", default=10.0, show_default=True, help="How sounds are cut.")
@json_option
def fit_adapter(
    pairs_path: Path,
    name: str,
    features: str,
    base: str | None,
    words: str,
    window_seconds: float,
    as_json: bool,
) -> int:
    """Fit a linear map from an encoder's vectors into a text space, from your own pairs.

    The result is an encoder into that space, which a collection uses by naming it:
    `encoder: {family: adapter, adapter: NAME, medium: image}`. Recall@10 before and after is
    measured on pairs that were not learnt from; titles that mean the same should share a group.
    """
    from encoders.adapters.file import AdapterParts, write_adapter
    from encoders.adapters.pairs import fit_from_pairs
    from encoders.config import WindowSegments, medium_of_encoder
    from encoders.loading import EncoderLoader
    from encoders.media.sandbox import DecodeSandbox
    from encoders.models.folder import ModelFolder
    from encoders.models.lookup import adapter_folder
    from indexer.pairs_file import read_pairs

    models = ModelFolder.from_environment()
    folder = adapter_folder(name, models)
    loader = EncoderLoader(models, num_threads=encode_threads(), device=encoder_device())
    features_config, words_config = (
        _encoder(features, models, takes_text=False),
        _encoder(words, models, takes_text=True),
    )
    base_config = _base(features, base, models)
    read = read_pairs(pairs_path)
    is_sound = medium_of_encoder(features_config) == "audio"
    with DecodeSandbox(num_workers=decode_workers()) as sandbox, _progress(as_json) as progress:
        fit = fit_from_pairs(
            read.pairs,
            loader.open(features_config),
            loader.open(base_config) if base_config else None,
            loader.open(words_config),
            sandbox,
            windows=WindowSegments(window_seconds, window_seconds) if is_sound else None,
            progress=progress,
        )
    if fit.adapter.is_base_alone:
        raise click.ClickException(
            f"{fit.num_pairs} pairs teach nothing that the base does not know: no map made titles "
            "that were not learnt from find their media better. Nothing was written"
        )
    parts = AdapterParts(
        features_config,
        loader.identify(features_config),
        base_config,
        loader.identify(base_config) if base_config else None,
        words_config,
        loader.identify(words_config),
    )
    record = write_adapter(folder, fit.adapter, parts, fit.recall, num_pairs=fit.num_pairs)
    _tell(name, folder, record, [*read.skipped, *fit.skipped], as_json=as_json)
    return 0


def _encoder(name: str, models: ModelFolder, *, takes_text: bool) -> EncoderConfig:
    """Return the encoder that an option names: the one of texts, or the one of media."""
    from encoders.config import medium_of_encoder
    from encoders.models.lookup import encoders_of

    for config in encoders_of(name, models):
        if (medium_of_encoder(config) == "text") == takes_text:
            return config
    raise click.UsageError(f"{name} takes {'no text' if takes_text else 'only text'}")


def _base(features: str, base: str | None, models: ModelFolder) -> EncoderConfig | None:
    if base is not None:
        return _encoder(base, models, takes_text=False) if base else None
    family, _, classifier = features.partition(":")
    if family != "features":
        return None
    return _encoder(f"concepts:{classifier}", models, takes_text=False)


@contextmanager
def _progress(quiet: bool) -> Iterator[PairProgress | None]:
    """Show how many pairs are encoded."""
    if quiet:
        yield None
        return
    from rich.progress import Progress

    with Progress(console=output.console(stderr=True)) as progress:
        task = progress.add_task("pairs", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _tell(
    name: str,
    folder: Path,
    record: AdapterRecord,
    skipped: Sequence[SkippedPair],
    *,
    as_json: bool,
) -> None:
    if as_json:
        output.print_json(
            {
                "adapter": name,
                "folder": str(folder),
                "pairs": record.num_pairs,
                "strength": record.strength,
                "base_weight": record.base_weight,
                "recall": msgspec.to_builtins(record.recall),
                "skipped": [msgspec.to_builtins(each) for each in skipped],
            }
        )
        return
    for each in skipped[:MAX_LISTED_ROWS]:
        click.echo(f"row {each.row} was not used: {each.reason}", err=True)
    if len(skipped) > MAX_LISTED_ROWS:
        click.echo(f"and {len(skipped) - MAX_LISTED_ROWS} more rows", err=True)
    shown = output.table("on pairs not learnt from", "recall@10", "95 % interval")
    for direction, found in (
        ("title -> medium", record.recall.titles_to_media),
        ("medium -> title", record.recall.media_to_titles),
    ):
        for label, interval in (
            ("before", found.before),
            ("after", found.after),
            ("gain", found.gain),
            ("gain, drawing whole groups", found.gain_over_groups),
        ):
            if interval is not None:
                shown.add_row(
                    f"{direction}, {label}",
                    f"{interval.mean:.3f}",
                    f"{interval.low:.3f} to {interval.high:.3f}",
                )
    output.console().print(shown)
    click.echo(f"{record.num_pairs} pairs, ridge strength {record.strength:g}, in {folder}")
    click.echo(f"encoder: {{family: adapter, adapter: {name}, medium: …}}")
