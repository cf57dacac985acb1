"""What is in a picture and how it looks: an ImageNet classifier's class scores and features."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from encoders.classifiers.outputs import ClassifierOutputs, LastBatch
from encoders.errors import ModelCorrupt
from encoders.media.content import Picture
from encoders.torch_imports import install

PREPROCESSING_VERSION = 1
"""Raised with any change here that moves vectors, so that stored ones are not mixed with new."""

FEATURE_DIM = 1280
NUM_CLASSES = 1000
INPUT_PX = 260
# Measured on one core: 37 to 43 ms per picture in runs of 1 to 4, 50 ms in runs of 16, whose
# activations leave the cache. A CUDA device wants more at once.
PICTURES_PER_RUN_ON_CPU = 4
PICTURES_PER_RUN_ON_CUDA = 64


def square_pixels(picture: Picture, side_px: int) -> NDArray[np.uint8]:
    """Return all of a picture on a white square, resampled once with a bicubic filter.

    Args:
        picture: of any size from 1 x 1.
        side_px: side of the square; the picture's longer side becomes as long.

    Returns:
        ``(side_px, side_px, 3)`` uint8.
    """
    from PIL import Image

    image = Image.fromarray(picture.pixels)
    scale = side_px / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    square = np.full((side_px, side_px, 3), 255, dtype=np.uint8)
    left, top = (side_px - width) // 2, (side_px - height) // 2
    square[top : top + height, left : left + width] = np.asarray(
        image.resize((width, height), Image.Resampling.BICUBIC)
    )
    return square


def normalized(squares: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return ``(n, side, side, 3)`` pixels as the network was trained on them, about [-1, 1]."""
    return (squares.astype(np.float32) - np.float32(127)) / np.float32(128)


class ImageClassifier:
    """EfficientNet-Lite2 trained on the 1000 classes of ImageNet.

    Args:
        folder: the model's directory.
        device: ``cpu`` or ``cuda:N``.

    Raises:
        ModelCorrupt: the weights do not fit the network.
    """

    name = "efficientnet_lite2"

    def __init__(self, folder: Path, *, device: str = "cpu") -> None:
        self.device = device
        self._pictures_per_run = (
            PICTURES_PER_RUN_ON_CPU if device == "cpu" else PICTURES_PER_RUN_ON_CUDA
        )
        self._network = _load_network(folder / "model.pth", device)
        self._last: LastBatch = LastBatch()
        self._lock = threading.Lock()

    @cached_property
    def class_texts(self) -> tuple[tuple[str, ...], ...]:
        """For each class its names, the usual one first, and last its dictionary definition."""
        from timm.data.imagenet_info import ImageNetInfo

        info = ImageNetInfo("imagenet-1k")
        texts = []
        for index in range(NUM_CLASSES):
            names = info.index_to_description(index)
            definition = info.index_to_description(index, detailed=True).removeprefix(f"{names}: ")
            texts.append((*names.split(", "), definition))
        return tuple(texts)

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """The usual name of each class."""
        return tuple(texts[0] for texts in self.class_texts)

    def outputs(self, batch: Sequence[Picture]) -> ClassifierOutputs:
        """Return class scores and features, one row per picture.

        The answer to the last batch is remembered: asking again with the same pictures, as two
        channels of a collection do, does not run the network again.
        """
        with self._lock:
            arrays = [picture.pixels for picture in batch]
            known = self._last.recall(arrays)
            return known or self._last.remember(arrays, self._run(batch))

    def _run(self, batch: Sequence[Picture]) -> ClassifierOutputs:
        import torch

        logits = np.empty((len(batch), NUM_CLASSES), dtype=np.float32)
        features = np.empty((len(batch), FEATURE_DIM), dtype=np.float32)
        with torch.inference_mode():
            for start in range(0, len(batch), self._pictures_per_run):
                part = batch[start : start + self._pictures_per_run]
                rows = slice(start, start + len(part))
                squares = np.stack([square_pixels(each, INPUT_PX) for each in part])
                # (n, height, width, 3) seen as (n, 3, height, width) is channels_last already.
                pixels = torch.from_numpy(normalized(squares)).permute(0, 3, 1, 2)
                maps = self._network.forward_features(pixels.to(self.device))
                pooled = self._network.global_pool(maps)
                features[rows] = pooled.cpu().numpy()
                logits[rows] = self._network.classifier(pooled).cpu().numpy()
        return ClassifierOutputs(logits, features)


def picture_parameters() -> dict[str, object]:
    """Return the JSON-ready parameters that the outputs depend on besides the weights."""
    return {"version": PREPROCESSING_VERSION, "input_px": INPUT_PX}


def _load_network(path: Path, device: str) -> Any:
    """Return timm's EfficientNet-Lite2 holding the published weights, ready to infer."""
    import pickle

    install()
    import timm
    import torch

    try:
        published = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError) as error:
        raise ModelCorrupt(f"{path} is not a file of tensors: {error}", file=str(path)) from error
    network = timm.create_model("tf_efficientnet_lite2", pretrained=False)
    ours = network.state_dict()
    # The published names are those of another implementation of the same network, whose layers
    # come in the same order; the shapes are compared one by one.
    shapes = [tuple(tensor.shape) for tensor in ours.values()]
    got = [tuple(tensor.shape) for tensor in published.values()]
    if shapes != got:
        differs = next(
            (at for at, (a, b) in enumerate(zip(shapes, got, strict=False)) if a != b),
            min(len(shapes), len(got)),
        )
        raise ModelCorrupt(
            f"{path}: expected {len(shapes)} tensors of EfficientNet-Lite2, got {len(got)}; "
            f"tensor {differs} is the first that differs",
            file=str(path),
            expected=len(shapes),
            got=len(got),
        )
    network.load_state_dict(dict(zip(ours, published.values(), strict=True)))
    network.eval().requires_grad_(False)
    _fold_normalisations(network)
    return network.to(memory_format=torch.channels_last).to(device)  # type: ignore[call-overload]


def _fold_normalisations(module: Any) -> None:
    """Carry each batch normalisation into the convolution before it: a third less time.

    timm's normalisation layers end with the activation, which stays.
    """
    from torch import nn
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    children = list(module.named_children())
    for (name, layer), (next_name, following) in itertools.pairwise(children):
        if isinstance(layer, nn.Conv2d) and isinstance(following, nn.BatchNorm2d):
            setattr(module, name, fuse_conv_bn_eval(layer, following))
            setattr(module, next_name, following.act)
    for _, child in module.named_children():
        _fold_normalisations(child)
