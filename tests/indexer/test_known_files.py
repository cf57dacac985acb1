"""Files that were renamed, moved, copied or exchanged."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from indexer.catalog.catalog import Catalog
from tests.indexer.small_media import CONFIG, ids, run, write_picture


def test_renamed_files_keep_their_ids_and_call_no_encoder(media: Path, catalog: Catalog) -> None:
    run(media, catalog)
    before = ids(catalog)
    (media / "picture-3.png").rename(media / "deep" / "renamed.png")
    (media / "deep" / "long.flac").rename(media / "longer.flac")
    summary, loader = run(media, catalog)
    assert summary.counts["moved"] == 2
    assert summary.counts["unchanged"] == summary.planned - 2
    assert not loader.calls
    after = ids(catalog)
    assert after["renamed.png"] == before["picture-3.png"]
    assert after["longer.flac"] == before["long.flac"]
    assert len(after) == len(before)


def test_files_that_change_places_keep_their_ids_and_call_no_encoder(
    media: Path, catalog: Catalog
) -> None:
    """1, 2, 3 become 2, 3, 4, and two others swap: no place is left empty."""
    run(media, catalog)
    before = {e.item.content_sha256: e.item.item_id for e in catalog.known_items(CONFIG.name)}
    for number in (3, 2, 1):
        (media / f"picture-{number}.png").rename(media / f"picture-{number + 10}.png")
    (media / "picture-4.png").rename(media / "picture-1.png")
    for number in (3, 2, 1):
        (media / f"picture-{number + 10}.png").rename(media / f"picture-{number + 1}.png")
    (media / "deep" / "long.flac").rename(media / "other")
    (media / "deep" / "short.wav").rename(media / "deep" / "long.flac")
    (media / "other").rename(media / "deep" / "short.wav")
    summary, loader = run(media, catalog)
    after = {e.item.content_sha256: e.item.item_id for e in catalog.known_items(CONFIG.name)}
    assert after == before
    assert not loader.calls
    assert summary.counts["moved"] == 6
    summary, loader = run(media, catalog)
    assert summary.counts["unchanged"] == summary.planned


def test_a_copy_gets_its_own_rows_without_an_encoder_call(media: Path, catalog: Catalog) -> None:
    run(media, catalog)
    shutil.copy(media / "picture-1.png", media / "twin.png")
    summary, loader = run(media, catalog)
    assert summary.counts["encoded"] == 1
    assert not loader.calls
    known = {Path(e.item.location).name: e for e in catalog.known_items(CONFIG.name)}
    assert known["twin.png"].item.item_id != known["picture-1.png"].item.item_id
    assert [state.num_segments for state in known["twin.png"].channels["pictures"]] == [1]
    assert known["twin.png"].item.width_px == 32
    catalog.delete(CONFIG.name, [known["picture-1.png"].item.item_id])
    assert "twin.png" in ids(catalog)


def test_a_new_file_at_an_old_place_does_not_take_the_moved_item_over(
    media: Path, catalog: Catalog
) -> None:
    run(media, catalog)
    before = ids(catalog)["picture-1.png"]
    (media / "picture-1.png").rename(media / "moved.png")
    run(media, catalog)
    write_picture(media / "picture-1.png", seed=77)
    (media / "moved.json").write_text('{"title": "it changes in the same run"}')
    summary, _ = run(media, catalog)
    assert summary.counts["encoded"] == 2
    after = ids(catalog)
    assert after["moved.png"] == before
    assert after["picture-1.png"] != before
    summary, loader = run(media, catalog)
    assert summary.counts["unchanged"] == summary.planned == 9
    assert not loader.calls


def test_twins_in_a_renamed_folder_keep_their_own_ids(tmp_path: Path, catalog: Catalog) -> None:
    media = tmp_path / "media"
    for name in "abcdef":
        (media / "old" / name).mkdir(parents=True)
        write_picture(media / "old" / name / "cover.png", seed=1)
    run(media, catalog)
    before = {e.item.relative_path[4:]: e.item.item_id for e in catalog.known_items(CONFIG.name)}
    (media / "old").rename(media / "new")
    summary, loader = run(media, catalog)
    assert summary.counts["moved"] == 6
    assert not loader.calls
    after = {e.item.relative_path[4:]: e.item.item_id for e in catalog.known_items(CONFIG.name)}
    assert after == before


def test_files_that_swap_their_names_are_stored_with_their_content(
    media: Path, catalog: Catalog
) -> None:
    run(media, catalog)
    before = {
        Path(e.item.location).name: e.item.content_sha256 for e in catalog.known_items(CONFIG.name)
    }
    os.utime(media / "picture-1.png", (1, 1))
    (media / "picture-1.png").rename(media / "aside")
    (media / "picture-2.png").rename(media / "picture-1.png")
    (media / "aside").rename(media / "picture-2.png")
    os.utime(media / "picture-1.png", (2, 2))
    run(media, catalog)
    after = {
        Path(e.item.location).name: e.item.content_sha256 for e in catalog.known_items(CONFIG.name)
    }
    assert after["picture-1.png"] == before["picture-2.png"]
    assert after["picture-2.png"] == before["picture-1.png"]
    assert len(after) == len(before)


def test_a_twin_met_later_in_the_same_run_has_its_size(
    media: Path, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexer.runners.local.WRITES_PER_TRANSACTION", 1)
    for number in range(70):
        write_picture(media / f"many-{number:02}.png", 100 + number)
    shutil.copy(media / "many-00.png", media / "zz.png")
    run(media, catalog)
    sizes = {Path(e.item.location).name: e.item.width_px for e in catalog.known_items(CONFIG.name)}
    assert sizes["zz.png"] == 32


def test_a_file_named_through_another_folder_is_unchanged(media: Path, catalog: Catalog) -> None:
    run(media, catalog)
    change_seq = catalog.change_seq(CONFIG.name)
    summary, loader = run(media / "deep", catalog)
    assert summary.counts["unchanged"] == summary.planned == 2
    assert catalog.change_seq(CONFIG.name) == change_seq
    assert not loader.calls
