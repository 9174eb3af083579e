"""One call of each route in ms, at 1, 16 and 64 clients who each ask again when they have their answer.

Bare: as many callers who wait for the engine's one thread. A client that the graph refuses (503) leaves and is counted;
the bare engine then gets no more callers than the graph's queue takes. p99 of few calls is the slowest of them. The row
/healthz has no engine: it is what HTTP and this client cost by themselves.
"""

import asyncio
import hashlib
import io
import itertools
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import httpx
import numpy as np

from pipelines.frame_interpolation.video import interpolate_video
from pipelines.image_generation import ImageRequest
from pipelines.image_understanding.draw import draw_masks
from pipelines.media.audio import AudioReader, encode_audio
from pipelines.media.image import DecodedImage, fit, read_image, write_png
from pipelines.media.video import VideoReader, VideoWriter
from pipelines.object_tracking.video import track_video
from pipelines.super_resolution.enhance import enhance
from pipelines.video_generation import VideoRequest
from tests.bench.bare import Engines
from tests.bench.setting import Bench, beside, say, spread
from tests.media import mp4, png, wav

FURTHER = ("added p50", "graph p99", "bare p99", "added p99", "refused")
CLIENTS = (1, 16, 64)
MAX_PIXELS = 50_000_000
CATEGORY = "bench"
LIBRARY = "The Harbour Library was founded in 1923 by the merchant Elias Brandt. It lends 51,900 books a year."
QUESTION = "Who founded the Harbour Library?"
TEXT = "one two three"


Route = tuple[str, str, Callable[[], object], Callable[[], dict[str, Any]]]
"""Path, capability, the engine's work, and the equivalent request; both are made for each call."""


def routes(engines: Engines) -> list[Route]:
    """The ten routes, each with a small input, so that the engine does not hide what the graph adds."""
    still, film, numbers = png(64, 48), mp4(frames=6, width=160, height=120, audio=False), itertools.count()
    speaker, library = engines["speech_synthesis"], engines.library
    speech = wav(np.concatenate(list(speaker.synthesize(TEXT))), speaker.sample_rate_hz)

    def document() -> bytes:  # a new one each time: a known one is not read again
        return f"{LIBRARY}\nShelf {next(numbers)} holds maps.".encode()

    def ingest() -> None:
        data = document()
        library.ingest(io.BytesIO(data), "a.txt", "txt", CATEGORY, hashlib.sha256(data).hexdigest())

    def image() -> DecodedImage:
        return read_image(io.BytesIO(still), max_pixels=MAX_PIXELS)

    def recognize() -> None:
        with AudioReader(io.BytesIO(speech), "wav") as audio:
            list(engines["speech_recognition"].transcribe(audio.blocks(), duration_s=audio.duration_s))

    def speak() -> None:
        list(encode_audio(speaker.synthesize(TEXT), speaker.sample_rate_hz))

    def generate() -> None:
        write_png(DecodedImage(engines["image_generation"].generate([ImageRequest("a pig", 256, 256, 1)])[0]))

    def describe() -> None:
        pixels = fit(image().rgb8(), 1536)
        write_png(DecodedImage(draw_masks(pixels, engines["image_understanding"].describe(pixels).masks)))

    def enlarge() -> None:
        write_png(enhance(image(), engines["super_resolution"]))

    def animate() -> None:
        clip = engines["video_generation"].generate(image().rgb8(), VideoRequest(frames=6))
        with VideoWriter(io.BytesIO(), fps=clip.fps, width=clip.width, height=clip.height) as writer:
            for frame in clip.frames:
                writer.write(frame)

    def track() -> None:
        with VideoReader(io.BytesIO(film), "mov", max_pixels=MAX_PIXELS) as video:
            track_video(video, engines["object_tracking"], io.BytesIO(), io.BytesIO())

    def interpolate() -> None:
        with VideoReader(io.BytesIO(film), "mov", max_pixels=MAX_PIXELS) as video:
            interpolate_video(video, engines["frame_interpolation"], io.BytesIO())

    def upload() -> dict[str, Any]:
        return {"params": {"category": CATEGORY}, "files": {"fileToUpload": ("a.txt", document())}}

    chat = {"messages": [{"role": "user", "content": QUESTION}], "category": CATEGORY}
    prompt = {"prompt": "a pig", "size": "256x256", "seed": 1}
    photo, video = {"files": {"file": still}}, {"files": {"file": film}}
    answer = partial(engines.answer, library, CATEGORY, QUESTION)
    return [
        ("/uploadFile/uploadLearningFile", "knowledge", ingest, upload),
        ("/v1/chat/completions", "chat", answer, lambda: {"json": chat}),
        ("/v1/asr", "speech_recognition", recognize, lambda: {"content": speech}),
        ("/v1/tts", "speech_synthesis", speak, lambda: {"method": "GET", "params": {"text": TEXT}}),
        ("/v1/images/generations", "image_generation", generate, lambda: {"json": prompt}),
        ("/image/imageToText", "image_understanding", describe, lambda: photo),
        ("/image/enhanceImage", "super_resolution", enlarge, lambda: photo),
        ("/image/generateVideo", "video_generation", animate, lambda: {**photo, "params": {"frames": 6}}),
        ("/video/motInference", "object_tracking", track, lambda: video),
        ("/video/mmeditingInference", "frame_interpolation", interpolate, lambda: video),
    ]


