"""PocketSphinx understands real English in any container, says when, and hears nothing where nobody speaks."""

import io
import itertools
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import jiwer
import numpy as np
import pytest

from pipelines.contracts.engine import Resources
from pipelines.contracts.errors import Cancelled, InvalidInput
from pipelines.media.audio import AudioReader
from pipelines.speech_recognition import PocketSphinxConfig, Segment, SpeechRecognizer
from pipelines.speech_recognition.pocketsphinx import MAX_SEGMENT_S, PADDING_S, speech_stretches

SAID = "and so my fellow americans ask not what your country can do for you ask what you can do for your country"
# When the recording is as quiet as its background.
PAUSES_S = [(2.2, 3.2), (4.4, 5.3), (7.6, 8.1)]
RATE = 16_000


@pytest.fixture(scope="module")
def recognizer() -> SpeechRecognizer:
    return PocketSphinxConfig().load(Resources())


@pytest.fixture(scope="module")
def jfk(sample: Callable[[str], Path]) -> np.ndarray:
    with sample("jfk.flac").open("rb") as file, AudioReader(file, "flac") as reader:
        return np.concatenate(list(reader.blocks()))


def blocks(audio: np.ndarray, size: int = RATE) -> Iterator[np.ndarray]:
    for i in range(0, audio.size, size):
        yield audio[i : i + size]


def transcoded(path: Path, muxer: str, codec: str, rate: int, *, layout: str = "mono", bit_rate: int = 0) -> io.BytesIO:
    out = io.BytesIO()
    with av.open(str(path)) as source, av.open(out, "w", format=muxer) as file:
        stream = file.add_stream(codec, rate=rate, layout=layout)
        if bit_rate:
            stream.bit_rate = bit_rate
        for frame in source.decode(audio=0):
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    out.seek(0)
    return out


@pytest.mark.parametrize(
    ("container", "how"),
    [
        ("mp3", ("mp3", "libmp3lame", 16_000, {"bit_rate": 32_000})),
        ("ogg", ("ogg", "libopus", 48_000, {"bit_rate": 32_000})),
        ("mov", ("ipod", "aac", 44_100, {"layout": "stereo"})),
        ("matroska", ("webm", "libopus", 48_000, {"bit_rate": 24_000})),
        ("wav", ("wav", "pcm_s16le", 8_000, {})),
        ("wav", ("wav", "pcm_s16le", 48_000, {"layout": "stereo"})),
        ("flac", None),
    ],
    ids=["mp3", "ogg", "m4a", "webm", "8 kHz", "48 kHz stereo", "flac"],
)
def test_real_speech(
    recognizer: SpeechRecognizer, sample: Callable[[str], Path], container: str, how: tuple | None
) -> None:
    path = sample("jfk.flac")
    file = transcoded(path, *how[:3], **how[3]) if how else io.BytesIO(path.read_bytes())
    start_s = time.process_time()
    with AudioReader(file, container) as reader:
        segments = list(recognizer.transcribe(reader.blocks(), duration_s=reader.duration_s))
    spent = (time.process_time() - start_s) / 11
    heard = " ".join(segment.text for segment in segments)
    error = jiwer.wer(SAID, heard)
    print(f"{container}: word error {error:.3f}, {spent:.2f} of real time: {heard}")
    assert error <= 0.35
    in_order_outside_pauses(segments)


def in_order_outside_pauses(segments: list[Segment]) -> None:
    """Times are right to 0.3 s: nothing is said where the recording is known to pause."""
    assert 0.0 <= segments[0].start_s < 0.6
    assert 10.2 < segments[-1].end_s < 10.9
    words = [word for segment in segments for word in segment.words]
    assert all(word.start_s < word.end_s for word in words)
    assert all(a.end_s <= b.start_s + 0.02 for a, b in itertools.pairwise(words))
    for begin_s, end_s in PAUSES_S:
        middle = [w.text for w in words if w.start_s < end_s - 0.3 and w.end_s > begin_s + 0.3]
        assert not middle, f"words in the pause at {begin_s} s: {middle}"
    for segment in segments:
        assert segment.text == " ".join(word.text for word in segment.words)
        assert segment.text == segment.text.lower()
        assert not set(segment.text) & set("<>[]()+")
        assert (segment.start_s, segment.end_s) == (segment.words[0].start_s, segment.words[-1].end_s)
        assert all(0 <= word.probability <= 1 for word in segment.words)
        assert segment.language == "en"


