"""The one place that imports ONNX Runtime, set up to keep to itself."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class OnnxTensor(Protocol):
    """An input or output of a network."""

    @property
    def name(self) -> str:
        """What `OnnxNetwork.run` calls it."""
        ...


class OnnxNetwork(Protocol):
    """A network that is ready to run; several threads can share it."""

    def get_inputs(self) -> Sequence[OnnxTensor]:
        """Return what a run needs."""
        ...

    def get_outputs(self) -> Sequence[OnnxTensor]:
        """Return what a run gives."""
        ...

    def run(
        self, outputs: Sequence[str] | None, inputs: Mapping[str, NDArray[np.generic]]
    ) -> list[NDArray[Any]]:
        """Return the named outputs, or all of them."""
        ...


def open_session(
    network: Path | bytes,
    *,
    num_threads: int,
    tensors: Path | None = None,
    exact_integers: bool = False,
) -> OnnxNetwork:
    """Return a network that is ready to run on the processor.

    Args:
        network: an ONNX file, or its content.
        num_threads: threads inside one run.
        tensors: the folder of the tensors that ``network`` names but does not hold.
        exact_integers: multiply signed 8-bit weights without overflow on x86 processors that lack
            VNNI. Their fast instruction adds two products in 16 bits and cuts off what is more, so
            that vectors differ from those of other processors.
    """
    # Since 1.29 ONNX Runtime reports its use to its maker over the network unless this is set
    # before it is imported (onnxruntime pull request 27379). Nothing here leaves the machine.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    options.inter_op_num_threads = 1
    # Threads that spin while they wait take the cores from decoding.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if exact_integers:
        options.add_session_config_entry("session.x64quantprecision", "1")
    if tensors is not None:
        options.add_session_config_entry(
            "session.model_external_initializers_file_folder_path", str(tensors)
        )
    session: OnnxNetwork = onnxruntime.InferenceSession(
        network if isinstance(network, bytes) else str(network),
        options,
        providers=["CPUExecutionProvider"],
    )
    return session
