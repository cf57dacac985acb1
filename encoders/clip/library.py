"""The one place where open_clip is imported: its networks and tokenizers, read from a folder."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from encoders.clip.folder import (
    CONFIG_NAME,
    TEXT_TOWER_CONFIG_NAME,
    TOKENIZER_NAMES,
    WEIGHTS_NAME,
    OpenClipDescription,
    check_files,
    read_config,
)
from encoders.errors import DependencyMissing, ModelCorrupt
from encoders.torch_imports import install

MAX_MESSAGE_LINE = 300
"""A network of other weights is described by the library with the name of every tensor."""

RANDOM_FILLS = frozenset(
    {
        "uniform_",
        "normal_",
        "trunc_normal_",
        "kaiming_uniform_",
        "kaiming_normal_",
        "xavier_uniform_",
        "xavier_normal_",
    }
)


def open_clip_library() -> Any:
    """Return the module ``open_clip``, set to read local files only.

    Raises:
        DependencyMissing: it is not installed.
    """
    # Read by the hub's client when it is imported; everything needed lies in the folder.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    install()
    try:
        import open_clip
    except ModuleNotFoundError as error:
        if error.name != "open_clip":
            raise
        raise DependencyMissing(
            "open_clip models need the package open-clip-torch; install kindred-search[clip]",
            package="open-clip-torch",
        ) from error
    return open_clip


def load_towers(folder: Path) -> Any:
    """Return the network of a folder with its weights, in float32 on the processor.

    Raises:
        ModelMissing: a file is not there.
        ModelCorrupt: weights and architecture do not fit, naming some tensors.
        DependencyMissing: open_clip is not installed.
    """
    from safetensors import SafetensorError

    config = read_config(folder)
    check_files(folder, config)
    library = open_clip_library()
    try:
        with _quiet_library(), _no_random_weights():
            network = library.create_model(
                f"local-dir:{folder}", **_local_text_tower(folder, config)
            )
    except SafetensorError as error:
        raise ModelCorrupt(
            f"{folder / WEIGHTS_NAME} is not a safetensors file: {error}", file=WEIGHTS_NAME
        ) from error
    except (RuntimeError, ValueError, TypeError, KeyError, AttributeError, OSError) as error:
        # The library checks little itself: what it trips over is how a wrong folder shows.
        raise ModelCorrupt(
            f"{folder}: {WEIGHTS_NAME} and {CONFIG_NAME} do not make a network: "
            f"{_shortened(error)}",
            file=WEIGHTS_NAME,
        ) from error
    # The library hands networks out in training mode.
    return network.eval().requires_grad_(False)


def load_tokenizer(folder: Path, vocabulary_size: int) -> Any:
    """Return the tokenizer of a folder: called with texts it gives ``(n, length)`` int64 tokens.

    Args:
        folder: the model's directory.
        vocabulary_size: how many tokens the text tower knows.

    Raises:
        ModelCorrupt: it cannot be read, or does not fit the text tower.
    """
    config = read_config(folder)
    try:
        with _quiet_library():
            tokenizer = open_clip_library().get_tokenizer(f"local-dir:{folder}")
    except (RuntimeError, ValueError, TypeError, KeyError, AttributeError, OSError) as error:
        raise ModelCorrupt(
            f"{folder}: the files of the tokenizer cannot be used: {_shortened(error)}",
            file=TOKENIZER_NAMES[0],
        ) from error
    if config.tokenizer_name is None:
        # A way of training that drops words at random; a text's vector must be always the same.
        tokenizer.reduction_fn = None
        size = tokenizer.vocab_size
    else:
        size = len(tokenizer.tokenizer)
    # Without its files transformers builds a tokenizer of a few special tokens and says nothing;
    # every text then has the same vector. Towers may have rows to spare: CLIPA has 1478.
    if not vocabulary_size / 2 <= size <= vocabulary_size:
        raise ModelCorrupt(
            f"{folder}: the text tower knows {vocabulary_size} tokens, the tokenizer {size}",
            file=TOKENIZER_NAMES[0],
            expected=vocabulary_size,
            got=size,
        )
    return tokenizer


def describes_text_tower(path: Path) -> bool:
    """Tell whether a ``config.json`` is that of a text tower; many repositories have another one.

    Raises:
        DependencyMissing: open_clip is not installed.
    """
    open_clip_library()
    from open_clip.hf_configs import arch_dict

    try:
        return json.loads(path.read_text(encoding="utf-8")).get("model_type") in arch_dict
    except (OSError, ValueError, AttributeError, TypeError):
        return False


def _local_text_tower(folder: Path, config: OpenClipDescription) -> dict[str, object]:
    """Return what makes the library take a text tower's description from the folder."""
    if config.text_tower_name is None:
        return {}
    from open_clip.hf_configs import arch_dict

    path = folder / TEXT_TOWER_CONFIG_NAME
    try:
        kind = json.loads(path.read_text(encoding="utf-8")).get("model_type")
    except (ValueError, AttributeError) as error:
        raise ModelCorrupt(f"{path} describes no model: {error}", file=path.name) from error
    if kind not in arch_dict:
        raise ModelCorrupt(
            f"{path} describes a model of type {kind!r}, a text tower is one of "
            f"{', '.join(sorted(arch_dict))}; put the {TEXT_TOWER_CONFIG_NAME} of "
            f"{config.text_tower_name!r} there",
            file=path.name,
            got=kind,
        )
    text = {
        **config.model["text_cfg"],
        "hf_model_name": str(folder),
        "hf_model_pretrained": False,
    }
    return {"text_cfg": text}


def _shortened(error: Exception) -> str:
    lines = str(error).splitlines() or [repr(error)]
    return "\n".join(
        line if len(line) <= MAX_MESSAGE_LINE else f"{line[:MAX_MESSAGE_LINE]} ..."
        for line in lines
    )


def _no_random_weights() -> AbstractContextManager[object]:
    """Keep torch, in this thread, from drawing random weights: half of the time to load.

    What they would fill is overwritten: the library refuses a file that lacks one tensor.
    """
    from torch.overrides import TorchFunctionMode

    class _NoRandomWeights(TorchFunctionMode):
        def __torch_function__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            values = kwargs or {}
            if getattr(func, "__name__", "") in RANDOM_FILLS:
                # torch.nn.init has functions named as the tensor's methods; they pass it by name.
                return args[0] if args else values["tensor"]
            return func(*args, **values)

    return _NoRandomWeights()


@contextmanager
def _quiet_library() -> Iterator[None]:
    """Keep the library's notes off the root logger, and from giving that logger a handler.

    The library calls ``logging.info`` and ``logging.warning`` themselves, which set up logging to
    standard error for the whole process when nobody has.
    """
    root = logging.getLogger()
    handler = logging.NullHandler()
    root.addHandler(handler)
    root.addFilter(_is_not_from_library)
    try:
        yield
    finally:
        root.removeFilter(_is_not_from_library)
        root.removeHandler(handler)


def _is_not_from_library(record: logging.LogRecord) -> bool:
    return Path(record.pathname).parent.name != "open_clip"
