"""What the exit codes of ``kindred`` say."""

from __future__ import annotations

import click

from encoders.errors import KindredError

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_REFUSED = 3


def exit_code_of(error: BaseException) -> int:
    """Return the exit code of a command that ends with ``error``."""
    from indexer.errors import Refused
    from search_api.errors import WRONG_USAGE

    if isinstance(error, click.exceptions.Exit | click.ClickException):
        return error.exit_code
    if isinstance(error, Refused):
        return EXIT_REFUSED
    if isinstance(error, KindredError) and error.code in WRONG_USAGE:
        return EXIT_USAGE
    return EXIT_FAILED
