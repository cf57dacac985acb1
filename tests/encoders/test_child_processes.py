from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from encoders.child_processes import child_environment, module_command


def test_a_child_takes_no_modules_from_the_current_folder(tmp_path: Path) -> None:
    (tmp_path / "numpy.py").write_text("raise SystemExit(3)")
    (tmp_path / "encoders").mkdir()
    (tmp_path / "encoders" / "__init__.py").write_text("raise SystemExit(4)")
    command = module_command("encoders.media.content")
    done = subprocess.run(command, cwd=tmp_path, env=child_environment(), check=False)
    assert done.returncode == 0


def test_a_child_has_its_parent_s_environment_and_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KINDRED_SOMETHING", "kept")
    environment = child_environment(ADDED="yes")
    assert (environment["KINDRED_SOMETHING"], environment["ADDED"]) == ("kept", "yes")
