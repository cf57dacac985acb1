from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(code: str, *paths: Path) -> str:
    """Run ``code`` in a fresh interpreter with ``paths`` before all others; return its stdout."""
    finished = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={
            **os.environ,
            "HF_HUB_OFFLINE": "1",
            "PYTHONPATH": os.pathsep.join(map(str, [*paths, ROOT])),
        },
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


@pytest.fixture
def companions(tmp_path: Path) -> Path:
    """A torchvision and a torchaudio whose native libraries cannot load."""
    vision = tmp_path / "torchvision"
    audio = tmp_path / "torchaudio"
    (audio / "lib").mkdir(parents=True)
    vision.mkdir()
    for library in (vision / "_C.so", audio / "lib" / "libtorchaudio.so"):
        library.write_bytes(b"not a library")
    # As torchvision does when it is imported: it adds Python code to an operator that only its
    # native library declares.
    (vision / "__init__.py").write_text(
        "import torch\n"
        "@torch.library.register_fake('torchvision::nms')\n"
        "def nms(dets, scores, iou_threshold):\n"
        "    return dets\n"
    )
    (audio / "__init__.py").write_text("raise OSError('undefined symbol')\n")
    return tmp_path


def test_installing_imports_no_library_and_happens_once() -> None:
    out = run(
        "import sys\n"
        "from encoders.torch_imports import install\n"
        "before = len(sys.meta_path)\n"
        "install(); install()\n"
        "print(len(sys.meta_path) - before, 'torch' in sys.modules, 'torchvision' in sys.modules)\n"
    )
    assert out.split() == ["1", "False", "False"]


def test_torchvision_with_a_library_that_cannot_load_still_imports(companions: Path) -> None:
    code = "import torchvision, torch; print(torch.ops.torchvision.nms, torch.ops.torchvision.qnms)"
    with_hook = f"from encoders.torch_imports import install; install(); {code}"
    assert run(with_hook, companions).split() == ["torchvision.nms", "torchvision.qnms"]


def test_torchaudio_with_a_library_that_cannot_load_counts_as_absent(companions: Path) -> None:
    out = run(
        "from encoders.torch_imports import install; install()\n"
        "import importlib.util\n"
        "try:\n"
        "    import torchaudio\n"
        "except ModuleNotFoundError as error:\n"
        "    print(error.name, importlib.util.find_spec('torchaudio'))\n",
        companions,
    )
    assert out.split() == ["torchaudio", "None"]


def test_transformers_finds_no_torchaudio_that_cannot_load(companions: Path) -> None:
    out = run(
        "from encoders.torch_imports import install; install()\n"
        "import importlib.util\n"
        "import transformers\n"
        "print(importlib.util.find_spec('torchaudio'))\n",
        companions,
    )
    assert out.split() == ["None"]


def test_companions_without_native_libraries_are_left_alone(tmp_path: Path) -> None:
    for name in ("torchvision", "torchaudio"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("answer = 42\n")
    out = run(
        "from encoders.torch_imports import install; install()\n"
        "import torch, torchvision, torchaudio\n"
        "print(torchvision.answer, torchaudio.answer, hasattr(torch.ops.torchvision, 'nms'))\n",
        tmp_path,
    )
    assert out.split() == ["42", "42", "False"]


def test_sentence_transformers_and_timm_import_in_this_environment() -> None:
    out = run(
        "from encoders.torch_imports import install; install()\n"
        "import timm, sentence_transformers, torchvision\n"
        "print(timm.__name__, sentence_transformers.__name__, torchvision.__name__)\n"
    )
    assert out.split() == ["timm", "sentence_transformers", "torchvision"]
