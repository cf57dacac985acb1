"""What questions in words take in the encoder process, against the bare model.

    python -m benchmarks.questions

Starts an encoder process for the starter's channels and asks it over its socket, as an API worker
does: first one question at a time, in turns with a call of the same model in this process; then by
many askers at once. All questions are distinct.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
import psutil

from benchmarks.http import texts
from benchmarks.report import environment, table, write_json
from encoders.child_processes import child_environment, module_command
from encoders.config import SentenceConfig
from encoders.encoder import Encoder
from encoders.loading import EncoderLoader
from encoders.models.folder import ModelFolder
from encoders.query_plan import plan_queries
from encoders.serving.encoder_process import EncoderProcessConfig
from encoders.serving.errors import EncoderUnavailable
from indexer.config import load_collection
from search_api.query_vectors import planned_channels
from search_api.remote_query_encoder import RemoteQueryEncoder

MAX_START_SECONDS = 120.0
CHANNELS = ("passages", "titles")
"""Of the starter collection; one call of the sentence model answers for both."""


async def until_ready(encoder: RemoteQueryEncoder) -> None:
    """Wait until the encoder process has loaded its models."""
    deadline = time.monotonic() + MAX_START_SECONDS
    while True:
        try:
            return await encoder.ping()
        except EncoderUnavailable:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.2)


async def one_by_one(
    remote: RemoteQueryEncoder, bare: Encoder[str], questions: Sequence[str]
) -> dict[str, object]:
    """Return the medians of questions that wait for nobody, and of the bare model."""
    remote_ms, bare_ms = [], []
    for question in questions:
        started = time.perf_counter()
        bare.encode([question])
        between = time.perf_counter()
        await remote.encode_text(question, CHANNELS)
        bare_ms.append(1000 * (between - started))
        remote_ms.append(1000 * (time.perf_counter() - between))
    return {
        "bare_p50_ms": round(float(np.median(bare_ms)), 2),
        "p50_ms": round(float(np.median(remote_ms)), 2),
        "p50_over_bare": round(float(np.median(remote_ms) / np.median(bare_ms)), 3),
    }


async def answers_per_second(
    remote: RemoteQueryEncoder, questions: Sequence[str], num_askers: int
) -> float:
    """Return how many questions are answered when so many askers always wait for one each."""
    left: Iterator[str] = iter(questions)

    async def ask() -> None:
        for question in left:
            await remote.encode_text(question, CHANNELS)

    started = time.perf_counter()
    await asyncio.gather(*(ask() for _ in range(num_askers)))
    return len(questions) / (time.perf_counter() - started)


async def measure(
    socket: Path, process: psutil.Process, options: argparse.Namespace
) -> dict[str, object]:
    """Return every figure."""
    loader = EncoderLoader(ModelFolder.from_environment())
    channels = planned_channels(load_collection("starter"))
    remote = RemoteQueryEncoder(
        socket, plan_queries(channels, loader.identify), text_seconds=MAX_START_SECONDS
    )
    await until_ready(remote)
    bare = loader.open(SentenceConfig(model="minilm"))
    questions = iter(texts(options.questions * (1 + 2 * options.rounds) + 20, options.seed))

    def some(count: int) -> list[str]:
        return [next(questions) for _ in range(count)]

    await one_by_one(remote, bare, some(20))
    report = await one_by_one(remote, bare, some(options.questions))
    alone, together, cpu_ms = [], [], []
    for _ in range(options.rounds):
        alone.append(await answers_per_second(remote, some(options.questions // 2), 1))
        cpu = sum(process.cpu_times()[:2])
        together.append(await answers_per_second(remote, some(options.questions), options.askers))
        cpu_ms.append(1000 * (sum(process.cpu_times()[:2]) - cpu) / options.questions)
    await remote.aclose()
    ratios = [many / one for many, one in zip(together, alone, strict=True)]
    return report | {
        "askers": options.askers,
        "one_per_second": round(float(np.median(alone)), 1),
        "many_per_second": round(float(np.median(together)), 1),
        "many_over_one": round(float(np.median(ratios)), 2),
        "many_cpu_ms_per_question": round(float(np.median(cpu_ms)), 2),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(prog="benchmarks.questions", description=__doc__)
    parser.add_argument("--askers", type=int, default=32, help="at the same time")
    parser.add_argument("--questions", type=int, default=320)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--json", type=Path, default=Path("benchmark-results/questions.json"))
    options = parser.parse_args(arguments)
    starter = planned_channels(load_collection("starter"))
    config = EncoderProcessConfig(
        channels={name: starter[name] for name in CHANNELS},
        models_dir=str(ModelFolder.from_environment().root),
    )
    with tempfile.TemporaryDirectory() as folder:
        socket = Path(folder) / "encoder.sock"
        process = subprocess.Popen(
            module_command("encoders.serving.encoder_process", str(socket)),
            stdin=subprocess.PIPE,
            env=child_environment(),
        )
        assert process.stdin is not None
        process.stdin.write(msgspec.json.encode(config) + b"\n")
        process.stdin.flush()
        try:
            row = asyncio.run(measure(socket, psutil.Process(process.pid), options))
        finally:
            process.stdin.close()  # its lifeline
            process.wait()
    print(table([{name: str(value) for name, value in row.items()}]))
    write_json(options.json, {**environment(), "load": os.getloadavg(), **row})
    print(f"\nwritten to {options.json}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
