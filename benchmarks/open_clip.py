"""What an open_clip model costs here beside its bare forward pass: CPU time, one thread.

Weights are random, so no download is needed: time does not depend on them. Both sides of each row
are measured in turns, and the least of all turns counts, because other work only ever adds time.

    python -m benchmarks.open_clip [ViT-B-32] [--out FILE]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.report import environment, table, write_json
from encoders.clip.encoder import OpenClipNetwork
from encoders.clip.folder import CONFIG_NAME, WEIGHTS_NAME
from encoders.clip.hub import default_preprocess, known_architecture
from encoders.clip.library import open_clip_library
from encoders.media.content import Picture

SEED = 0
TURNS = 5
PICTURE_SIZES = ((64, 48), (224, 224), (512, 384), (1024, 768))
NUM_PICTURES = 8
NUM_TEXTS = 32


def main() -> None:
    """Measure, print a table and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("architecture", nargs="?", default="ViT-B-32")
    parser.add_argument("--out", type=Path, default=None, help="where to write JSON")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_random_model(arguments.architecture, Path(folder))
        rows = measure(Path(folder))
    print(table([{name: _shown(value) for name, value in row.items()} for row in rows]))
    if arguments.out is not None:
        report = {"architecture": arguments.architecture, "seed": SEED, "threads": 1, "rows": rows}
        write_json(arguments.out, {**environment(), **report})


def write_random_model(architecture: str, folder: Path) -> None:
    """Write the standard folder of an architecture with random weights."""
    library = open_clip_library()
    import torch
    from safetensors.torch import save_file

    model = known_architecture(architecture)
    torch.manual_seed(SEED)
    network = (library.CustomTextCLIP if model.pop("custom_text", False) else library.CLIP)(**model)
    save_file(network.state_dict(), folder / WEIGHTS_NAME)
    config = {
        "model_cfg": known_architecture(architecture),
        "preprocess_cfg": default_preprocess(),
    }
    (folder / CONFIG_NAME).write_text(json.dumps(config), encoding="utf-8")


def measure(folder: Path) -> list[dict[str, Any]]:
    """Return one row for each kind of content: contents per CPU second, ours and bare."""
    import torch
    from PIL import Image

    torch.set_num_threads(1)
    library = open_clip_library()
    network, _, preprocess = library.create_model_and_transforms(f"local-dir:{folder}")
    network.eval()
    tokenizer = library.get_tokenizer(f"local-dir:{folder}")
    ours = OpenClipNetwork(folder)
    rows = []
    for width_px, height_px in PICTURE_SIZES:
        pictures = [Picture(_photo(width_px, height_px, number)) for number in range(NUM_PICTURES)]
        images = [Image.fromarray(picture.pixels) for picture in pictures]
        pixels = _prepared(preprocess, images)
        seconds = _cpu_seconds(
            ours=partial(ours.encode_pictures, pictures),
            bare=partial(network.encode_image, pixels),
            library=partial(_prepared, preprocess, images),
        )
        rows.append(_row(f"pictures {width_px} x {height_px}", NUM_PICTURES, seconds))
    for name, texts in {
        "captions": [f"a photo of dog number {number} on a beach" for number in range(NUM_TEXTS)],
        "texts of a whole context": [f"word thing {number} " * 60 for number in range(NUM_TEXTS)],
        "one query": ["a photo of a dog on a beach"],
    }.items():
        tokens = tokenizer(texts)
        seconds = _cpu_seconds(
            ours=partial(ours.encode_texts, texts),
            bare=partial(network.encode_text, tokens),
            library=partial(tokenizer, texts),
        )
        rows.append(_row(name, len(texts), seconds))
    return rows


def _prepared(preprocess: Any, images: list[Any]) -> Any:
    import torch

    return torch.stack([preprocess(image) for image in images])


def _row(name: str, count: int, seconds: dict[str, float]) -> dict[str, Any]:
    return {
        "content": name,
        "ours_per_second": count / seconds["ours"],
        "bare_per_second": count / seconds["bare"],
        "ratio": seconds["ours"] / seconds["bare"],
        "library_preparing_per_second": count / seconds["library"],
    }


def _cpu_seconds(**work: Callable[[], object]) -> dict[str, float]:
    import torch

    least = dict.fromkeys(work, float("inf"))
    with torch.inference_mode():
        for _ in range(TURNS):
            for name, call in work.items():
                start = time.process_time()
                call()
                least[name] = min(least[name], time.process_time() - start)
    return least


def _photo(width_px: int, height_px: int, seed: int) -> NDArray[np.uint8]:
    from PIL import Image

    coarse = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width_px, height_px)))


def _shown(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
