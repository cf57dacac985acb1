"""``kindred takedown``."""

from __future__ import annotations

import getpass
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from search_api.cli import output
from search_api.cli.workspace import collection_option, json_option, open_workspace

if TYPE_CHECKING:
    from indexer.takedown import Receipt
    from search_api.cli.workspace import Workspace


@click.command()
@click.argument("item_ids", nargs=-1, metavar="ID…")
@click.option("--purge", is_flag=True, help="Erase now what else goes with older snapshots.")
@click.option("--reason", metavar="TEXT", help="Why, for the receipt.")
@click.option("--same-content", is_flag=True, help="Take down items with equal bytes as well.")
@click.option("--lift", metavar="TAKEDOWN", help="Allow again what this takedown forbids.")
@click.option("--receipt", metavar="TAKEDOWN", help="Show the receipt of a takedown as of now.")
@click.option(
    "--export",
    "export_to",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Add every takedown of every collection to a list that outlives the data folder.",
)
@click.option(
    "--import",
    "import_from",
    type=click.Path(path_type=Path, exists=True),
    metavar="PATH",
    help="Carry out what such a list, another data folder or a backup knows.",
)
@collection_option
@json_option
def takedown(
    item_ids: tuple[str, ...],
    purge: bool,
    reason: str | None,
    same_content: bool,
    lift: str | None,
    receipt: str | None,
    export_to: Path | None,
    import_from: Path | None,
    collection: str,
    as_json: bool,
) -> int:
    """Hide items everywhere at once, for good, and keep them from coming back.

    Ids and contents are blocked: a later ingest skips such files under any name, until
    `--lift`. The receipt says what was erased and when the last index that holds the items
    goes; `--purge` erases it now. The files themselves stay where they are.

    Export takedowns with every one or every night, to another disk: a backup knows only those of
    its day, and `kindred restore --takedowns` carries out the rest.
    """
    if sum(map(bool, (item_ids, lift, receipt, export_to, import_from))) != 1:
        raise click.UsageError(
            "give either ID…, or one of --lift TAKEDOWN, --receipt TAKEDOWN, --export FILE, "
            "--import PATH"
        )
    if not item_ids and (purge or reason or same_content):
        raise click.UsageError("--purge, --reason and --same-content go with ID…")
    with open_workspace(collection) as work:
        if export_to or import_from:
            counts = _exported(work, export_to) if export_to else _imported(work, import_from)
            if as_json:
                output.print_json(counts)
            else:
                click.echo(", ".join(f"{name} {value}" for name, value in counts.items()))
            return 0
        if lift:
            shown = _lifted(work, lift)
        elif receipt:
            shown = _receipt(work, receipt)
        else:
            shown = _taken_down(work, item_ids, purge, reason, same_content)
    if as_json:
        output.print_json(shown.as_json())
    else:
        _print_receipt(shown)
    return 0


def _taken_down(
    work: Workspace, item_ids: tuple[str, ...], purge: bool, reason: str | None, same_content: bool
) -> Receipt:
    from indexer.pipeline import channel_identities
    from indexer.takedown import purge as run_purge
    from indexer.takedown import take_down

    done = take_down(
        work.catalog,
        work.data_dir,
        work.config.name,
        item_ids,
        same_content=same_content,
        requested_by=_user_name(),
        reason=reason,
    )
    if not purge:
        return done
    return run_purge(
        work.catalog,
        work.data_dir,
        work.config,
        lambda config: channel_identities(config, work.loader),
        done.takedown.takedown_id,
    )


def _exported(work: Workspace, path: Path) -> dict[str, Any]:
    from indexer.takedown_list import export_takedowns

    listed = export_takedowns(work.catalog, path)
    return {"takedowns": len(listed.takedowns), "known_through": listed.known_through}


def _imported(work: Workspace, path: Path | None) -> dict[str, Any]:
    from indexer.takedown_list import bring_back, read_takedowns_of

    assert path is not None, "the caller has looked"
    listed = read_takedowns_of(path)
    merged = bring_back(work.catalog, work.data_dir, listed.takedowns)
    return {
        "takedowns": len(listed.takedowns),
        "brought": len(merged.brought),
        "lifted": len(merged.lifted),
        "hidden_items": len(merged.hidden_items),
        "known_through": listed.known_through,
    }


def _lifted(work: Workspace, takedown_id: str) -> Receipt:
    work.catalog.takedowns.lift(work.config.name, takedown_id, lifted_by=_user_name())
    return _receipt(work, takedown_id)


def _receipt(work: Workspace, takedown_id: str) -> Receipt:
    from indexer.takedown import read_receipt

    return read_receipt(work.catalog, work.data_dir, work.config.name, takedown_id)


def _user_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        return f"user {os.getuid()}"


def _print_receipt(receipt: Receipt) -> None:
    shown = receipt.takedown
    num_hidden = sum(item.state in ("removed", "same_content") for item in shown.items)
    click.echo(f"{shown.takedown_id}: {len(shown.items)} ids blocked, {num_hidden} items hidden")
    for item in shown.items:
        if item.state == "unknown":
            click.echo(f"  no item {item.item_id!r}; the id is blocked all the same")
    for item_id in shown.same_content:
        click.echo(f"  {item_id} has equal bytes and stays; --same-content takes it down too")
    for erasure in shown.erasures:
        click.echo(f"  erased {erasure.at}: {erasure.what}")
    if shown.lifted_at is not None:
        click.echo(f"lifted {shown.lifted_at} by {shown.lifted_by}: an ingest takes it in again")
    elif receipt.erased_by is not None:
        click.echo(f"still held by {', '.join(receipt.erased_by.held_by)}")
        click.echo(f"erased {receipt.erased_by.sentence()}")
    else:
        click.echo(f"nothing holds it since {shown.erased_at}")
