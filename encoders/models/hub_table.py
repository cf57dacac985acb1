"""Models on the hub that are worth knowing: what somebody who is no expert chooses from.

Every other model of a family can be pulled as well. Sizes and licences are those that the
publishers state, and so are the figures in ``note``; nothing here was measured with Kindred.
"""

from __future__ import annotations

from dataclasses import dataclass

from encoders.media.content import Medium
from encoders.models.checkpoints import Family


@dataclass(frozen=True, slots=True)
class HubModel:
    """A model on the hub."""

    family: Family
    source: str
    """What collections call it, and ``kindred models pull FAMILY:SOURCE``."""

    media: tuple[Medium, ...]
    dim: int | None
    """Length of its vectors; ``None`` for a recogniser."""

    size_megabytes: int
    """Of its weights, about."""

    licence: str
    languages: str
    note: str
    """What it is good for."""

    @property
    def name(self) -> str:
        """What ``kindred models pull`` takes."""
        return f"{self.family}:{self.source}"


HUB_MODELS: tuple[HubModel, ...] = (
    HubModel(
        "open_clip",
        "ViT-B-32/datacomp_xl_s13b_b90k",
        ("image", "text"),
        512,
        605,
        "MIT",
        "English",
        "fast; 69 % zero-shot on ImageNet",
    ),
    HubModel(
        "open_clip",
        "ViT-B-16/datacomp_xl_s13b_b90k",
        ("image", "text"),
        512,
        599,
        "MIT",
        "English",
        "four times the work of ViT-B-32; 74 %",
    ),
    HubModel(
        "open_clip",
        "ViT-L-14/datacomp_xl_s13b_b90k",
        ("image", "text"),
        768,
        1_710,
        "MIT",
        "English",
        "for a GPU; 79 %",
    ),
    HubModel(
        "open_clip",
        "xlm-roberta-base-ViT-B-32/laion5b_s13b_b90k",
        ("image", "text"),
        512,
        1_460,
        "MIT",
        "about 100",
        "pictures asked for in many languages; 62 % in English",
    ),
    HubModel(
        "laion_clap",
        "laion/clap-htsat-unfused",
        ("audio", "text"),
        512,
        614,
        "Apache-2.0",
        "English",
        "sounds of all kinds",
    ),
    HubModel(
        "laion_clap",
        "laion/larger_clap_general",
        ("audio", "text"),
        512,
        776,
        "Apache-2.0",
        "English",
        "sounds, music and speech",
    ),
    HubModel(
        "laion_clap",
        "laion/larger_clap_music_and_speech",
        ("audio", "text"),
        512,
        776,
        "Apache-2.0",
        "English",
        "music",
    ),
    HubModel(
        "sentence_transformers",
        "BAAI/bge-small-en-v1.5",
        ("text",),
        384,
        133,
        "MIT",
        "English",
        "better than MiniLM at questions, twice the work",
    ),
    HubModel(
        "sentence_transformers",
        "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2",
        ("text",),
        384,
        471,
        "Apache-2.0",
        "about 50",
        "small, across languages; short texts (128 word pieces)",
    ),
    HubModel(
        "sentence_transformers",
        "intfloat/multilingual-e5-small",
        ("text",),
        384,
        471,
        "MIT",
        "about 100",
        "needs query_prompt 'query: ' and passage_prompt 'passage: '",
    ),
    HubModel(
        "sentence_transformers",
        "BAAI/bge-m3",
        ("text",),
        1024,
        2_270,
        "MIT",
        "more than 100",
        "long texts (8192 word pieces); for a GPU",
    ),
    HubModel("whisper", "tiny", ("audio",), None, 75, "MIT", "99", "fastest, many mistakes"),
    HubModel("whisper", "small", ("audio",), None, 484, "MIT", "99", "3 times the work of base"),
    HubModel(
        "whisper", "large-v3-turbo", ("audio",), None, 1_620, "MIT", "99", "best for its size; GPU"
    ),
)
