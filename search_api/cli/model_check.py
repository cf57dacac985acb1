"""``kindred models check``: is a model what its vectors are trusted to be?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from search_api.cli import output
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

    FAMILY:SOURCE names a model as collections do: open_clip:ViT-B-32/datacomp_xl_s13b_b90k,
    sentence_transformers:minilm, concepts:yamnet, features:efficientnet_lite2, adapter:NAME. The
    exit code is 1 when a property fails. The same examination is made once before an encoder first
    serves.
    """
    import msgspec

    from encoders.errors import ConfigError
    from encoders.loading import EncoderLoader
    from encoders.models.folder import ModelFolder
    from encoders.models.lookup import encoders_of

    loader = EncoderLoader(
        ModelFolder.from_environment(),
        num_threads=encode_threads(),
        device=encoder_device(),
        trained=not untrained,
    )
    try:
        configs = encoders_of(name, loader.models)
    except ConfigError as error:
        raise click.UsageError(error.message) from error
    reports = [loader.examine(config) for config in configs]
    if as_json:
        output.print_json({"encoders": msgspec.to_builtins(reports)})
    else:
        for report in reports:
            _print_report(report)
    return int(not all(report.admitted for report in reports))


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
