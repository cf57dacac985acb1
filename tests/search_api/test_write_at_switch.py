"""Writes that were prepared with a model just before another took over."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from litestar.testing import TestClient

from encoders.config import EncoderConfig, SentenceConfig
from encoders.encoder import EncoderIdentity
from encoders.media.sandbox import DecodeSandbox
from indexer.catalog.catalog import Catalog
from indexer.config import CollectionConfig, parse_collection
from indexer.item_writer import ItemWriter
from indexer.reindex import reindex
from search_api.app import create_app
from search_api.query_vectors import LocalQueryEncoder
from search_api.settings import Settings
from tests.fake_encoders import DIM, FakeLoader
from tests.search_api.small_collection import CONFIG_YAML, SmallCollection
from tests.search_api.test_batches_and_jobs import batch, finished, put
from tests.search_api.test_item_writes import found
from tests.search_api.test_snapshots import publish, until_served

OLD, NEW = "fake-sentences", "fake-sentences-2"


class TwoModels(FakeLoader):
    """Knows a second model of sentences."""

    def identify(self, config: EncoderConfig) -> EncoderIdentity:
        if isinstance(config, SentenceConfig) and config.dim is not None:
            return EncoderIdentity(NEW, "words-2", DIM, "text")
        return super().identify(config)


@pytest.fixture
def successor() -> CollectionConfig:
    sentences = "{family: sentence_transformers}"
    return parse_collection(CONFIG_YAML.replace(sentences, sentences[:-1] + ", dim: 32}"))


@pytest.fixture
def models() -> TwoModels:
    return TwoModels()


@pytest.fixture
def switch(
    small: SmallCollection, models: TwoModels, successor: CollectionConfig
) -> Callable[[], str]:
    """Publishes a snapshot of the second model, as `kindred backfill` does."""

    def switch() -> str:
        identities = {
            name: models.identify(channel.encoder) for name, channel in successor.channels.items()
        }
        with Catalog.open(small.data_dir) as catalog:
            report = reindex(catalog, small.data_dir, successor, identities, force=True)
        assert report.manifest is not None
        return report.manifest.snapshot_id

    return switch


@pytest.fixture
def client(small: SmallCollection, models: TwoModels) -> Iterator[TestClient[Any]]:
    publish(small)
    settings = Settings(
        data_dir=str(small.data_dir.root),
        models_dir=str(small.folder),
        collection=str(small.config_path),
    )
    with DecodeSandbox() as sandbox:
        app = create_app(
            settings, make_encoder=lambda _, config: LocalQueryEncoder(models, config, sandbox)
        )
        with TestClient(app) as opened:
            yield opened


@pytest.fixture
def switched(monkeypatch: pytest.MonkeyPatch, switch: Callable[[], str]) -> list[str]:
    """The snapshot that is published after the first write was prepared, before it commits."""
    prepare = ItemWriter.prepare
    snapshots: list[str] = []

    def prepare_slowly(writer: ItemWriter, operations: Sequence[Any], models: Any) -> list[Any]:
        prepared = prepare(writer, operations, models)
        if not snapshots and operations:
            snapshots.append(switch())
        return prepared

    monkeypatch.setattr(ItemWriter, "prepare", prepare_slowly)
    return snapshots


def encoders_of(small: SmallCollection, item_id: str) -> set[str]:
    for known in small.catalog.known_items("small"):
        if known.item.item_id == item_id:
            return {state.encoder_id for state in known.channels["passages"]}
    raise AssertionError(f"{item_id} is not there")


def write_one(client: TestClient[Any]) -> None:
    answer = client.put("/v1/items/late", json={"text": "purple umbrella"})
    assert answer.status_code == 201, answer.text


def write_batch(client: TestClient[Any]) -> None:
    answer = batch(client, put("late", "purple umbrella"))
    assert [each["status"] for each in answer.json()["results"]] == [201]


def write_job(client: TestClient[Any]) -> None:
    body = {"text": "purple umbrella"}
    answer = client.put("/v1/items/late", json=body, headers={"Prefer": "respond-async"})
    assert finished(client, answer.headers["location"])["state"] == "done"


@pytest.mark.parametrize("write", [write_one, write_batch, write_job])
def test_an_acknowledged_write_is_found_by_the_model_that_took_over(
    write: Callable[[TestClient[Any]], None],
    client: TestClient[Any],
    switched: list[str],
    small: SmallCollection,
) -> None:
    write(client)
    (snapshot_id,) = switched
    until_served(client, snapshot_id)
    assert encoders_of(small, "late") == {NEW}
    assert found(client, "purple umbrella", "passages", 1) == ["late"]


def test_a_deletion_waits_for_no_model(
    client: TestClient[Any], switched: list[str], small: SmallCollection
) -> None:
    assert client.delete("/v1/items/red-1").status_code == 204
    assert small.catalog.item("small", "red-1") is None
    assert switched


def test_a_model_that_this_server_cannot_take_up_keeps_nobody_from_writing(
    client: TestClient[Any], switched: list[str], models: TwoModels, small: SmallCollection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Then it goes on with the model it has, as for its searches."""
    prepare = ItemWriter.prepare

    def prepare_and_lose(writer: ItemWriter, operations: Sequence[Any], given: Any) -> list[Any]:
        prepared = prepare(writer, operations, given)
        monkeypatch.setattr(TwoModels, "identify", FakeLoader.identify)
        return prepared

    monkeypatch.setattr(ItemWriter, "prepare", prepare_and_lose)
    write_one(client)
    assert encoders_of(small, "late") == {OLD}
