"""Both clients against a real server on fake encoders."""

from __future__ import annotations

import asyncio
import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from indexer.item_operations import GivenVectors
from search_api.access.api_key import new_key
from search_api.access.key_file import KeyFile
from search_api.client import ApiError, AsyncKindredClient, JobFailed, KindredClient, Unreachable
from search_api.schemas import Query, SearchRequest
from search_api.write_schemas import DeleteOperation, ItemWritten, JobAccepted, PutOperation
from tests.fake_encoders import COLOURS, text_vector
from tests.search_api.small_collection import fill
from tests.search_api.web.gallery import Gallery, Site, served


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    gallery = Gallery(tmp_path)
    fill(gallery)
    with served(gallery) as opened:
        yield opened
    gallery.close()


@pytest.fixture
def kindred(site: Site) -> Iterator[KindredClient]:
    with KindredClient(site.url) as client:
        yield client


def picture(colour: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (60, 40), COLOURS[colour]).save(file, "PNG")
    return file.getvalue()


def test_it_searches_in_words_by_item_and_by_file(kindred: KindredClient, tmp_path: Path) -> None:
    kindred.check_ready()
    found = kindred.search("red", channels="pictures", limit=3)
    assert found.hits[0].item_id.startswith("red")
    assert len(found.hits) == 3
    similar = kindred.search(item_id="red-1", modalities=["image"])
    assert "red-1" not in [hit.item_id for hit in similar.hits]
    path = tmp_path / "asked.png"
    path.write_bytes(picture("red"))
    by_path = kindred.search_file(path, limit=2)
    assert [hit.item_id for hit in by_path.hits] == [
        hit.item_id for hit in kindred.search_file(path.read_bytes(), limit=2).hits
    ]
    with path.open("rb") as file:
        assert kindred.search_file(file, limit=2).hits == by_path.hits
    none = kindred.search("red", filter={"field": "item_id", "equals": "nobody"})
    assert none.hits == []


def test_it_writes_reads_and_deletes(kindred: KindredClient, tmp_path: Path) -> None:
    written = kindred.put_text("new-text-1", "purple umbrella", attributes={"title": "rain"})
    assert isinstance(written, ItemWritten)
    assert written.created
    assert kindred.search("purple umbrella", channels="passages", limit=1).hits[0].item_id == (
        "new-text-1"
    )
    stored = kindred.put_file("mine", picture("red"), name="mine.png", attributes={"tags": ["a"]})
    assert isinstance(stored, ItemWritten)
    assert kindred.item("mine").format == "png"
    kindred.download("mine", tmp_path / "back.png")
    assert (tmp_path / "back.png").read_bytes() == picture("red")
    channel = kindred.collections()[0].channels["passages"]
    assert channel.space_id is not None
    vectors = GivenVectors(space_id=channel.space_id, vectors=[text_vector("owl").tolist()])
    given = kindred.put_vectors("given", "text", {"passages": vectors})
    assert isinstance(given, ItemWritten)
    kindred.delete("mine")
    with pytest.raises(ApiError) as refused:
        kindred.item("mine")
    assert (refused.value.status, refused.value.code) == (404, "item_not_found")
    with pytest.raises(ApiError):
        kindred.download("mine", tmp_path / "none.png")
    assert sorted(path.name for path in tmp_path.glob("*.p*")) == ["back.png"]


def test_it_encodes_words_and_searches_with_vectors(kindred: KindredClient) -> None:
    texts = ["red flower", "blue"]
    vectors = kindred.embed(texts, "titles")
    assert vectors.shape[0] == 2
    answer = kindred.search_vectors(vectors, "titles", limit=3)
    for text, item_ids in zip(texts, answer.item_ids, strict=True):
        hits = kindred.search(text, channels="titles", limit=3).hits
        assert item_ids == [hit.item_id for hit in hits]
    one, other = kindred.search_batch(
        [SearchRequest(query=Query(text="red")), SearchRequest(query=Query(item_id="nobody"))]
    )
    assert one.answer is not None
    assert one.answer.hits == kindred.search("red").hits
    assert other.error is not None
    assert other.error.code == "item_not_found"
    stored = kindred.embed(["an owl"], "passages", input_type="passage")
    channel = kindred.collections()[0].channels["passages"]
    assert channel.space_id is not None
    given = GivenVectors(space_id=channel.space_id, vectors=stored.tolist())
    kindred.put_vectors("owl", "text", {"passages": given})
    assert kindred.search("an owl", channels="passages", limit=1).hits[0].item_id == "owl"


