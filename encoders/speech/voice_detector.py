"""How probable it is that somebody speaks: Silero's network, which comes with faster-whisper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from encoders.errors import DependencyMissing
from encoders.onnx_session import OnnxNetwork, open_session
from encoders.speech.voice_activity import SAMPLES_PER_FRAME

NETWORK_FILE = "assets/silero_vad_v6.onnx"
NETWORK_SHA256 = "4cbf549b8326f60f80f2536d9eefeb450a9abe83365a098031c89719f1be17d2"
"""Of the file that the figures were measured with."""

_CONTEXT_SAMPLES = 64
_STATE_SHAPE = (1, 1, 128)


class VoiceNetwork(Protocol):
    """What a detector needs of the network: here, or in another process."""

    def run(
        self, outputs: Sequence[str] | None, inputs: Mapping[str, NDArray[np.generic]]
    ) -> list[NDArray[Any]]:
        """Return all outputs."""
        ...


class VoiceDetector:
    """Listens to one recording from its beginning to its end.

    The network remembers what it heard, so the answers do not depend on how the recording is
    handed over.

    Args:
        network: as `open_network` gives it; several detectors can share it.
    """

    def __init__(self, network: VoiceNetwork) -> None:
        self._network = network
        self._hidden = np.zeros(_STATE_SHAPE, dtype=np.float32)
        self._cell = np.zeros(_STATE_SHAPE, dtype=np.float32)
        self._context = np.zeros(_CONTEXT_SAMPLES, dtype=np.float32)
        self._rest = np.zeros(0, dtype=np.float32)

    def feed(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the probability of speech in each frame that is now complete.

        Args:
            samples: ``(num_samples,)`` at 16 kHz, those that follow the ones before.
        """
        pending = np.concatenate([self._rest, samples])
        num_frames = len(pending) // SAMPLES_PER_FRAME
        complete, self._rest = np.split(pending, [num_frames * SAMPLES_PER_FRAME])
        if num_frames == 0:
            return np.zeros(0, dtype=np.float32)
        frames = complete.reshape(num_frames, SAMPLES_PER_FRAME)
        tails = frames[:, -_CONTEXT_SAMPLES:]
        contexts = np.concatenate([self._context[np.newaxis], tails[:-1]])
        probabilities, self._hidden, self._cell = self._network.run(
            None,
            {
                "input": np.concatenate([contexts, frames], axis=1),
                "h": self._hidden,
                "c": self._cell,
            },
        )
        self._context = tails[-1]
        return np.asarray(probabilities, dtype=np.float32).reshape(num_frames)

    def finish(self) -> NDArray[np.float32]:
        """Return the probability for what is left, followed by silence: one frame or none."""
        if not len(self._rest):
            return np.zeros(0, dtype=np.float32)
        missing = SAMPLES_PER_FRAME - len(self._rest)
        return self.feed(np.zeros(missing, dtype=np.float32))


def open_network() -> OnnxNetwork:
    """Return the network, ready to run.

    Raises:
        DependencyMissing: faster-whisper is not installed, or brings another network.
    """
    spec = find_spec("faster_whisper")
    folder = None if spec is None or spec.origin is None else Path(spec.origin).parent
    if folder is None or not (folder / NETWORK_FILE).is_file():
        raise DependencyMissing(
            f"speech is found with {NETWORK_FILE} of faster-whisper 1.2, which "
            f"{'is not installed' if folder is None else f'is not in {folder}'}",
            package="faster-whisper",
        )
    return open_session(folder / NETWORK_FILE, num_threads=1)
