from __future__ import annotations

import json

import pytest

from encoders.clip.hub import (
    HubFiles,
    default_preprocess,
    hub_files,
    known_architecture,
    usual_preprocess,
)
from encoders.clip.library import open_clip_library
from encoders.errors import ConfigError

OPENAI = {
    "mean": [0.48145466, 0.4578275, 0.40821073],
    "std": [0.26862954, 0.26130258, 0.27577711],
    "interpolation": "bicubic",
    "resize_mode": "shortest",
}


def test_a_tag_says_what_to_fetch() -> None:
    assert hub_files("ViT-B-32", "laion2b_s34b_b79k") == HubFiles(
        architecture="ViT-B-32",
        repository="laion/CLIP-ViT-B-32-laion2B-s34B-b79K",
        weight_names=("open_clip_model.safetensors", "open_clip_pytorch_model.bin"),
        preprocess=OPENAI,
        text_tower_repository=None,
        tokenizer_repository=None,
    )


def test_weights_trained_with_quick_gelu_get_the_architecture_that_has_it() -> None:
    assert hub_files("ViT-B-32", "openai").architecture == "ViT-B-32-quickgelu"
    assert hub_files("ViT-B-32-quickgelu", "openai").architecture == "ViT-B-32-quickgelu"


def test_a_tokenizer_and_a_text_tower_of_transformers_are_named() -> None:
    siglip = hub_files("ViT-B-16-SigLIP-384", "webli")
    assert (siglip.text_tower_repository, siglip.tokenizer_repository) == (
        None,
        "timm/ViT-B-16-SigLIP",
    )
    roberta = hub_files("roberta-ViT-B-32", "laion2b_s12b_b32k")
    assert (roberta.text_tower_repository, roberta.tokenizer_repository) == (
        "roberta-base",
        "roberta-base",
    )


def test_a_weights_file_named_in_the_tag_is_looked_for_as_safetensors_first() -> None:
    files = hub_files("ViTamin-S", "datacomp1b")
    assert files.repository == "jienengchen/ViTamin-S"
    assert files.weight_names == ("pytorch_model.safetensors", "pytorch_model.bin")


def test_every_tag_of_the_library_can_be_fetched_and_says_how_pictures_are_made() -> None:
    for architecture, tag in open_clip_library().list_pretrained():
        files = hub_files(architecture, tag)
        assert "/" in files.repository
        # The tables leave it out for roberta's weights, whose architecture says it.
        if open_clip_library().get_pretrained_cfg(architecture, tag).get("quick_gelu"):
            assert known_architecture(files.architecture)["quick_gelu"]
        assert json.loads(json.dumps(files.preprocess)) == files.preprocess


def test_unknown_architecture_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="ViT-B-32"):
        hub_files("ViT-B-33", "openai")


def test_unknown_tag_names_those_there_are() -> None:
    with pytest.raises(ConfigError, match="laion2b_s34b_b79k"):
        hub_files("ViT-B-32", "laion3b")


def test_architecture_whose_weights_agree_says_how_pictures_are_made() -> None:
    assert usual_preprocess("ViT-B-16-SigLIP")["resize_mode"] == "squash"
    assert usual_preprocess("ViT-B-32") == OPENAI == default_preprocess()


def test_architecture_whose_weights_disagree_must_be_told() -> None:
    with pytest.raises(ConfigError, match="preprocess"):
        usual_preprocess("ViT-H-14")
