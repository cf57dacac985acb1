"""The command group, and how its errors reach people and programs."""

from __future__ import annotations

import json
import os
import sys
import traceback
from importlib.metadata import version

import click

from encoders.errors import KindredError
from encoders.media.rejection import MediaRejected
from encoders.thread_defaults import set_thread_defaults
from search_api.cli import (
    backfill,
    backup,
    cost_plan,
    demo,
    doctor,
    export,
    ingest,
    items,
    keys,
    models,
    reindex,
    search,
    serve,
    snapshots,
    takedown,
)
from search_api.cli.exit_codes import EXIT_FAILED, exit_code_of

EPILOG = """Exit codes: 0 done (failed items are listed) or nothing to do, 1 the command failed, or
--strict and an item failed, 2 wrong usage, 3 refused (gate, lock, free space, mass-delete guard).
KINDRED_DATA_DIR (default ./kindred-data) holds all state."""


@click.group(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("kindred-search"), prog_name="kindred")
def kindred() -> None:
    """Find kindred content: search audio, video, images and text by what they contain."""


for command in (
    ingest.ingest,
    reindex.reindex,
    backfill.backfill,
    cost_plan.cost_plan,
    search.search,
    serve.serve,
    items.status,
    items.failures,
    items.delete,
    takedown.takedown,
    snapshots.snapshots,
    snapshots.rollback,
    backup.backup,
    backup.restore,
    export.export,
    keys.keys,
    models.models,
    doctor.doctor,
    demo.demo,
):
    kindred.add_command(command)


def main(arguments: list[str] | None = None) -> None:
    """Run ``kindred`` and end the process with the exit code that its help promises."""
    arguments = sys.argv[1:] if arguments is None else arguments
    set_thread_defaults()
    sys.exit(run(arguments))


def run(arguments: list[str]) -> int:
    """Run ``kindred`` with ``arguments`` and return its exit code."""
    as_json = "--json" in arguments
    try:
        result = kindred.main(arguments, prog_name="kindred", standalone_mode=False)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.Abort:
        return _tell("interrupted", "interrupted", {}, as_json, EXIT_FAILED)
    except click.ClickException as error:
        if not as_json:
            error.show()
            return error.exit_code
        return _tell("usage", error.format_message(), {}, as_json, error.exit_code)
    except KindredError as error:
        return _tell(error.code, error.message, _detail(error), as_json, exit_code_of(error))
    except BrokenPipeError:
        # The reader of a pipe went away (`kindred … | head`): nobody is left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except OSError as error:
        # The machine's doing, which its own words explain best: a full disk, a missing right.
        return _tell("system_error", str(error), {}, as_json, EXIT_FAILED)
    except Exception as error:
        # A fault of the program. Whoever reports it needs the traceback, programs the JSON.
        traceback.print_exc()
        message = f"unexpected {type(error).__name__}: {error}"
        return _tell("internal_error", message, {}, as_json, EXIT_FAILED)
    return result if isinstance(result, int) else 0


def _detail(error: KindredError) -> dict[str, object]:
    if isinstance(error, MediaRejected):
        return {"reason": error.reason, **error.detail}
    return error.detail


def _tell(code: str, message: str, detail: object, as_json: bool, exit_code: int) -> int:
    if as_json:
        body = {"error": {"code": code, "message": message, "detail": detail}}
        click.echo(json.dumps(body, ensure_ascii=False, default=str))
    else:
        click.echo(f"kindred: {message}", err=True)
    return exit_code
