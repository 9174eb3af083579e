"""Whether recognition's memory grows with the length of speech, and how fast it is.

Ten minutes (graph) beside five (bare), spoken by the graph's own synthesizer: peak RSS of the replica in MB, and
seconds of speech recognized in a second. Five minutes fill a batch of eight clips.
"""

import io

import av
import httpx
import numpy as np

from pipelines.speech_recognition.base import SAMPLE_RATE_HZ
from tests.bench.quality import SENTENCES
from tests.bench.setting import Bench, beside, say, seconds
from tests.bench.start import processes
from tests.bench.video import forget_peak, peak_mb
from tests.media import wav

FURTHER = ()
SHORT_S, LONG_S = 300, 600


def measure(bench: Bench) -> list[list[object]]:
    replica = {name: process.pid for name, process in processes(bench.graph)}["SpeechRecognition"]
    with httpx.Client(base_url=bench.graph.url, timeout=1800) as http:
        say("speaking")
        spoken = _speech(http)
        peaks, speeds = [], []
        for length_s in (SHORT_S, LONG_S):
            audio = wav(np.resize(spoken, length_s * SAMPLE_RATE_HZ), SAMPLE_RATE_HZ)
            say(f"/v1/asr, {length_s} s")
            forget_peak(replica)
            speeds.append(length_s / seconds(_recognize, http, audio))
            peaks.append(peak_mb(replica))
    return [
        beside(f"peak MB, {LONG_S} s beside {SHORT_S} s", peaks[1:], peaks[:1]),
        beside("  seconds of speech in a second", speeds[1:], speeds[:1]),
    ]


def _recognize(http: httpx.Client, audio: bytes) -> None:
    http.post("/v1/asr", content=audio).raise_for_status()


def _speech(http: httpx.Client) -> np.ndarray:
    """Mono float samples at 16 kHz, at which ten minutes are within the limit of a recording's bytes."""
    body = {"input": " ".join(SENTENCES), "response_format": "wav"}
    answer = http.post("/v1/audio/speech", json=body).raise_for_status()
    resampler = av.AudioResampler("flt", "mono", SAMPLE_RATE_HZ)
    with av.open(io.BytesIO(answer.content)) as container:
        frames = [piece for frame in container.decode(audio=0) for piece in resampler.resample(frame)]
    return np.concatenate([frame.to_ndarray()[0] for frame in [*frames, *resampler.resample(None)]])
