"""Let the machine-learning libraries import beside a torch whose companions do not match it.

The package index carries CUDA builds of torchvision and torchaudio. Beside a CPU build of torch
their native libraries cannot load, and then ``import torchvision`` fails on an operator that is
not there; transformers, sentence-transformers and open_clip import torchvision when it is
installed, so they fail with it. What they use of torchvision needs no native operator.

`install` puts a finder first in ``sys.meta_path`` that waits for their first import. Just before
torchvision's it tries the native library; if that cannot load, it declares the two operators that
torchvision registers Python code for. Before transformers' or torchaudio's it tries torchaudio's
native library; if that cannot load, torchaudio is reported as not installed, which transformers
takes for an answer. Beside matching builds nothing changes.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cache
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

_NMS_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_NATIVE_LIBRARIES = {"torchvision": "_C*.so", "torchaudio": "lib/libtorchaudio*.so"}


class _CompanionFinder(MetaPathFinder):
    """Prepares torchvision and torchaudio just before they are imported; finds nothing itself."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Act on the names that matter, then let the other finders answer."""
        if fullname == "torchvision":
            if not _native_libraries_load("torchvision"):
                _declare_torchvision_operators()
        elif fullname in ("transformers", "torchaudio") and not _native_libraries_load(
            "torchaudio"
        ):
            # None in sys.modules is how the import system writes "known not to be there". It must
            # be written before transformers looks for torchaudio: a finder cannot answer "no" for
            # the finders after it.
            sys.modules["torchaudio"] = None  # type: ignore[assignment]
            if fullname == "torchaudio":
                raise ModuleNotFoundError(
                    "torchaudio is installed, but its native library does not match this torch",
                    name="torchaudio",
                )
        return None


@cache
def install() -> None:
    """Install the hook; call it before the first import of a library that uses torch.

    It imports nothing itself and does nothing the second time.
    """
    sys.meta_path.insert(0, _CompanionFinder())


@cache
def _native_libraries_load(package: str) -> bool:
    """Tell whether every native library of ``package`` loads; true when it has none."""
    spec = PathFinder.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return True
    import torch

    folder = Path(next(iter(spec.submodule_search_locations)))
    for library in sorted(folder.glob(_NATIVE_LIBRARIES[package])):
        try:
            torch.ops.load_library(str(library))  # type: ignore[no-untyped-call]
        except OSError:
            return False
    return True


@cache
def _declare_torchvision_operators() -> Any:
    """Declare the operators; cached, because they vanish with the library object."""
    import torch

    library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for operator in ("nms", "qnms"):
        library.define(operator + _NMS_SCHEMA)  # type: ignore[no-untyped-call]
    return library
