"""What a LAION CLAP checkpoint (``.pt``) holds, told from its tensors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import isqrt
from pathlib import Path
from typing import TYPE_CHECKING

from encoders.errors import ModelCorrupt
from encoders.models.tensor_files import read_tensors

if TYPE_CHECKING:
    from torch import Tensor

# Cannot be read from shapes; the same in every RoBERTa.
_ROBERTA_HEAD_WIDTH = 64
_ROBERTA_LAYER_NORM_EPS = 1e-5

# Training's own, or worked out from the configuration.
_UNUSED = re.compile(
    r"audio_branch\.(spectrogram_extractor|logmel_extractor|tscam_conv|head)\..*"
    r"|audio_branch\..*\.(attn_mask|relative_position_index)"
    r"|text_branch\.embeddings\.(position_ids|token_type_ids)"
    r"|(audio|text)_transform\..*"
)

# LAION's names on the left; all are applied, in this order.
_RENAMED = (
    (r"^text_branch\.", "text_model."),
    (r"^audio_branch\.", "audio_model.audio_encoder."),
    (r"^(audio|text)_projection\.0\.", r"\1_projection.linear1."),
    (r"^(audio|text)_projection\.2\.", r"\1_projection.linear2."),
    (r"\.bn0\.", ".batch_norm."),
    (r"(\.blocks\.\d+)\.norm1\.", r"\1.layernorm_before."),
    (r"(\.blocks\.\d+)\.norm2\.", r"\1.layernorm_after."),
    (r"(\.blocks\.\d+)\.attn\.proj\.", r"\1.attention.output.dense."),
    (r"(\.blocks\.\d+)\.attn\.", r"\1.attention.self."),
    (r"(\.blocks\.\d+)\.mlp\.fc1\.", r"\1.intermediate.dense."),
    (r"(\.blocks\.\d+)\.mlp\.fc2\.", r"\1.output.dense."),
)


@dataclass(frozen=True, slots=True)
class LaionCheckpoint:
    """A CLAP of HTSAT and RoBERTa as LAION's training writes it."""

    path: Path
    tensors: Mapping[str, Tensor]
    """By LAION's names."""

    @property
    def has_fusion(self) -> bool:
        """Whether the audio tower fuses the features of a long sound's crops."""
        return "audio_branch.patch_embed.mel_conv2d.weight" in self.tensors

    def config_fields(self) -> dict[str, object]:
        """Return the configuration that shapes and names of tensors tell."""
        audio = "audio_branch."
        width, channels, *patch = self.shape(f"{audio}patch_embed.proj.weight", 4)
        if channels != 1 or patch != [4, 4]:
            raise self.refusal(
                f"patch_embed.proj.weight: expected ({width}, 1, 4, 4), got "
                f"{(width, channels, *patch)}",
                tensor=f"{audio}patch_embed.proj.weight",
            )
        num_stages = self.count(r"audio_branch\.layers\.(\d+)\.")
        tables = [
            self.shape(f"{audio}layers.{stage}.blocks.0.attn.relative_position_bias_table", 2)
            for stage in range(num_stages)
        ]
        hidden, _ = self.shape(f"{audio}layers.0.blocks.0.mlp.fc1.weight", 2)
        fields: dict[str, object] = {
            "patch_embeds_hidden_size": width,
            "hidden_size": width * 2 ** (num_stages - 1),
            "depths": [
                self.count(rf"audio_branch\.layers\.{stage}\.blocks\.(\d+)\.")
                for stage in range(num_stages)
            ],
            "num_attention_heads": [heads for _, heads in tables],
            "num_hidden_layers": num_stages,
            # A table holds every offset from one place of a window to another, both ways.
            "window_size": (isqrt(tables[0][0]) + 1) // 2,
            "mlp_ratio": hidden / width,
            "enable_fusion": self.has_fusion,
            "fusion_type": "aff_2d" if self.has_fusion else None,
        }
        if self.has_fusion:
            inner, *_ = self.shape(f"{audio}patch_embed.fusion_model.local_att.0.weight", 4)
            fields["aff_block_r"] = width // inner
        dim, _ = self.shape("audio_projection.2.weight", 2)
        return {
            "architectures": ["ClapModel"],
            "model_type": "clap",
            "projection_dim": dim,
            "audio_config": fields,
            "text_config": self._text_fields(),
        }

    def renamed_tensors(self) -> dict[str, Tensor]:
        """Return the tensors that vectors depend on, by transformers' names.

        Each lies in memory of its own, as safetensors wants it.
        """
        renamed: dict[str, Tensor] = {}
        for name, tensor in self.tensors.items():
            if _UNUSED.fullmatch(name):
                continue
            new = name
            for pattern, replacement in _RENAMED:
                new = re.sub(pattern, replacement, new)
            if ".self.qkv." in new:
                # One matrix for all three: queries above keys above values.
                for part, rows in zip(("query", "key", "value"), tensor.chunk(3), strict=False):
                    renamed[new.replace(".self.qkv.", f".self.{part}.")] = rows.clone()
            else:
                renamed[new] = tensor.contiguous().clone()
        return renamed

    def shape(self, name: str, num_axes: int) -> tuple[int, ...]:
        """Return the shape of a tensor that every CLAP of this kind has."""
        if name not in self.tensors:
            raise self.refusal(f"tensor {name!r} is missing", tensor=name)
        shape = tuple(self.tensors[name].shape)
        if len(shape) != num_axes or 0 in shape:
            raise self.refusal(
                f"tensor {name!r}: expected {num_axes} axes, got shape {shape}", tensor=name
            )
        return shape

    def count(self, pattern: str) -> int:
        """Return how many numbers a name counts up to; ``pattern`` has one group, the number."""
        found = (re.match(pattern, name) for name in self.tensors)
        counted = max((int(match[1]) + 1 for match in found if match), default=0)
        # A made-up number must not make a network of as many layers.
        return min(counted, len(self.tensors))

    def refusal(self, reason: str, **detail: object) -> ModelCorrupt:
        """Return the error that says why this is no CLAP that can be converted."""
        return ModelCorrupt(
            f"{self.path} is not a LAION CLAP of HTSAT and RoBERTa: {reason}",
            file=str(self.path),
            **detail,
        )

    def _text_fields(self) -> dict[str, object]:
        text = "text_branch."
        vocab_size, width = self.shape(f"{text}embeddings.word_embeddings.weight", 2)
        positions, _ = self.shape(f"{text}embeddings.position_embeddings.weight", 2)
        types, _ = self.shape(f"{text}embeddings.token_type_embeddings.weight", 2)
        hidden, _ = self.shape(f"{text}encoder.layer.0.intermediate.dense.weight", 2)
        return {
            "vocab_size": vocab_size,
            "hidden_size": width,
            "num_hidden_layers": self.count(r"text_branch\.encoder\.layer\.(\d+)\."),
            "num_attention_heads": width // _ROBERTA_HEAD_WIDTH,
            "intermediate_size": hidden,
            "max_position_embeddings": positions,
            "type_vocab_size": types,
            "layer_norm_eps": _ROBERTA_LAYER_NORM_EPS,
        }


def read_laion_checkpoint(path: Path) -> LaionCheckpoint:
    """Return the tensors of a ``.pt`` file without running anything that it may hold.

    Args:
        path: a state dict, alone or as ``state_dict`` beside what training wants to remember.

    Raises:
        ModelMissing: the file is not there.
        ModelCorrupt: it holds something else than tensors and plain values.
    """
    return LaionCheckpoint(path, read_tensors(path))
