from __future__ import annotations

import os
import subprocess
import sys

import pytest

from encoders.thread_defaults import THREAD_DEFAULTS, set_thread_defaults


def test_what_the_environment_says_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in THREAD_DEFAULTS:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    set_thread_defaults()
    assert {name: os.environ[name] for name in THREAD_DEFAULTS} == {
        **THREAD_DEFAULTS,
        "OMP_NUM_THREADS": "7",
    }


def test_odd_values_of_the_c_library_are_left_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_ARENA_MAX", "many")
    set_thread_defaults()
    assert os.environ["MALLOC_ARENA_MAX"] == "many"


def test_the_command_starts_no_second_pool_of_blas_threads() -> None:
    code = (
        "import sys; from search_api.cli.main import main\n"
        "try:\n    main(['--version'])\nexcept SystemExit:\n    pass\n"
        "import threadpoolctl, numpy\n"
        "print([pool['num_threads'] for pool in threadpoolctl.threadpool_info()])"
    )
    environment = {k: v for k, v in os.environ.items() if k not in THREAD_DEFAULTS}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[1]"
