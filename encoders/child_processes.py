"""Python processes of our own that find the same modules as their parent, and no others."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def module_command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module, without looking for modules in the current folder.

    Somebody may start a server in a folder that holds a ``numpy.py``.
    """
    return [sys.executable, "-P", "-m", module, *arguments]


def child_environment(**variables: str) -> dict[str, str]:
    """Return this process's environment in which a child finds modules where its parent does.

    Args:
        **variables: set besides.
    """
    search_path = os.pathsep.join(str(Path(folder).absolute()) for folder in sys.path)
    return {**os.environ, "PYTHONPATH": search_path, **variables}
