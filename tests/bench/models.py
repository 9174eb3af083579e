"""The neural engines through the graph, on small checkpoints of random weights.

Bare: the same engine in this process, one call after another. `at once` is several clients who each ask again when they
have their answer. The rows without a graph compare the engine with itself.
"""

import asyncio
import io
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import numpy as np

from deployments.catalog import CATALOG
from pipelines.chat import ChatRequest, Message
from pipelines.contracts.engine import Resources
from pipelines.frame_interpolation.video import interpolate_video
from pipelines.image_generation import ImageRequest
from pipelines.media.audio import AudioReader
from pipelines.media.image import DecodedImage, read_image, write_png
from pipelines.media.video import VideoReader
from pipelines.super_resolution.enhance import enhance
from tests.bench.setting import Bench, beside, say, seconds
from tests.checkpoints.all import Chosen, make_all
from tests.media import mp4, png, wav
from tests.serving import running, with_engines

FURTHER = ()
WIDTH = 256
TOKENS, CLIENTS = 48, 8
CALLS, AT_ONCE = 4, 2
MAX_PIXELS = 50_000_000
TEXT = "Good morning. It is late. The train has left. Nobody waits. The lamps are lit. Sleep well."


def measure(bench: Bench) -> list[list[object]]:
    folder = bench.folder / "models"
    (folder / "graph").mkdir(parents=True)
    say("making the checkpoints")
    (folder / "weights").mkdir()
    chosen = make_all(folder / "weights", width=WIDTH)
    config = with_engines(folder / "chosen.yaml", {CATALOG[name].deployment: it for name, it in chosen.items()})
    say("starting a graph of neural engines")
    with running(folder / "graph", config) as graph:
        rows = asyncio.run(_through_the_graph(graph.url, chosen, rounds=5 if bench.full else 2))
    return [*rows, *_recognition(chosen), *_synthesis(chosen)]


async def _through_the_graph(url: str, chosen: Chosen, rounds: int) -> list[list[object]]:
    async with httpx.AsyncClient(base_url=url, timeout=600) as http:
        return [*await _chat(http, chosen, rounds), *await _calls(http, chosen, rounds)]


def _engine(chosen: Chosen, capability: str) -> Any:
    return CATALOG[capability].parse(chosen[capability]).load(Resources())


