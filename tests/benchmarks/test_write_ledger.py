from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.write_ledger import Ledger, LedgerLog, PutRefused


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.txt"


def test_the_last_acknowledged_deed_says_what_is_there(path: Path) -> None:
    with LedgerLog(path) as log:
        for deed, version in (("put", 1), ("delete", 0), ("put", 2)):
            with log.deed(deed, "a", version):
                pass
        with log.deed("put", "b", 3):
            pass
        with log.deed("delete", "b"):
            pass
    ledger = Ledger.read(path)
    assert ledger.num_acknowledged == 5
    assert ledger.problems({"a": 2}, "here") == []
    assert ledger.problems({}, "here") == ["here: a is lost, it should have version 2"]
    assert ledger.problems({"a": 1}, "here") == ["here: a has version 1, not version 2"]
    assert ledger.problems({"a": 2, "b": 3}, "here") == [
        "here: b was deleted and is back as version 3"
    ]
    assert ledger.problems({"a": 2, "c": 1}, "here") == ["here: c was never written"]


def test_what_was_begun_may_have_happened_or_not(path: Path) -> None:
    with LedgerLog(path) as log:
        with log.deed("put", "a", 1):
            pass
        with pytest.raises(KeyboardInterrupt), log.deed("put", "a", 2):
            raise KeyboardInterrupt
    ledger = Ledger.read(path)
    assert ledger.problems({"a": 1}, "here") == ledger.problems({"a": 2}, "here") == []
    assert len(ledger.problems({}, "here")) == 1
    # A later writer settles it.
    with LedgerLog(path) as log, log.deed("delete", "a"):
        pass
    assert len(Ledger.read(path).problems({"a": 2}, "here")) == 1


def test_a_line_that_was_cut_was_not_written(path: Path) -> None:
    path.write_text("begin put a 1\ndone\nbegin delete a 0\ndo")
    ledger = Ledger.read(path)
    assert ledger.num_acknowledged == 1
    assert ledger.versions == {"a": {1, None}}


def test_what_was_taken_down_stays_away_whatever_is_put(path: Path) -> None:
    with LedgerLog(path) as log:
        for deed in ("put", "takedown"):
            with log.deed(deed, "a", 1):
                pass
        with log.deed("put", "a", 2):
            raise PutRefused
    ledger = Ledger.read(path)
    assert (ledger.num_acknowledged, ledger.num_refused) == (2, 1)
    assert ledger.problems({}, "here") == []
    assert ledger.problems({"a": 1}, "here") == ["here: a was taken down and is back as version 1"]


def test_a_put_after_a_takedown_must_be_refused_and_no_other(path: Path) -> None:
    with LedgerLog(path) as log:
        for deed, item_id in (("takedown", "a"), ("put", "a")):
            with log.deed(deed, item_id, 1):
                pass
        with log.deed("put", "b", 2):
            raise PutRefused
    assert Ledger.read(path).problems({}, "here") == [
        "version 1 of a was taken in after its takedown",
        "version 2 of b was refused: it was taken down?",
    ]


def test_a_refusal_says_that_an_open_takedown_took_place(path: Path) -> None:
    with LedgerLog(path) as log:
        with log.deed("put", "a", 1):
            pass
        with pytest.raises(KeyboardInterrupt), log.deed("takedown", "a"):
            raise KeyboardInterrupt
    ledger = Ledger.read(path)
    assert ledger.problems({"a": 1}, "here") == ledger.problems({}, "here") == []
    with LedgerLog(path) as log, log.deed("put", "a", 2):
        raise PutRefused
    ledger = Ledger.read(path)
    assert ledger.taken_down == {"a"}
    assert len(ledger.problems({"a": 1}, "here")) == 1


def test_a_log_is_read_as_it_grows(path: Path) -> None:
    ledger = Ledger()
    for part in ("begin takedown a 0\nbegin put b", " 1\ndone", "\nbegin takedown c 0\ndone\n"):
        ledger.take(part)
    assert ledger.taken_down == {"c"}
    assert ledger.versions == {"a": {None}, "b": {1}, "c": {None}}
