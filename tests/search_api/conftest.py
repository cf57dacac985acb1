from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from encoders.media.sandbox import DecodeSandbox
from search_api.app import create_app
from search_api.query_vectors import LocalQueryEncoder
from search_api.settings import Settings
from tests.search_api.small_collection import SmallCollection, fill


@pytest.fixture
def small(tmp_path: Path) -> Iterator[SmallCollection]:
    """A filled collection on fake encoders."""
    collection = SmallCollection(tmp_path)
    fill(collection)
    yield collection
    collection.close()


@pytest.fixture
def client(small: SmallCollection) -> Iterator[TestClient[Any]]:
    """The HTTP API over ``small``."""
    settings = Settings(
        data_dir=str(small.data_dir.root),
        models_dir=str(small.folder),
        collection=str(small.config_path),
        max_upload_bytes=100_000,
    )
    with DecodeSandbox() as sandbox:
        encoder = LocalQueryEncoder(small.loader, small.config, sandbox)
        with TestClient(create_app(settings, make_encoder=lambda *_: encoder)) as client:
            yield client


@pytest.fixture
def reachable_client(small: SmallCollection) -> Iterator[TestClient[Any]]:
    """The API as it is when other machines reach it."""
    settings = Settings(
        data_dir=str(small.data_dir.root),
        models_dir=str(small.folder),
        collection=str(small.config_path),
        host="0.0.0.0",
        allow_anonymous=True,
    )
    with DecodeSandbox() as sandbox:
        encoder = LocalQueryEncoder(small.loader, small.config, sandbox)
        with TestClient(create_app(settings, make_encoder=lambda *_: encoder)) as client:
            yield client