def measure(bench: Bench) -> list[list[object]]:
    return asyncio.run(_measure(bench))


async def _measure(bench: Bench) -> list[list[object]]:
    budget_s, most = (40, 2_000) if bench.full else (3, 256)
    rows: list[list[object]] = []
    thread = ThreadPoolExecutor(1)
    limits = httpx.Limits(max_connections=max(CLIENTS))
    async with httpx.AsyncClient(base_url=bench.graph.url, timeout=600, limits=limits) as http:

        async def ask(path: str, request: Callable[[], dict[str, Any]]) -> bool:
            answer = await http.request(**{"method": "POST", "url": path, **request()})
            if answer.status_code not in (200, 503):
                raise RuntimeError(f"{path} answered {answer.status_code}: {answer.text}")
            return answer.status_code == 200

        async def do(work: Callable[[], object]) -> bool:
            await asyncio.get_running_loop().run_in_executor(thread, work)
            return True

        say("/healthz")
        for clients in CLIENTS:
            health_ms, _ = await _round(lambda: ask("/healthz", lambda: {"method": "GET"}), clients, most // clients)
            rows.append([f"/healthz, {clients}", len(health_ms), spread(health_ms)])
        for path, capability, bare, request in routes(bench.engines):
            say(path)
            through_graph, directly = partial(ask, path, request), partial(do, bare)
            await through_graph()  # neither is measured at its first call
            await directly()
            [call_ms], _ = await _round(directly, 1, 1)
            calls = min(most, budget_s * 1000 / call_ms)
            block = bench.engines.blocks[capability]
            room = block["max_ongoing_requests"] + block["max_queued_requests"]
            for clients in CLIENTS:
                graph_ms, bare_ms, refused = [], [], 0
                in_a_row = 1 + (calls >= clients)
                for _ in range(max(1, round(calls / clients / in_a_row))):
                    bare_ms += (await _round(directly, min(clients, room), in_a_row))[0]
                    answered_ms, left = await _round(through_graph, clients, in_a_row)
                    graph_ms += answered_ms
                    refused += left
                rows.append(_row(f"{path}, {clients}", graph_ms, bare_ms, refused))
    return rows


async def _round(call: Callable[[], Awaitable[bool]], clients: int, in_a_row: int) -> tuple[list[float], int]:
    """Milliseconds of each answered call, and how many clients were refused."""
    times_ms: list[float] = []

    async def client() -> bool:
        for _ in range(in_a_row):
            started_s = time.perf_counter()
            if not await call():
                return True
            times_ms.append((time.perf_counter() - started_s) * 1000)
        return False

    return times_ms, sum(await asyncio.gather(*(client() for _ in range(clients))))


def _row(name: str, graph_ms: list[float], bare_ms: list[float], refused: int) -> list[object]:
    (graph_p50, graph_p99), (bare_p50, bare_p99) = np.percentile(graph_ms, (50, 99)), np.percentile(bare_ms, (50, 99))
    added = [f"{graph_p50 - bare_p50:+,.1f}", f"{graph_p99:,.1f}", f"{bare_p99:,.1f}", f"{graph_p99 - bare_p99:+,.1f}"]
    return beside(name, graph_ms, bare_ms, *added, refused)
