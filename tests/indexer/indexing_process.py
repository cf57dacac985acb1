"""An indexer of the tiny collection as a process of its own: prints what came of it as JSON.

python -m tests.indexer.indexing_process DATA_DIR [--wait-for FILE] [--stop-in build|publish]
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

from encoders.errors import KindredError
from indexer import reindex
from indexer.catalog.catalog import Catalog
from indexer.data_dir import DataDir
from indexer.lock import writer_lock
from tests.indexer.stored_items import identities, tiny_config


def stop_before(step: str) -> None:
    """Let this process stop itself, as ``kill -STOP`` would, when it comes to a step."""
    name = {"build": "build_index", "publish": "publish"}[step]
    module: Any = reindex
    if step == "build":
        from indexer import snapshot as module
    original = getattr(module, name)

    def stopping(*arguments: Any, **named: Any) -> Any:
        if not stopped:
            stopped.append(step)
            os.kill(os.getpid(), signal.SIGSTOP)
        return original(*arguments, **named)

    stopped: list[str] = []
    setattr(module, name, stopping)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("--wait-for", type=Path)
    parser.add_argument("--stop-in", choices=["build", "publish"])
    arguments = parser.parse_args()
    if arguments.stop_in:
        stop_before(arguments.stop_in)
    data_dir, config = DataDir(arguments.data_dir), tiny_config()
    with Catalog.open(data_dir) as catalog:
        while arguments.wait_for and not arguments.wait_for.exists():
            time.sleep(0.001)
        try:
            with writer_lock(data_dir, config.name, "indexing process") as lease:
                report = reindex.reindex(
                    catalog, data_dir, config, identities(), if_changed=True, lease=lease
                )
        except KindredError as error:
            print(json.dumps({"error": error.code, "message": error.message}))
        else:
            print(json.dumps(report.as_json()))


if __name__ == "__main__":
    main()
