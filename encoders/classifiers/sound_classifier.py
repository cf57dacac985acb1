"""What is heard and how it sounds: YAMNet's scores of the AudioSet classes and its features."""

from __future__ import annotations

import csv
import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from encoders.classifiers.mel_spectrogram import (
    BANDS,
    PATCH_FRAMES,
    PATCH_HOP_FRAMES,
    SAMPLE_RATE_HZ,
    log_mel_patches,
)
from encoders.classifiers.outputs import ClassifierOutputs, LastBatch
from encoders.errors import ModelCorrupt
from encoders.media.content import Sound
from encoders.onnx_session import open_session

if TYPE_CHECKING:
    from onnx import ModelProto

PREPROCESSING_VERSION = 1
"""Raised with any change here or in the spectrogram that moves vectors."""

FEATURE_DIM = 1024
NUM_CLASSES = 521
# Measured on one core: 2.1 ms per patch alone, 1.6 ms in sixteens, no better beyond.
PATCHES_PER_RUN = 16

_INPUT = "audio"
_LOGITS = "class_scores_updated"
_POOLED = "/model/GlobalAveragePool_output_0"
_FLATTEN_SHAPE = "/model/Constant_output_0"


class SoundClassifier:
    """YAMNet over the 521 classes of AudioSet that it was trained on.

    A sound is cut into adjoining patches of 0.96 s, over which the probabilities of a class are
    averaged, and so are the features.

    Args:
        folder: the model's directory.
        num_threads: threads inside one run.

    Raises:
        ModelCorrupt: the network or the list of classes is not YAMNet's.
    """

    name = "yamnet"

    def __init__(self, folder: Path, *, num_threads: int = 1) -> None:
        self.class_names = _class_names(folder / "class_map.csv")
        self._session = open_session(
            _float_network(folder / "model.onnx").SerializeToString(),
            num_threads=num_threads,
            tensors=folder,
        )
        self._last = LastBatch()
        self._lock = threading.Lock()

    @cached_property
    def class_texts(self) -> tuple[tuple[str, ...], ...]:
        """For each class the texts that say what it is: AudioSet has one name per class."""
        return tuple((name,) for name in self.class_names)

    def outputs(self, batch: Sequence[Sound]) -> ClassifierOutputs:
        """Return class scores and features, one row per sound.

        The answer to the last batch is remembered: asking again with the same sounds, as two
        channels of a collection do, does not run the network again.

        Args:
            batch: sounds at 16 kHz of any length; one shorter than a patch is followed by silence.

        Raises:
            ValueError: a sound has another sample rate, or holds samples that are not numbers.
        """
        for sound in batch:
            _check_sound(sound)
        with self._lock:
            arrays = [sound.samples for sound in batch]
            known = self._last.recall(arrays)
            return known or self._last.remember(arrays, self._run(batch))

    def patch_outputs(self, sound: Sound) -> ClassifierOutputs:
        """Return the scores and features of every patch of one sound, in order of time."""
        _check_sound(sound)
        return self._run_patches(log_mel_patches(sound.samples))

    def _run(self, batch: Sequence[Sound]) -> ClassifierOutputs:
        logits = np.empty((len(batch), NUM_CLASSES), dtype=np.float32)
        features = np.empty((len(batch), FEATURE_DIM), dtype=np.float32)
        for row, sound in enumerate(batch):
            patches = self._run_patches(log_mel_patches(sound.samples))
            logits[row] = _mean_logits(patches.logits)
            features[row] = patches.features.mean(axis=0)
        return ClassifierOutputs(logits, features)

    def _run_patches(self, patches: NDArray[np.float32]) -> ClassifierOutputs:
        runs = [
            self._session.run(
                [_LOGITS, _POOLED], {_INPUT: patches[start : start + PATCHES_PER_RUN]}
            )
            for start in range(0, len(patches), PATCHES_PER_RUN)
        ]
        logits = np.concatenate([run[0] for run in runs])
        features = np.concatenate([run[1] for run in runs]).reshape(len(patches), FEATURE_DIM)
        return ClassifierOutputs(logits, features)


