"""``kindred keys``."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from search_api.cli import output
from search_api.cli.workspace import json_option

if TYPE_CHECKING:
    from search_api.access.api_key import ApiKey
    from search_api.access.key_file import KeyFile

_AGE = re.compile(r"(\d{1,5})([hd])")


class _Age(click.ParamType[timedelta]):
    """A length of time: ``12h``, ``90d``."""

    name = "age"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        """Return a text as a length of time."""
        if isinstance(value, timedelta):
            return value
        written = _AGE.fullmatch(str(value))
        if written is None or int(written[1]) == 0:
            self.fail(f"expected hours or days like 12h or 90d, got {value!r}", param, ctx)
        return timedelta(**{{"h": "hours", "d": "days"}[written[2]]: int(written[1])})


@click.group()
def keys() -> None:
    """Make, list and revoke the API keys that the server asks for.

    Once there is one, every request needs one, from this machine too, and the server may
    listen to others. A running server follows at once.
    """


@keys.command()
@click.argument("name")
@click.option(
    "--scope",
    type=click.Choice(["read", "write", "admin"]),
    default="read",
    show_default=True,
    help="read: search and look; write: store and delete as well; admin: take down and roll "
    "back as well.",
)
@click.option(
    "--requests-per-minute",
    type=click.IntRange(1, 1_000_000),
    help="So many may come at once, or in a minute; no limit where left out.",
)
@click.option("--expires-in", type=_Age(), metavar="90d|12h", help="Never, where left out.")
@json_option
def create(
    name: str,
    scope: Any,
    requests_per_minute: int | None,
    expires_in: timedelta | None,
    as_json: bool,
) -> int:
    """Make a key called NAME and print it, once.

    Only a hash of it is kept: a lost key is revoked and made anew.
    """
    from search_api.access.api_key import new_key

    now = datetime.now(UTC).replace(microsecond=0)
    expires_at = now + expires_in if expires_in is not None else None
    key, token = new_key(name, scope, expires_at, requests_per_minute)
    _key_file().add(key)
    if as_json:
        output.print_json({**_shown(key), "key": token})
        return 0
    click.echo(token)
    click.echo(
        "Keep it now: it is not shown again. Send it as `Authorization: Bearer KEY`.", err=True
    )
    return 0


@keys.command("list")
@json_option
def list_keys(as_json: bool) -> int:
    """Show every key that was made, without its secret."""
    found = [_shown(key) for key in _key_file().read()]
    if as_json:
        output.print_json({"keys": found})
        return 0
    if not found:
        click.echo("no keys; `kindred keys create NAME` makes one")
        return 0
    table = output.table("id", "name", "scope", "created", "state")
    for key in found:
        table.add_row(key["key_id"], key["name"], key["scope"], key["created_at"], _state(key))
    output.console().print(table)
    return 0


@keys.command()
@click.argument("key_id", metavar="ID")
@json_option
def revoke(key_id: str, as_json: bool) -> int:
    """Refuse the key ID from now on."""
    revoked = _key_file().revoke(key_id)
    if as_json:
        output.print_json(_shown(revoked))
    else:
        click.echo(f"revoked {revoked.key_id} ({revoked.name})")
    return 0


def _key_file() -> KeyFile:
    from indexer.data_dir import DataDir
    from search_api.access.key_file import KeyFile

    return KeyFile(DataDir.from_environment().keys)


def _shown(key: ApiKey) -> dict[str, Any]:
    import msgspec

    shown: dict[str, Any] = msgspec.to_builtins(key)
    del shown["secret_sha256"]
    return shown


def _state(key: dict[str, Any]) -> str:
    if key["revoked_at"] is not None:
        return f"revoked {key['revoked_at']}"
    if key["expires_at"] is None:
        return "good"
    expired = datetime.fromisoformat(key["expires_at"]) <= datetime.now(UTC)
    return f"{'expired' if expired else 'good until'} {key['expires_at']}"
