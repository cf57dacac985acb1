"""Putting weights into transformers' ClapModel, with everything that does not fit named."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from encoders.clap.settings import CONFIG_NAME, json_object
from encoders.errors import ModelCorrupt
from encoders.torch_imports import install

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import ClapConfig, ClapModel

WEIGHTS_NAME = "model.safetensors"

# Follow from the configuration. Some published files hold them and some do not, after the release
# of the library that wrote them; they are worked out and never read.
_DERIVED = ("position_ids", "token_type_ids", "relative_position_index")
_MOST_NAMES = 5


def load_clap_network(folder: Path) -> ClapModel:
    """Return the network of a folder on the processor, ready to infer.

    Raises:
        ModelCorrupt: a file is missing or is not what it should be, or tensors do not fit.
    """
    install()
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    # Typed loosely where transformers annotates for itself alone.
    network: Any = empty_clap_network(clap_configuration(folder / CONFIG_NAME))
    path = folder / WEIGHTS_NAME
    try:
        tensors = load_file(path)
    except FileNotFoundError:
        raise ModelCorrupt(f"{path} is not there", file=str(path)) from None
    except SafetensorError as error:
        raise ModelCorrupt(f"{path} is not a safetensors file: {error}", file=str(path)) from error
    tensors = {name: tensor for name, tensor in tensors.items() if not is_derived(name)}
    check_tensors(network, tensors, path)
    network.load_state_dict(tensors, strict=False, assign=True)
    _work_out_derived(network)
    loaded: ClapModel = network.eval().requires_grad_(False)
    return loaded


def clap_configuration(path: Path) -> ClapConfig:
    """Return what ``config.json`` says as transformers understands it.

    Raises:
        ModelCorrupt: naming the file and what is wrong with it.
    """
    install()
    from huggingface_hub.errors import StrictDataclassError
    from transformers import ClapConfig

    try:
        return ClapConfig.from_dict(json_object(path))
    except (StrictDataclassError, TypeError, ValueError, AttributeError) as error:
        raise ModelCorrupt(f"{path} configures no CLAP: {error}", file=str(path)) from error


def empty_clap_network(config: ClapConfig) -> ClapModel:
    """Return a network whose tensors have names and shapes and no content yet."""
    import torch
    from transformers import ClapModel

    try:
        with torch.device("meta"):
            return ClapModel(config)
    except (RuntimeError, TypeError, ValueError, IndexError, ZeroDivisionError) as error:
        raise ModelCorrupt(f"the configuration makes no network: {error}") from error


def is_derived(name: str) -> bool:
    """Tell whether a tensor follows from the configuration."""
    return name.endswith(_DERIVED)


def check_tensors(network: ClapModel, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Refuse tensors that are not exactly those of the network.

    Raises:
        ModelCorrupt: naming missing, unexpected and misshapen tensors, these with both shapes.
    """
    shapes = {
        name: tuple(tensor.shape)
        for name, tensor in network.state_dict().items()
        if not is_derived(name)
    }
    faults = {
        "missing": sorted(set(shapes) - set(tensors)),
        "unexpected": sorted(set(tensors) - set(shapes)),
        "of another shape": [
            f"{name} (expected {shape}, got {tuple(tensors[name].shape)})"
            for name, shape in sorted(shapes.items())
            if name in tensors and tuple(tensors[name].shape) != shape
        ],
    }
    found = [f"{kind}: {_some(names)}" for kind, names in faults.items() if names]
    if found:
        raise ModelCorrupt(
            f"{path}: the tensors are not those of this CLAP; {'; '.join(found)}",
            file=str(path),
            **{kind.replace(" ", "_"): names for kind, names in faults.items()},
        )


def _some(names: list[str]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def _work_out_derived(network: Any) -> None:
    import torch
    from transformers.models.clap.modeling_clap import ClapAudioSelfAttention

    embeddings = network.text_model.embeddings
    shape = tuple(embeddings.position_ids.shape)
    embeddings.position_ids = torch.arange(shape[1]).expand(shape)
    embeddings.token_type_ids = torch.zeros(shape, dtype=torch.long)
    for module in network.modules():
        if isinstance(module, ClapAudioSelfAttention):
            attention: Any = module
            attention.relative_position_index = attention.create_relative_position_index()
