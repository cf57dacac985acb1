"""What every benchmark says besides its figures, and how it is printed and kept."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

DISTRIBUTIONS = (
    "kindred-search",
    "numpy",
    "faiss-cpu",
    "torch",
    "timm",
    "onnxruntime",
    "sentence-transformers",
    "transformers",
    "open-clip-torch",
    "faster-whisper",
    "ctranslate2",
)


def environment() -> dict[str, object]:
    """Return what the figures were measured on: machine, Python and library versions."""
    versions = {}
    for name in DISTRIBUTIONS:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return {
        "machine": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": versions,
    }


def table(rows: Sequence[Mapping[str, str]]) -> str:
    """Return ``rows`` as a Markdown table whose columns line up; the first row names them."""
    names = list(rows[0])
    widths = {name: max(len(name), *(len(row[name]) for row in rows)) for name in names}
    lines = [
        [name.ljust(widths[name]) for name in names],
        ["-" * widths[name] for name in names],
        *([row[name].ljust(widths[name]) for name in names] for row in rows),
    ]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def write_json(path: Path, report: Mapping[str, object]) -> None:
    """Write a report where programs can read it, replacing an older one in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.replace(path)
