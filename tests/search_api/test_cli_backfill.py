"""``kindred backfill``: what it says of a change of model that was given up."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from indexer.catalog.records import ItemWrite
from search_api.cli import workspace
from search_api.cli.main import run
from tests.search_api.small_collection import SmallCollection
from tests.search_api.test_snapshots import publish


@pytest.fixture
def kindred(
    small: SmallCollection, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    monkeypatch.setenv("KINDRED_DATA_DIR", str(small.data_dir.root))
    monkeypatch.setattr(workspace, "open_loader", lambda **_: small.loader)

    def call(*arguments: str) -> tuple[int, str]:
        code = run([*arguments, "--collection", str(small.config_path)])
        return code, capsys.readouterr().out

    return call


@pytest.fixture
def begun(small: SmallCollection) -> None:
    """Another model has been at one item."""
    publish(small)
    known = next(
        each for each in small.catalog.known_items("small") if each.item.item_id == "story-1"
    )
    (state,) = known.channels["passages"]
    made = small.catalog.reusable(state.source_sha256, state.segmentation_id, state.encoder_id)
    assert made is not None
    other = replace(made, encoder_id="other-model", space_id="other-space")
    small.catalog.write("small", [ItemWrite(known.item, (other,), adds_encodings=True)])


@pytest.mark.usefixtures("begun")
def test_what_was_given_up_is_named_and_dropped(
    kindred: Callable[..., tuple[int, str]],
) -> None:
    code, said = kindred("backfill", "--check", "--json")
    (left,) = json.loads(said)["left_over"]
    assert (code, left["channel"], left["encoder_id"]) == (0, "passages", "other-model")
    assert (left["items"], left["only"]) == (1, 0)
    code, said = kindred("backfill", "--check")
    assert "left over in passages: vectors of 1 items by other-model" in said
    code, said = kindred("backfill", "--abandon")
    assert (code, "passages: dropped vectors of 1 items by other-model" in said) == (0, True)
    code, said = kindred("backfill", "--abandon", "--json")
    assert json.loads(said) == {"dropped": []}
    code, said = kindred("backfill", "--check", "--json")
    assert json.loads(said)["left_over"] == []


def test_giving_up_goes_alone(kindred: Callable[..., tuple[int, str]]) -> None:
    assert kindred("backfill", "--abandon", "--check")[0] == 2
