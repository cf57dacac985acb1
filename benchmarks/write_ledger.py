"""What a writer was told to do and what was acknowledged, noted so that its death hides nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, cast, get_args

Deed = Literal["put", "delete", "takedown"]

GONE = None
"""The version of an item that is not there."""


class LedgerLog:
    """Appends a line before and one after each deed: a deed with the first alone is open."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._descriptor)

    @contextmanager
    def deed(self, deed: Deed, item_id: str, version: int = 0) -> Iterator[None]:
        """Note a deed; it counts as acknowledged when the block ends without an error."""
        # One call each: the kernel holds what a process wrote although that process is killed.
        os.write(self._descriptor, f"begin {deed} {item_id} {version}\n".encode())
        yield
        os.write(self._descriptor, b"done\n")


@dataclass(slots=True)
class Ledger:
    """What the catalog may hold, worked out from a log."""

    versions: dict[str, set[int | None]] = field(default_factory=dict)
    """By item: the versions it may have. More than one where a writer died before it knew."""

    taken_down: set[str] = field(default_factory=set)
    """Items whose takedown was acknowledged: they never come back, whatever is put."""

    num_acknowledged: int = 0

    @classmethod
    def read(cls, path: Path) -> Ledger:
        """Read a log; a line that was cut by the writer's death counts as not written."""
        ledger = cls()
        open_deed: tuple[Deed, str, int | None] | None = None
        for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
            if not line.endswith("\n"):
                break
            word, *rest = line.split()
            if word == "begin":
                if open_deed is not None:
                    ledger._maybe(*open_deed)
                deed, item_id, version = rest
                open_deed = _as_deed(deed), item_id, int(version) if deed == "put" else GONE
            elif open_deed is not None:
                ledger._done(*open_deed)
                open_deed = None
        if open_deed is not None:
            ledger._maybe(*open_deed)
        return ledger

    def _done(self, deed: Deed, item_id: str, version: int | None) -> None:
        self.num_acknowledged += 1
        if deed == "takedown":
            self.taken_down.add(item_id)
        self.versions[item_id] = {GONE if item_id in self.taken_down else version}

    def _maybe(self, deed: Deed, item_id: str, version: int | None) -> None:
        if item_id not in self.taken_down:
            self.versions.setdefault(item_id, {GONE}).add(version)

    def problems(self, found: dict[str, int], where: str) -> list[str]:
        """Return what is wrong with the items found somewhere, one sentence each.

        Args:
            found: the version of every item that is there.
            where: what was looked at.
        """
        problems = []
        for item_id, allowed in self.versions.items():
            version = found.get(item_id, GONE)
            if version in allowed:
                continue
            if version is GONE:
                problems.append(f"{where}: {item_id} is lost, it should have {_words(allowed)}")
            elif allowed == {GONE}:
                word = "taken down" if item_id in self.taken_down else "deleted"
                problems.append(f"{where}: {item_id} was {word} and is back as version {version}")
            else:
                problems.append(f"{where}: {item_id} has version {version}, not {_words(allowed)}")
        unknown = sorted(found.keys() - self.versions.keys())
        return problems + [f"{where}: {item_id} was never written" for item_id in unknown]


def _as_deed(word: str) -> Deed:
    if word not in get_args(Deed):
        raise ValueError(f"a ledger knows {', '.join(get_args(Deed))}, got {word!r}")
    return cast(Deed, word)


def _words(versions: set[int | None]) -> str:
    return " or ".join("none" if one is GONE else f"version {one}" for one in versions)
