"""kill -9 during ingest and reindex, in short; `make faults` runs the full series."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.faults import Kindred, check_complete, kill_ingest, kill_reindex, make_media
from encoders.models.folder import ModelFolder

pytestmark = pytest.mark.weights


@pytest.mark.timeout(600)
def test_killed_runs_lose_nothing_and_a_rerun_completes(
    models: ModelFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KINDRED_MODELS_DIR", str(models.root))
    media = tmp_path / "media"
    num_files = make_media(media, num_pictures=60, num_texts=20)
    kindred = Kindred(tmp_path / "data")
    killed = kill_ingest(
        kindred, media, num_files=num_files, num_kills=3, seed=4, with_search=False
    )
    assert killed.num_kills == 3
    assert killed.problems == []
    assert check_complete(kindred, media, num_files) == []
    killed = kill_reindex(kindred, num_kills=3, seed=5, with_search=False)
    assert killed.num_kills == 3
    assert killed.problems == []
    assert check_complete(kindred, media, num_files) == []
    code, found = kindred.answer("search", "a red picture")
    assert code == 0
    assert found["hits"]