async def _chat(http: httpx.AsyncClient, chosen: Chosen, rounds: int) -> list[list[object]]:
    say("/v1/chat/completions")
    engine = _engine(chosen, "chat")

    async def asked(number: int) -> int:
        body = {
            "messages": [{"role": "user", "content": f"{number} foxes"}],
            "temperature": 0,
            "max_tokens": TOKENS,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        answer = (await http.post("/v1/chat/completions", json=body)).raise_for_status().text
        return int(answer.split('"completion_tokens": ')[1].split(",")[0])

    async def direct(number: int) -> int:
        request = ChatRequest((Message("user", f"{number} foxes"),), temperature=0, max_tokens=TOKENS)
        deltas = [delta async for delta in engine.stream(request)]
        return int(deltas[-1].usage.completion_tokens)

    per_s: dict[str, list[float]] = {name: [] for name in ("graph 1", "bare 1", "graph 8", "bare 8")}
    try:
        await asyncio.gather(asked(0), direct(0))
        for _ in range(rounds):
            for name, call in (("graph", asked), ("bare", direct)):
                per_s[f"{name} 1"].append(await _tokens_per_s(call, 1))
                per_s[f"{name} 8"].append(await _tokens_per_s(call, CLIENTS))
    finally:
        await asyncio.to_thread(engine.close)
    return [
        beside("chat, tokens/s, one client", per_s["graph 1"], per_s["bare 1"]),
        beside(f"chat, tokens/s, {CLIENTS} clients", per_s["graph 8"], per_s["bare 8"]),
        beside(f"chat through the graph, {CLIENTS} clients beside one", per_s["graph 8"], per_s["graph 1"]),
    ]


async def _tokens_per_s(call: Callable[[int], Awaitable[int]], clients: int) -> float:
    started_s = time.perf_counter()
    tokens = await asyncio.gather(*(call(number) for number in range(1, clients + 1)))
    return sum(tokens) / (time.perf_counter() - started_s)


async def _calls(http: httpx.AsyncClient, chosen: Chosen, rounds: int) -> list[list[object]]:
    """Calls of about a second: finished ones per second with clients enough to keep the engine busy."""
    still, film = png(160, 120), mp4(frames=24, width=320, height=240, audio=False)
    painter = _engine(chosen, "image_generation")
    upscaler = _engine(chosen, "super_resolution")
    interpolator = _engine(chosen, "frame_interpolation")

    def paint() -> None:
        write_png(DecodedImage(painter.generate([ImageRequest("a pig", 256, 256, 1)])[0]))

    def enlarge() -> None:
        write_png(enhance(read_image(io.BytesIO(still), max_pixels=MAX_PIXELS), upscaler))

    def smooth() -> None:
        with VideoReader(io.BytesIO(film), "mov", max_pixels=MAX_PIXELS) as video:
            interpolate_video(video, interpolator, io.BytesIO())

    rows = []
    for path, work, request in (
        ("/v1/images/generations", paint, {"json": {"prompt": "a pig", "size": "256x256", "seed": 1}}),
        ("/image/enhanceImage", enlarge, {"files": {"file": still}}),
        ("/video/mmeditingInference", smooth, {"files": {"file": film}}),
    ):
        say(path)

        async def ask(path: str = path, request: dict[str, Any] = request) -> None:
            (await http.post(path, **request)).raise_for_status()

        async def client(ask: Callable[[], Awaitable[None]] = ask) -> None:
            for _ in range(CALLS):
                await ask()

        alone_ms, bare_ms, graph_per_min, bare_per_min = [], [], [], []
        await ask()
        work()
        for _ in range(rounds):
            bare_s = [seconds(work) for _ in range(CALLS)]
            bare_ms += [value * 1000 for value in bare_s]
            bare_per_min.append(60 * CALLS / sum(bare_s))
            for _ in range(CALLS):
                started_s = time.perf_counter()
                await ask()
                alone_ms.append((time.perf_counter() - started_s) * 1000)
            started_s = time.perf_counter()
            await asyncio.gather(*(client() for _ in range(AT_ONCE)))
            graph_per_min.append(60 * AT_ONCE * CALLS / (time.perf_counter() - started_s))
        rows += [
            beside(f"{path}, ms, one client", alone_ms, bare_ms),
            beside(f"{path}, calls a minute, {AT_ONCE} clients", graph_per_min, bare_per_min),
        ]
    return rows


def _recognition(chosen: Chosen) -> list[list[object]]:
    """Clips together beside one by one."""
    say("recognition in batches")
    speaker = CATALOG["speech_synthesis"].parse({"engine": "espeak-ng"}).load(Resources())
    speech = wav(np.concatenate(list(speaker.synthesize(TEXT * 24))), speaker.sample_rate_hz)
    with AudioReader(io.BytesIO(speech), "wav") as audio:
        blocks = list(audio.blocks())

    def timed(batch_size: int) -> float:
        chosen_size = {**chosen["speech_recognition"], "batch_size": batch_size, "beam_size": 1}
        engine = CATALOG["speech_recognition"].parse(chosen_size).load(Resources())
        return seconds(lambda: list(engine.transcribe(iter(blocks))))

    together_s, alone_s = [timed(8) for _ in range(2)], [timed(1) for _ in range(2)]
    length_s = sum(map(len, blocks)) / 16_000
    return [beside(f"recognition of {length_s:.0f} s, s, eight clips at once beside one by one", together_s, alone_s)]


def _synthesis(chosen: Chosen) -> list[list[object]]:
    """The first piece beside the whole text."""
    say("synthesis to the first piece")
    engine = _engine(chosen, "speech_synthesis")
    list(engine.synthesize("Warm."))
    first_ms, whole_ms = [], []
    for _ in range(3):
        first_ms.append(1000 * seconds(lambda: next(iter(engine.synthesize(TEXT)))))
        whole_ms.append(1000 * seconds(lambda: list(engine.synthesize(TEXT))))
    return [beside("synthesis, ms, first piece beside the whole", first_ms, whole_ms)]
