"""Texts as vectors by 8-bit integers: the ONNX file of a sentence-transformers folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from encoders.errors import ConfigError, ModelCorrupt
from encoders.onnx_session import OnnxNetwork, open_session
from encoders.sentences.encoder import check_vocabulary, well_formed
from encoders.sentences.facts import SentenceFacts, sentence_facts
from encoders.space import Vectors, unit_rows

if TYPE_CHECKING:
    from tokenizers import Tokenizer

INT8_FILES = (
    "model_quint8_avx2.onnx",
    "model_uint8.onnx",
    "model_quantized.onnx",
    "model_int8.onnx",
    "model_qint8_avx512.onnx",
    "model_qint8_avx512_vnni.onnx",
    "model_qint8_arm64.onnx",
)
"""Names under which the library and the published exports write 8-bit files, best first.

The order is one for all processors, so that a model has the same vectors and ids everywhere. Signed
weights overflow in the fast kernel of x86 processors without VNNI; `open_session` then takes the
slower exact one, so they are right too but come last.
"""

POOLING_MODES = ("mean", "cls")

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
OUTPUTS = ("last_hidden_state", "token_embeddings")


class OnnxSentenceModel:
    """The int8 network of a sentence-transformers folder, with the surface of `SentenceModel`.

    Args:
        folder: the model's directory.
        file: ONNX file inside it, as `int8_file` chooses it.
        dim: length of the vectors it must give.
        num_threads: threads inside one run.

    Raises:
        ModelCorrupt: a file is missing or does not hold what it should.
        ConfigError: the model has a module, a pooling, an input or an output that only torch runs.
    """

    def __init__(self, folder: Path, file: str, *, dim: int, num_threads: int = 1) -> None:
        facts = sentence_facts(folder)
        self._mode = _pooling_mode(folder, facts)
        if facts.dim != dim:
            raise ModelCorrupt(
                f"{folder}: expected vectors of length {dim}, got {facts.dim}",
                file="config.json",
                expected=dim,
                got=facts.dim,
            )
        self.dim = dim
        self._tokenizer = _tokenizer(folder, facts)
        if facts.vocab_size is not None:
            check_vocabulary(folder, self._tokenizer.get_vocab(), facts.vocab_size)
        self._network = _network(folder, file, num_threads)
        self._inputs = _known_inputs(self._network, folder / file)
        self._output = _pieces_output(self._network, folder / file)
        got = self._text_vector("a").shape[0]
        if got != dim:
            raise ModelCorrupt(
                f"{folder / file}: expected vectors of length {dim}, got {got}",
                file=file,
                expected=dim,
                got=got,
            )

    def encode_texts(self, texts: list[str], *, prompt: str = "") -> Vectors:
        """Return one unit row per text.

        Args:
            texts: may be empty, and so may each text. What lies beyond the model's limit of word
                pieces has no influence.
            prompt: put in front of each text.

        Returns:
            ``(len(texts), dim)`` float32. Texts run one by one: the network scales its numbers to
            8 bits by the largest of a run, so that a neighbour would move a vector by up to 0.03.
        """
        vectors = np.empty((len(texts), self.dim), dtype=np.float32)
        for row, text in enumerate(well_formed([prompt + text for text in texts])):
            vectors[row] = self._text_vector(text)
        return unit_rows(vectors)

    def _text_vector(self, text: str) -> NDArray[np.float32]:
        """Return the ``(dim,)`` pooled vector of a text, not yet of length 1."""
        encoding = self._tokenizer.encode(text)
        # A tokenizer that adds no marks has no piece for an empty text, which matches nothing.
        if not encoding.ids:
            return np.zeros(self.dim, dtype=np.float32)
        values = {
            "input_ids": encoding.ids,
            "attention_mask": encoding.attention_mask,
            "token_type_ids": encoding.type_ids,
        }
        inputs = {name: np.array([values[name]], dtype=np.int64) for name in self._inputs}
        (pieces,) = self._network.run([self._output], inputs)
        vector: NDArray[np.float32] = (
            pieces[0, 0] if self._mode == "cls" else pieces[0].mean(axis=0)
        )
        return vector


def int8_file(onnx_files: Sequence[str], model: str) -> str:
    """Return the 8-bit file of a model, the same on every machine.

    Args:
        onnx_files: as `SentenceFacts.onnx_files` lists them.
        model: what to call the model in an error.

    Raises:
        ConfigError: none of them holds 8-bit integers.
    """
    for name in INT8_FILES:
        for file in sorted(onnx_files):
            if Path(file).name == name:
                return file
    raise ConfigError(
        f"{model} has no int8 file for onnxruntime; its ONNX files: "
        f"{', '.join(onnx_files) or 'none'}. Leave int8 off, or choose a model that has one",
        model=model,
        onnx_files=list(onnx_files),
        known=list(INT8_FILES),
    )


def _pooling_mode(folder: Path, facts: SentenceFacts) -> str:
    """Return how word pieces are pooled, or refuse what only torch runs."""
    for kind in facts.modules:
        if kind not in ("Transformer", "Pooling", "Normalize", "Dropout"):
            raise _torch_only(folder, f"module {kind}")
    if facts.pooling is None or facts.modules.count("Pooling") != 1:
        raise _torch_only(folder, "a chain without exactly one Pooling module")
    if not facts.pooling.include_prompt:
        raise _torch_only(folder, "pooling that leaves the prompt out (include_prompt: false)")
    if len(facts.pooling.modes) != 1 or facts.pooling.modes[0] not in POOLING_MODES:
        raise _torch_only(folder, f"pooling by {' and '.join(facts.pooling.modes)}")
    return facts.pooling.modes[0]


def _torch_only(folder: Path, what: str) -> ConfigError:
    return ConfigError(
        f"{folder}: {what} does not run as int8; it pools by {' or '.join(POOLING_MODES)} and "
        f"knows no Dense modules. Leave int8 off for this model",
        folder=str(folder),
        unsupported=what,
    )


def _tokenizer(folder: Path, facts: SentenceFacts) -> Tokenizer:
    from tokenizers import Tokenizer, normalizers

    path = folder / "tokenizer.json"
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises plain Exception
        raise ModelCorrupt(
            f"{path}: expected a tokenizer, got: {error}; pull or copy the model again",
            file="tokenizer.json",
            got=str(error),
        ) from error
    # The file keeps what its exporter had set.
    tokenizer.no_padding()
    tokenizer.no_truncation()
    if facts.max_word_pieces is not None:
        tokenizer.enable_truncation(facts.max_word_pieces)
    if facts.lower_case:
        own = [] if tokenizer.normalizer is None else [tokenizer.normalizer]
        tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), *own])
    return tokenizer


def _network(folder: Path, file: str, num_threads: int) -> OnnxNetwork:
    try:
        return open_session(folder / file, num_threads=num_threads, exact_integers=True)
    except Exception as error:  # the library raises errors without a common base
        raise ModelCorrupt(
            f"{folder / file}: expected a network for onnxruntime, got: {error}",
            file=file,
            got=str(error),
        ) from error


def _known_inputs(network: OnnxNetwork, path: Path) -> list[str]:
    names = [tensor.name for tensor in network.get_inputs()]
    unknown = [name for name in names if name not in INPUTS]
    if unknown:
        raise ConfigError(
            f"{path}: the network wants {', '.join(unknown)}; known here: {', '.join(INPUTS)}. "
            "Leave int8 off for this model",
            file=path.name,
            unsupported=unknown,
        )
    return names


def _pieces_output(network: OnnxNetwork, path: Path) -> str:
    names = [tensor.name for tensor in network.get_outputs()]
    for name in OUTPUTS:
        if name in names:
            return name
    raise ConfigError(
        f"{path}: the network gives {', '.join(names)}; expected {' or '.join(OUTPUTS)}. "
        "Leave int8 off for this model",
        file=path.name,
        got=names,
    )
