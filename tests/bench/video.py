"""Whether memory grows with a video's length, and frames of the source a second: 320×240 at 12 a second, with audio.

Memory: peak RSS of the replica in MB, for the long clip (graph) beside 10 seconds (bare); the limit is ×1.10. Growth:
what it took more, of what all further frames would take. Speed: 10 seconds through the graph, beside the engine in this
process and beside a loop that only decodes and encodes. Interpolation encodes two frames for each of the source's.
"""

import io
from collections.abc import Callable
from functools import partial
from pathlib import Path

import httpx

from pipelines.frame_interpolation.video import interpolate_video
from pipelines.media.video import VideoReader, VideoWriter
from pipelines.object_tracking.video import track_video
from tests.bench.latency import MAX_PIXELS
from tests.bench.setting import Bench, beside, say, seconds
from tests.bench.start import processes
from tests.media import mp4

FURTHER = ("growth, MB",)
FPS, WIDTH, HEIGHT = 12, 320, 240
SHORT_S, LONG_S, FULL_S, ROUNDS = 10, 60, 600, 3


def measure(bench: Bench) -> list[list[object]]:
    long_s = FULL_S if bench.full else LONG_S
    say("drawing the clips")
    short, long = (mp4(frames=length_s * FPS, fps=FPS, width=WIDTH, height=HEIGHT) for length_s in (SHORT_S, long_s))
    pids = {name: process.pid for name, process in processes(bench.graph)}

    def track(video: VideoReader) -> None:
        track_video(video, bench.engines["object_tracking"], io.BytesIO(), io.BytesIO())

    def interpolate(video: VideoReader) -> None:
        interpolate_video(video, bench.engines["frame_interpolation"], io.BytesIO())

    rows = []
    for deployment, path, engine in (
        ("ObjectTracking", "/video/motInference", track),
        ("FrameInterpolation", "/video/mmeditingInference", interpolate),
    ):
        upload, replica = partial(_upload, bench.graph.url + path), pids[deployment]
        upload(short)  # the first call of all is not measured
        short_mb, graph, direct, loop = [], [], [], []
        for number in range(ROUNDS):
            say(f"{path}, {SHORT_S} s, {number + 1} of {ROUNDS}")
            loop.append(SHORT_S * FPS / seconds(_on, short, _copy))
            direct.append(SHORT_S * FPS / seconds(_on, short, engine))
            forget_peak(replica)
            graph.append(SHORT_S * FPS / seconds(upload, short))
            short_mb.append(peak_mb(replica))
        say(f"{path}, {long_s} s")
        forget_peak(replica)
        upload(long)
        long_mb = peak_mb(replica)
        further_mb = (long_s - SHORT_S) * FPS * WIDTH * HEIGHT * 3 / 1e6
        growth = f"{long_mb - max(short_mb):+.1f} of {further_mb:,.0f}"
        rows += [
            beside(f"{path}, peak MB, {long_s} s beside {SHORT_S} s", [long_mb], short_mb, growth),
            beside("  frames/s, beside the engine", graph, direct),
            beside("  frames/s, beside decoding and encoding", graph, loop),
        ]
    return rows


def _upload(url: str, clip: bytes) -> None:
    httpx.post(url, files={"file": ("clip.mp4", clip)}, timeout=3600).raise_for_status()


def _on(clip: bytes, work: Callable[[VideoReader], None]) -> None:
    with VideoReader(io.BytesIO(clip), "mov", max_pixels=MAX_PIXELS) as video:
        work(video)


def _copy(video: VideoReader) -> None:
    with VideoWriter(io.BytesIO(), fps=video.fps, width=WIDTH, height=HEIGHT, audio_from=video) as writer:
        for frame in video.frames():
            writer.write(frame)


def forget_peak(pid: int) -> None:
    """Linux keeps the most that a process ever held, and sets the mark back on demand."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak_mb(pid: int) -> float:
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) * 1024 / 1e6
