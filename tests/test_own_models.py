"""A collection of CLIP, CLAP and a sentence model of one's own, from files to hits."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from PIL import Image

from encoders.admission.report import AdmissionRefused
from encoders.config import ClapConfig, OpenClipConfig
from encoders.errors import SpaceMismatch
from encoders.loading import EncoderLoader
from encoders.media.content import Picture
from encoders.media.sandbox import DecodeSandbox
from encoders.models.checkpoint_pull import pull_checkpoint
from encoders.models.folder import ModelFolder
from indexer.catalog.catalog import Catalog
from indexer.config import CollectionConfig, parse_collection
from indexer.data_dir import DataDir
from indexer.live_view import LiveCollection
from indexer.pipeline import channel_identities, ingest
from indexer.reindex import reindex
from search_api.query_vectors import LocalQueryEncoder
from search_api.schemas import MediaSearchRequest, SearchRequest, SearchResponse
from search_api.searcher import Searcher
from tests.generated_media import gradient, noise, scene, sine, write_sound, write_video
from tests.small_clap import save_small_clap
from tests.small_open_clip import write_small_model
from tests.small_sentence_models import bert_model

COLLECTION = """
name: own
channels:
  pictures:
    media: [image]
    encoder: {{family: open_clip, model: {clip}}}
  frames:
    media: [video]
    segments: {{kind: shots, max_seconds: 10}}
    encoder: {{family: open_clip, model: {clip}}}
  sounds:
    media: [audio, video]
    segments: {{kind: windows, length_seconds: 5, hop_seconds: 5}}
    encoder: {{family: laion_clap, model: {clap}}}
  passages:
    media: [text]
    segments: {{kind: passages, max_words: 20}}
    encoder: {{family: sentence_transformers, model: {bert}, query_prompt: "query: "}}
"""


class OwnCollection:
    """Models pulled from local folders, media, and a catalog."""

    def __init__(self, root: Path) -> None:
        self.models = ModelFolder(root / "models")
        clip = write_small_model(root / "clip")
        clap = save_small_clap(root / "clap")
        bert = bert_model(root / "bert")
        pull_checkpoint("open_clip", str(clip), self.models)
        pull_checkpoint("laion_clap", str(clap), self.models)
        pull_checkpoint("sentence_transformers", str(bert), self.models)
        self.clip, self.clap = clip, clap
        self.config: CollectionConfig = parse_collection(
            COLLECTION.format(clip=clip, clap=clap, bert=bert)
        )
        self.loader = EncoderLoader(self.models, trained=False)
        self.data_dir = DataDir(root / "data")
        self.media = root / "media"
        self.media.mkdir()
        self._write_media()

    def _write_media(self) -> None:
        for number in range(3):
            Image.fromarray(gradient(60, 40, seed=number)).save(self.media / f"p{number}.png")
        write_sound(self.media / "tone.wav", sine(440.0, seconds=6.0), 16_000)
        write_sound(self.media / "hiss.wav", noise(seconds=6.0), 16_000)
        frames = [scene(number // 20, 64, 48) for number in range(40)]
        write_video(self.media / "film.mp4", frames, sound=sine(220.0, seconds=4.0))
        (self.media / "story.txt").write_text("the cat sat on the mat and looked at the dog")

    def ingested(self, catalog: Catalog) -> Any:
        summary = ingest([self.media], catalog, self.config, self.loader)
        identities = channel_identities(self.config, self.loader)
        reindex(catalog, self.data_dir, self.config, identities)
        return summary

    def ask(self, catalog: Catalog, *, file: Path | None = None, **query: Any) -> SearchResponse:
        identities = channel_identities(self.config, self.loader)
        live = LiveCollection(catalog, self.data_dir, self.config, identities)
        live.refresh()
        with DecodeSandbox() as sandbox:
            encoder = LocalQueryEncoder(self.loader, self.config, sandbox)
            searcher = Searcher(self.config, live.view, encoder)
            if file is not None:
                return asyncio.run(searcher.search_file(file, MediaSearchRequest()))
            asked = msgspec.convert({"query": query, "limit": 20}, SearchRequest)
            return asyncio.run(searcher.search(asked))


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> OwnCollection:
    return OwnCollection(tmp_path_factory.mktemp("own"))


@pytest.fixture(scope="module")
def catalog(own: OwnCollection) -> Any:
    with Catalog.open(own.data_dir) as opened:
        summary = own.ingested(opened)
        assert summary.failures == []
        assert summary.counts["encoded"] == 7
        yield opened


def test_words_are_compared_with_each_medium_in_its_own_space(
    own: OwnCollection, catalog: Catalog
) -> None:
    answer = own.ask(catalog, text="a cat on a mat")
    scores = {moment.channel: moment.score for hit in answer.hits for moment in hit.moments}
    assert set(scores) == {"pictures", "frames", "sounds", "passages"}
    words = own.loader.open(OpenClipConfig(str(own.clip), tower="text")).encode(["a cat on a mat"])
    pictures = own.loader.open(OpenClipConfig(str(own.clip))).encode(
        [Picture(gradient(60, 40, seed=number)) for number in range(3)]
    )
    found = {
        Path(hit.location).name: hit.moments[0].score
        for hit in answer.hits
        if hit.modality == "image"
    }
    expected = (pictures @ words[0]).round(3)
    got = np.array([found[f"p{number}.png"] for number in range(3)]).round(3)
    np.testing.assert_allclose(got, expected, atol=2e-3)  # vectors are stored in float16


def test_a_file_finds_itself_and_its_own_medium(own: OwnCollection, catalog: Catalog) -> None:
    for name in ("p1.png", "hiss.wav"):
        answer = own.ask(catalog, file=own.media / name)
        assert Path(answer.hits[0].location).name == name
        assert answer.hits[0].moments[0].score == pytest.approx(1.0, abs=2e-3)


def test_a_second_run_encodes_nothing(own: OwnCollection, catalog: Catalog) -> None:
    summary = ingest([own.media], catalog, own.config, own.loader)
    assert summary.encoder_calls == 0
    assert summary.counts["unchanged"] == 7


def test_weights_that_mean_nothing_are_refused_before_they_serve(own: OwnCollection) -> None:
    trained = EncoderLoader(own.models)
    with pytest.raises(AdmissionRefused) as caught:
        trained.open(OpenClipConfig(str(own.clip)))
    assert caught.value.detail["failed"]


def test_an_index_of_another_model_is_refused_with_both_spaces(
    own: OwnCollection, catalog: Catalog
) -> None:
    identities = dict(channel_identities(own.config, own.loader))
    stranger = own.loader.identify(ClapConfig(str(own.clap)))
    identities["pictures"] = stranger
    live = LiveCollection(catalog, own.data_dir, own.config, identities)
    with pytest.raises(SpaceMismatch) as caught:
        live.refresh()
    assert stranger.space_id in caught.value.message