def sound_parameters() -> dict[str, object]:
    """Return the JSON-ready parameters that the outputs depend on besides the weights."""
    return {
        "version": PREPROCESSING_VERSION,
        "patch_frames": PATCH_FRAMES,
        "patch_hop_frames": PATCH_HOP_FRAMES,
    }


def _check_sound(sound: Sound) -> None:
    if sound.sample_rate_hz != SAMPLE_RATE_HZ:
        raise ValueError(f"sound is at {sound.sample_rate_hz} Hz, YAMNet takes {SAMPLE_RATE_HZ} Hz")
    if not np.isfinite(sound.samples).all():
        raise ValueError(f"{sound} holds samples that are not finite numbers")


def _mean_logits(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the ``(num_classes,)`` logits of the mean probabilities of ``(n, num_classes)``."""
    # log(p / (1 - p)) of the mean p, with log p and log(1 - p) kept apart so that neither end of
    # the scale loses its digits.
    wide = logits.astype(np.float64)
    log_yes = np.logaddexp.reduce(-np.logaddexp(0, -wide), axis=0)
    log_no = np.logaddexp.reduce(-np.logaddexp(0, wide), axis=0)
    return np.asarray(log_yes - log_no, dtype=np.float32)


def _class_names(path: Path) -> tuple[str, ...]:
    with path.open(encoding="utf-8", newline="") as file:
        names = tuple(row["display_name"] for row in csv.DictReader(file))
    if len(names) != NUM_CLASSES:
        raise ModelCorrupt(
            f"{path}: expected the names of {NUM_CLASSES} classes, got {len(names)}",
            file=str(path),
            expected=NUM_CLASSES,
            got=len(names),
        )
    return names


def _float_network(path: Path) -> ModelProto:
    """Return the published network without its 8-bit roundings, for any number of patches.

    The file holds float weights and rounds weights and activations to 8 bits on the way. Rounded
    and float networks find sounds equally well; without the roundings scores are not in steps of
    0.76, all processors give the same vectors (8-bit products saturate on those without VNNI), and
    patches run in batches. Two outputs are named: scores and the pooled features below them.
    """
    import onnx

    model = onnx.load(path, load_external_data=False)
    graph = model.graph
    source = {
        node.output[0]: node.input[0]
        for node in graph.node
        if node.op_type in ("QuantizeLinear", "DequantizeLinear")
    }
    nodes = [node for node in graph.node if node.output[0] not in source]
    for node in nodes:
        for at, name in enumerate(node.input):
            while name in source:
                name = source[name]
            node.input[at] = name
    used = {name for node in nodes for name in node.input}
    made = {name for node in nodes for name in node.output}
    if not {_INPUT, _FLATTEN_SHAPE} <= used or not {_LOGITS, _POOLED} <= made:
        raise ModelCorrupt(f"{path} is not the YAMNet this release knows", file=str(path))
    tensors = [tensor for tensor in graph.initializer if tensor.name in used]
    for tensor in tensors:
        if tensor.name == _FLATTEN_SHAPE:
            tensor.CopyFrom(
                onnx.numpy_helper.from_array(np.array([-1, FEATURE_DIM]), name=_FLATTEN_SHAPE)
            )
    floats = onnx.TensorProto.FLOAT
    value = onnx.helper.make_tensor_value_info
    return onnx.helper.make_model(
        onnx.helper.make_graph(
            nodes,
            "yamnet",
            [value(_INPUT, floats, ["num_patches", 1, PATCH_FRAMES, BANDS])],
            [
                value(_LOGITS, floats, ["num_patches", NUM_CLASSES]),
                value(_POOLED, floats, ["num_patches", FEATURE_DIM, 1, 1]),
            ],
            tensors,
        ),
        opset_imports=model.opset_import,
        ir_version=model.ir_version,
    )
