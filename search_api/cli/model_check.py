"""``kindred models check``: is a model what its vectors are trusted to be?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from search_api.cli import output
from search_api.cli.figures import speed_json, speed_phrase
from search_api.cli.workspace import encode_threads, encoder_device, json_option

if TYPE_CHECKING:
    from encoders.admission.report import AdmissionReport

MARKS = {"passed": "ok", "failed": "XX", "not_applicable": "--"}


@click.command()
@click.argument("name", metavar="FAMILY:SOURCE")
@click.option(
    "--untrained", is_flag=True, help="Ask only what holds for weights that were never trained."
)
@json_option
def check(name: str, untrained: bool, as_json: bool) -> int:
    """Examine the encoders of a model: does every vector hold what searches rely on?

    A recogniser is examined likewise: are its words those that were said, and only those?

    How fast an encoder that passes is here is measured too, and shown by `kindred models list`.

    FAMILY:SOURCE names a model as collections do: open_clip:ViT-B-32/datacomp_xl_s13b_b90k,
    sentence_transformers:minilm, whisper:base, concepts:yamnet, features:efficientnet_lite2,
    adapter:NAME. The exit code is 1 when a property fails. The same examination is made once before
    an encoder first serves.
    """
    import msgspec

    from encoders.checking import check_model
    from encoders.errors import ConfigError
    from encoders.loading import EncoderLoader
    from encoders.measured import configs_of
    from encoders.models.folder import ModelFolder

    loader = EncoderLoader(
        ModelFolder.from_environment(),
        num_threads=encode_threads(),
        device=encoder_device(),
        trained=not untrained,
    )
    try:
        configs_of(name, loader.models)
    except ConfigError as error:
        raise click.UsageError(error.message) from error
    checked = check_model(name, loader)
    if as_json:
        encoders = [
            {**msgspec.to_builtins(each.report), "speed": speed_json(each.speed)}
            for each in checked
        ]
        output.print_json({"encoders": encoders})
    else:
        for each in checked:
            _print_report(each.report)
            if each.speed is not None:
                click.echo(f"speed: {speed_phrase(each.speed)}\n")
    return int(not all(each.report.admitted for each in checked))


def _print_report(report: AdmissionReport) -> None:
    shown = output.table(
        "", "property", "measured", "bound", "", title=f"{report.encoder_id} ({report.medium})"
    )
    for finding in report.properties:
        shown.add_row(
            MARKS[finding.outcome],
            finding.name,
            _number(finding.measured),
            _number(finding.bound),
            finding.sentence,
        )
    output.console().print(shown)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
