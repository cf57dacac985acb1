"""How much one file may ask of the decoders."""

from __future__ import annotations

from dataclasses import dataclass

GIBIBYTE = 1024**3


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """Bounds on one file and on the process that decodes it.

    What a header states is checked before anything is decoded; memory and time are held by the
    operating system, since a header can lie.
    """

    max_pixels: int = 50_000_000
    """Width times height of a picture."""

    max_duration_seconds: float = 86_400.0
    """Length of a sound: 24 hours."""

    max_bytes: int = 20_000_000_000
    """Size of any file."""

    max_text_bytes: int = 50_000_000
    """Size of a text file: unlike sound, text is read whole."""

    max_memory_bytes: int = 4 * GIBIBYTE
    """Address space of a decoder process."""

    max_wall_seconds: float = 60.0
    """Time from the moment a decoder process takes up a task until it must have answered."""

    max_cpu_seconds: int = 60
    """Processor time of one task."""

    max_output_bytes: int = 0
    """Largest file that a decoder process may write; 0 for those that only read."""

    niceness: int = 0
    """How far a decoder process stands back behind others, as ``nice`` counts: up to 19."""
