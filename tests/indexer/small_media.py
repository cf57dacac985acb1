"""A small folder of generated media and ingests of it with weightless encoders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
from PIL import Image

from indexer.catalog.catalog import Catalog
from indexer.config import load_collection
from indexer.outcomes import STATES, IngestSummary
from indexer.pipeline import IngestOptions, ingest
from tests.indexer.fakes import FakeLoader

CONFIG = load_collection("starter")


def write_picture(path: Path, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 255, (24, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def write_sound(path: Path, seconds: float, seed: int = 0) -> None:
    samples = np.random.default_rng(seed).uniform(-0.5, 0.5, int(8000 * seconds))
    soundfile.write(path, samples.astype(np.float32), 8000)


def run(
    media: Path,
    catalog: Catalog,
    loader: FakeLoader | None = None,
    **options: object,
) -> tuple[IngestSummary, FakeLoader]:
    loader = loader or FakeLoader()
    summary = ingest([media], catalog, CONFIG, loader, IngestOptions(**options))  # type: ignore[arg-type]
    assert summary.planned == sum(summary.counts[state] for state in STATES)
    return summary, loader


def ids(catalog: Catalog) -> dict[str, str]:
    return {
        Path(entry.item.location).name: entry.item.item_id
        for entry in catalog.known_items(CONFIG.name)
    }
