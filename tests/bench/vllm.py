"""The two engines that run a language model here, on SmolLM2 and the CPU, without the graph: tokens per second."""

import asyncio
import json

import numpy as np

from pipelines.chat import TransformersConfig
from pipelines.contracts.engine import Resources
from pipelines.loading.gguf import unpacked
from pipelines.loading.packaged import locate_packaged
from tests.bench.inside_vllm import CLIENTS, tokens_per_s
from tests.bench.setting import Bench, say, spread
from tests.serving import MODELS
from tests.vllm import READY, SMOL, run_inside

HEAD = ("engine", "first token, s", "one client, tokens/s", f"{CLIENTS} clients, tokens/s", "ratio")
FURTHER = ()


def measure(bench: Bench) -> list[list[object]]:
    folder = unpacked(locate_packaged(SMOL), MODELS)
    say("the engine transformers")
    engine = TransformersConfig(model=str(folder), cache_tokens=8192, device="cpu").load(Resources())
    try:
        rows = [_row("transformers, float32", asyncio.run(tokens_per_s(engine)))]
    finally:
        engine.close()
    if not READY:
        return [*rows, ["vllm: not built (make vllm)"]]
    say("the engine vllm")
    file = bench.folder / "vllm.json"
    run_inside("-m", "tests.bench.inside_vllm", str(folder), str(file))
    return [*rows, _row("vllm, bfloat16", json.loads(file.read_text()))]


def _row(name: str, found: dict[str, list[float]]) -> list[object]:
    ratio = np.median(found["eight"]) / np.median(found["one"])
    return [name, spread(found["first"]), spread(found["one"]), spread(found["eight"]), f"×{ratio:.2f}"]
