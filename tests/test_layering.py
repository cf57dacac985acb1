"""The direction of imports, and where heavy libraries may be imported."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAY_IMPORT = {
    "encoders": {"encoders"},
    "indexer": {"indexer", "encoders"},
    "search_api": {"search_api", "indexer", "encoders"},
}
OURS = {"encoders", "indexer", "search_api", "benchmarks", "tests"}

# The demo runs on the media that the benchmarks are measured on.
EXCEPTIONS = {("search_api/cli/demo.py", "benchmarks")}

HEAVY = (
    "open_clip",
    "laion_clap",
    "sentence_transformers",
    "timm",
    "faster_whisper",
    "ctranslate2",
    "onnxruntime",
    "faiss",
    "qdrant_client",
    "qdrant_edge",
    "ray",
)
LIGHT_ENCODERS_IMPORTS = {"torch", "PIL", "av", "soundfile", *HEAVY}


def modules(*packages: str) -> list[Path]:
    return sorted(path for package in packages for path in (ROOT / package).rglob("*.py"))


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Yield (imported package, whether it is imported when the module is)."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    lazy = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or _is_type_checking(node)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = [node.module]
        for name in names:
            yield name.split(".")[0], id(node) not in lazy


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


@pytest.mark.parametrize("package", sorted(MAY_IMPORT))
def test_imports_point_downwards(package: str) -> None:
    wrong = [
        (path.relative_to(ROOT).as_posix(), name)
        for path in modules(package)
        for name, _ in imports(path)
        if name in OURS - MAY_IMPORT[package]
    ]
    assert [entry for entry in wrong if entry not in EXCEPTIONS] == []


@pytest.mark.parametrize("library", HEAVY)
def test_each_heavy_library_is_imported_lazily_and_in_one_place(library: str) -> None:
    places = {
        path.relative_to(ROOT).as_posix(): at_import
        for path in modules(*MAY_IMPORT)
        for name, at_import in imports(path)
        if name == library
    }
    assert len(places) <= 1, f"{library} is imported in {sorted(places)}"
    assert not any(places.values()), f"{library} is imported when its module is"


def test_importing_encoders_brings_no_heavy_library() -> None:
    code = "import sys, encoders, encoders.config, encoders.space, encoders.encoder\n"
    code += "print(' '.join(sorted({name.split('.')[0] for name in sys.modules})))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout.split()
    assert LIGHT_ENCODERS_IMPORTS.isdisjoint(loaded)


def test_help_of_the_command_loads_no_model_library() -> None:
    code = "import sys\nfrom search_api.cli.main import run\nrun(['--help'])\n"
    code += "print(' '.join(sorted({name.split('.')[0] for name in sys.modules})), file=sys.stderr)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    ).stderr.split()
    assert {"torch", "numpy", "pyarrow", "sqlalchemy", "litestar"}.isdisjoint(loaded)