def test_same_audio_same_text_however_it_is_cut(recognizer: SpeechRecognizer, jfk: np.ndarray) -> None:
    part = jfk[3 * RATE : 45 * RATE // 10]
    whole = list(recognizer.transcribe([part]))
    assert whole
    assert list(recognizer.transcribe(blocks(part, 1_237))) == whole


def test_loudness_does_not_matter(recognizer: SpeechRecognizer, jfk: np.ndarray) -> None:
    part = jfk[: 27 * RATE // 10]
    text = [segment.text for segment in recognizer.transcribe([part])]
    assert text
    assert [segment.text for segment in recognizer.transcribe([part * np.float32(0.01)])] == text


def noises() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    t = np.arange(4 * RATE) / RATE
    white = rng.standard_normal(t.size)
    pink = np.fft.irfft(np.fft.rfft(white) / np.sqrt(np.maximum(1, np.arange(t.size // 2 + 1))))
    chords = sum(np.sin(2 * np.pi * hz * t) * np.exp(-3 * (t % 0.5)) for hz in (262, 330, 392))
    return {
        "silence": t * 0,
        "faint hiss": white * 1e-4,
        "white noise": white * 0.1,
        "pink noise": 0.1 * pink / pink.std(),
        "hum": 0.1 * np.sin(2 * np.pi * 50 * t) + 0.03 * np.sin(2 * np.pi * 150 * t),
        "tone": 0.3 * np.sin(2 * np.pi * 440 * t),
        "rising tone": 0.3 * np.sin(2 * np.pi * (200 * t + 100 * t * t)),
        "clicks": np.where(rng.random(t.size) < 1 / 8_000, 0.7, 0.0),
        "bursts of noise": white * 0.1 * (np.sin(2 * np.pi * 1.5 * t) > 0),
        "chords": 0.1 * chords,
    }


@pytest.mark.parametrize("name", sorted(noises()))
def test_what_is_not_speech_gives_no_words(recognizer: SpeechRecognizer, name: str) -> None:
    heard = [segment.text for segment in recognizer.transcribe(blocks(noises()[name].astype(np.float32)))]
    assert heard == []


def test_speech_after_long_silence_is_found_where_it_is(recognizer: SpeechRecognizer, jfk: np.ndarray) -> None:
    hush = (np.random.default_rng(0).standard_normal(70 * RATE) * 1e-4).astype(np.float32)
    speech = jfk[52 * RATE // 10 : 79 * RATE // 10]
    alone = list(recognizer.transcribe(blocks(speech)))
    later = list(recognizer.transcribe(blocks(np.concatenate([hush, speech, hush[: 5 * RATE]]))))
    assert later
    assert abs(later[0].start_s - 70 - alone[0].start_s) < 0.3
    assert abs(later[-1].end_s - 70 - alone[-1].end_s) < 0.3


@pytest.mark.parametrize("audio", [[], [0.0], [0.5] * 159, [np.float32(1)] * 500], ids=["none", "one", "short", "dc"])
def test_tiny_audio(recognizer: SpeechRecognizer, audio: list[float]) -> None:
    assert list(recognizer.transcribe([np.array(audio, np.float32)])) == []


def test_language(recognizer: SpeechRecognizer) -> None:
    for known in (None, "en", "en-US", "EN"):
        assert list(recognizer.transcribe([], language=known)) == []
    for unknown in ("de", "zh", "english", "eng", ""):
        with pytest.raises(InvalidInput, match="Supported: en") as caught:
            recognizer.transcribe([], language=unknown)
        assert caught.value.param == "language"


def test_progress_and_cancel(recognizer: SpeechRecognizer, jfk: np.ndarray) -> None:
    calls: list[float | None] = []

    def stop(fraction: float | None, stage: str) -> None:
        calls.append(fraction)
        if fraction and fraction > 0.3:
            raise Cancelled("The caller went away.")

    with pytest.raises(Cancelled):
        list(recognizer.transcribe([jfk[: 5 * RATE]], duration_s=5.0, progress=stop))
    assert calls[-1] == pytest.approx(0.62, abs=0.1)
    assert list(recognizer.transcribe([jfk[3 * RATE : 5 * RATE]]))  # and can be used again


def test_stretches_are_bounded_and_nothing_is_lost() -> None:
    """Ten minutes of something loud that rises and falls without a pause."""
    t = np.arange(600 * RATE, dtype=np.float32) / RATE
    voice = sum(np.sin(2 * np.pi * hz * t) for hz in (200, 700, 1_600)) / 3
    audio = voice * (0.3 + 0.29 * np.sin(2 * np.pi * 3 * t))
    held = [(s.start_s, s.samples.size / RATE) for s in speech_stretches(blocks(audio.astype(np.float32)))]
    assert max(length for _, length in held) <= MAX_SEGMENT_S + 2 * PADDING_S + 0.05
    ends = [start + length for start, length in held]
    gaps = [start - end for (start, _), end in zip(held[1:], ends, strict=False)]
    assert held[0][0] < 0.3
    assert ends[-1] > 599.5
    assert max(gaps) <= 0.01
    assert min(gaps) >= -2 * PADDING_S - 0.05


def test_importing_loads_no_library() -> None:
    script = "import sys, pipelines.speech_recognition; print([m for m in ('pocketsphinx', 'av') if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", script], text=True).strip() == "[]"