def test_batches_become_jobs_that_can_be_waited_for(kindred: KindredClient) -> None:
    puts = [PutOperation(item_id=f"t{n}", text=f"word{n} lighthouse") for n in range(3)]
    answer = kindred.batch([*puts, DeleteOperation(item_id="red-1")], respond_async=True)
    assert isinstance(answer, JobAccepted)
    job = kindred.wait_for(answer.job_id, poll_seconds=0.05)
    assert [result.status for result in job.results] == [201, 201, 201, 204]
    doomed = kindred.batch([DeleteOperation(item_id="nobody")], respond_async=True)
    assert isinstance(doomed, JobAccepted)
    with pytest.raises(JobFailed, match="nobody"):
        kindred.wait_for(doomed.job_id, poll_seconds=0.05)


def test_items_are_read_page_by_page(kindred: KindredClient) -> None:
    everything = [item.item_id for item in kindred.items(page_size=3)]
    assert everything == sorted(everything)
    assert everything == [item.item_id for item in kindred.items()]
    pictures = [item.item_id for item in kindred.items(medium="image", page_size=1)]
    assert 0 < len(pictures) < len(everything)
    assert set(pictures) < set(everything)


def test_operators_take_down_and_see_what_is_served(kindred: KindredClient) -> None:
    receipt = kindred.take_down(["red-1"], reason="asked for")
    assert kindred.receipt(receipt.takedown_id).takedown_id == receipt.takedown_id
    assert "red-1" not in [item.item_id for item in kindred.items()]
    assert kindred.collections()[0].items == len(list(kindred.items()))
    assert kindred.snapshots() == []
    assert kindred.failures() == []
    with pytest.raises(ApiError) as refused:
        kindred.roll_back("20000101T000000Z-none")
    assert refused.value.status == 404
    with pytest.raises(ApiError) as unheard:
        kindred.transcript("red-2")
    assert unheard.value.code == "no_transcript"


def test_the_other_client_does_the_same(site: Site, tmp_path: Path) -> None:
    async def visit() -> None:
        async with AsyncKindredClient(site.url) as kindred:
            await kindred.check_ready()
            found = await asyncio.gather(*(kindred.search("red", limit=2) for _ in range(5)))
            assert len({answer.hits[0].item_id for answer in found}) == 1
            path = tmp_path / "sent.png"
            path.write_bytes(picture("red"))
            await kindred.put_file("mine", path)
            assert (await kindred.item("mine")).format == "png"
            await kindred.download("mine", tmp_path / "back.png")
            assert (tmp_path / "back.png").read_bytes() == path.read_bytes()
            ids = [item.item_id async for item in kindred.items(page_size=2)]
            assert "mine" in ids
            accepted = await kindred.batch([DeleteOperation(item_id="mine")], respond_async=True)
            assert isinstance(accepted, JobAccepted)
            job = await kindred.wait_for(accepted.job_id, poll_seconds=0.05)
            assert job.state == "done"
            with pytest.raises(ApiError):
                await kindred.item("mine")

    asyncio.run(visit())


def test_it_brings_its_key(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    key, token = new_key("client", "write")
    KeyFile(site.gallery.data_dir.keys).add(key)
    with KindredClient(site.url) as stranger, pytest.raises(ApiError) as refused:
        stranger.search("red")
    assert refused.value.code == "not_authenticated"
    with KindredClient(site.url, api_key=token) as known:
        assert known.search("red").hits
        with pytest.raises(ApiError) as closed:
            known.take_down(["red-1"])
        assert closed.value.code == "not_allowed"
    monkeypatch.setenv("KINDRED_URL", site.url)
    monkeypatch.setenv("KINDRED_API_KEY", token)
    with KindredClient() as known:
        assert known.search("red").hits


def test_nobody_there_is_said_so() -> None:
    with (
        KindredClient("http://127.0.0.1:9", timeout_seconds=2) as kindred,
        pytest.raises(Unreachable, match=r"GET /v1/items/x at http://127\.0\.0\.1:9"),
    ):
        kindred.item("x")


def test_importing_it_loads_nothing_heavy() -> None:
    code = (
        "import sys, search_api.client\n"
        "heavy = {'litestar', 'torch', 'pyarrow', 'sqlalchemy', 'faiss', 'av', 'PIL'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
