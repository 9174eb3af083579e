"""A chat engine's tokens per second; as a program, those of vLLM in its environment.

`vllm/python -m tests.bench.inside_vllm FOLDER FILE` measures SmolLM2 from FOLDER and writes the figures to FILE.
"""

import asyncio
import json
import sys
import time
from pathlib import Path

from pipelines.chat import ChatModel, ChatRequest, Message, VllmConfig
from pipelines.contracts.engine import Resources

CLIENTS = 8
TOKENS = 100
ROUNDS = 3


async def tokens_per_s(engine: ChatModel) -> dict[str, list[float]]:
    """By rounds: the tokens/s of one client and of eight at once, and the first one's wait in seconds."""
    found: dict[str, list[float]] = {"first": [], "one": [], "eight": []}

    async def ask(number: int) -> tuple[int, float]:
        question = Message("user", f"Write a long story about {number} foxes.")
        request = ChatRequest((question,), temperature=0, max_tokens=TOKENS)
        started_s = time.perf_counter()
        deltas, first_s = [], 0.0
        async for delta in engine.stream(request):
            first_s = first_s or time.perf_counter() - started_s
            deltas.append(delta)
        usage = deltas[-1].usage
        assert usage is not None
        return usage.completion_tokens, first_s

    async def together(clients: int) -> tuple[float, float]:
        started_s = time.perf_counter()
        answers = await asyncio.gather(*(ask(number) for number in range(2, clients + 2)))
        return sum(tokens for tokens, _ in answers) / (time.perf_counter() - started_s), answers[0][1]

    await ask(1)
    for _ in range(ROUNDS):
        one, first_s = await together(1)
        found["one"].append(one)
        found["first"].append(first_s)
        found["eight"].append((await together(CLIENTS))[0])
    return found


def main(folder: str, file: str) -> None:
    engine = VllmConfig(model=folder, context_tokens=2048, cache_gb=1).load(Resources())
    try:
        Path(file).write_text(json.dumps(asyncio.run(tokens_per_s(engine))))
    finally:
        engine.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
