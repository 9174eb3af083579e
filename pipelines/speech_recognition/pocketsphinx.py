"""Speech recognition by PocketSphinx with the US English model in its wheel; nothing is downloaded.

Library and model: PocketSphinx 5 (BSD-2-Clause and MIT-like), https://github.com/cmusphinx/pocketsphinx.
A model of the nineties: clear English is mostly understood, accents, noise and rare names are not. Gives plain
lower-case words without punctuation.
"""

import itertools
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipelines.contracts.engine import EngineConfig, ModelCard, Resources
from pipelines.contracts.errors import InvalidInput, ModelUnavailable
from pipelines.contracts.progress import Progress, no_progress
from pipelines.media import Waveform
from pipelines.speech_recognition.base import SAMPLE_RATE_HZ, Segment, SpeechRecognizer, Word

if TYPE_CHECKING:
    from pocketsphinx import Decoder

FRAME = SAMPLE_RATE_HZ // 100
# Audio is analyzed in windows of this length: long enough to tell speech from its background.
WINDOW_S = 24.0
MAX_SEGMENT_S = 12.0
MIN_PAUSE_S = 0.4
MIN_SPEECH_S = 0.15
PADDING_S = 0.2
# Speech rises and falls; what stays within this range is a hum, a tone, hiss or silence.
MIN_RANGE_DB = 8.0
MIN_LEVEL_DB = -80.0
MAX_TONE_SHARE = 0.9  # of the energy within 150 Hz: beeps and whistles; speech has 0.5 to 0.75
THRESHOLD = 0.3  # of the range, above the background
# The model was made for 100 frames a second; somewhat fewer suit slow and clear speech much better and quick speech
# hardly worse, and take less time.
FRAMES_PER_S = 77
PEAK = 16_000
# Telephone and low-rate audio has nothing at all above its band, which the model has never seen: a little noise, at
# -55 dB of the peak, fills it.
NOISE = 30
# What is not speech is decoded into silence and fillers, with a stray word at most.
MIN_WORDS_SHARE = 0.25


class PocketSphinxConfig(EngineConfig):
    """PocketSphinx."""

    engine: Literal["pocketsphinx"] = "pocketsphinx"

    def card(self) -> ModelCard:
        """What this configuration answers with."""
        return ModelCard(
            model="PocketSphinx en-us",
            license="BSD-2-Clause",
            description="Understands clear US English, with about one word in four wrong; lower case, no punctuation.",
            embedded=True,
        )

    def load(self, resources: Resources) -> "PocketSphinx":
        """Load the model, about 100 MB of memory."""
        try:
            from pocketsphinx import Decoder
        except ImportError as error:
            raise ModelUnavailable("PocketSphinx is not installed: pip install pocketsphinx.") from error
        try:
            return PocketSphinx(Decoder(loglevel="FATAL", frate=FRAMES_PER_S, maxhmmpf=10_000))
        except RuntimeError as error:
            raise ModelUnavailable("PocketSphinx cannot read its model: reinstall pocketsphinx.") from error


class PocketSphinx(SpeechRecognizer):
    """One decoder."""

    def __init__(self, decoder: "Decoder") -> None:
        self._decoder = decoder

    def transcribe(
        self,
        blocks: Iterable[Waveform],
        *,
        duration_s: float | None = None,
        language: str | None = None,
        progress: Progress = no_progress,
    ) -> Iterator[Segment]:
        """Recognize English, one segment for each stretch between pauses; see the base class.

        Raises:
            InvalidInput: a language other than English; raised at once.
            Cancelled: `progress` said so.
        """
        if language is not None and language.lower().replace("_", "-").partition("-")[0] != "en":
            raise InvalidInput(f"Unknown language {language[:40]!r}. Supported: en.", "language")
        return self._segments(blocks, duration_s, progress)

    def _segments(self, blocks: Iterable[Waveform], duration_s: float | None, progress: Progress) -> Iterator[Segment]:
        for stretch in speech_stretches(blocks):
            progress(min(stretch.start_s / duration_s, 1.0) if duration_s else None, "recognizing")
            words = self._decode(stretch)
            if words:
                text = " ".join(word.text for word in words)
                yield Segment(text, words[0].start_s, words[-1].end_s, "en", tuple(words))
        progress(1.0, "recognizing")

    def _decode(self, stretch: "Stretch") -> list[Word]:
        peak = max(float(np.abs(stretch.samples).max()), 1e-6)
        noise = NOISE * np.random.default_rng(0).standard_normal(stretch.samples.size)
        pcm = (stretch.samples * (PEAK / peak) + noise).astype("<i2")
        self._decoder.reinit_feat()  # or its noise estimate would carry over from the audio before
        self._decoder.start_utt()
        self._decoder.process_raw(pcm.tobytes(), full_utt=True)
        self._decoder.end_utt()
        words = []
        for entry in self._decoder.seg() or ():
            if entry.word[0] in "<[+":  # sentence ends, silence, noise
                continue
            start_s = stretch.start_s + entry.start_frame / FRAMES_PER_S
            end_s = stretch.start_s + (entry.end_frame + 1) / FRAMES_PER_S
            words.append(Word(entry.word.partition("(")[0], start_s, end_s, min(float(entry.prob), 1.0)))
        spoken_s = sum(word.end_s - word.start_s for word in words)
        return words if spoken_s >= MIN_WORDS_SHARE * stretch.samples.size / SAMPLE_RATE_HZ else []


class Stretch(NamedTuple):
    """Audio between two pauses, with a little of the pauses. `samples` is float32 (samples,) at 16 kHz."""

    samples: Waveform
    start_s: float


def speech_stretches(blocks: Iterable[Waveform]) -> Iterator[Stretch]:
    """Cut audio at its pauses and drop what is not speech; holds no more than `WINDOW_S` and a block.

    Args:
        blocks: consecutive, of any size, 16 kHz.

    Yields:
        Stretches of at most `MAX_SEGMENT_S` and twice `PADDING_S`.
    """
    window = round(WINDOW_S * SAMPLE_RATE_HZ)
    held: Waveform = np.zeros(0, np.float32)
    start = 0
    for block in blocks:
        held = np.concatenate([held, block])
        while held.size >= window:
            stretches, used = _cut(held[:window], start, last=False)
            yield from stretches
            held, start = held[used:], start + used
    yield from _cut(held, start, last=True)[0]


def _cut(samples: Waveform, start: int, *, last: bool) -> tuple[list[Stretch], int]:
    """Stretches of one window, and how many of its samples are done: speech that may go on is left for the next."""
    padding = round(100 * PADDING_S)
    spans: list[tuple[int, int]] = []  # in frames
    level = _level_db(samples)
    for first, end in _speech_runs(level):
        cuts = _quiet_cuts(level, first, end)
        edges = [max(first - padding, 0), *cuts, min(end + padding, level.size)]
        spans += itertools.pairwise(edges)
    used = samples.size
    if not last:
        goes_on = bool(spans) and spans[-1][1] + round(100 * MIN_PAUSE_S) > level.size
        # The beginning of a word may be too short to be detected.
        used = FRAME * (spans.pop()[0] if goes_on else level.size - round(100 * (MIN_SPEECH_S + PADDING_S)))
    stretches = [Stretch(samples[a * FRAME : b * FRAME], (start + a * FRAME) / SAMPLE_RATE_HZ) for a, b in spans]
    return [stretch for stretch in stretches if _tone_share(stretch.samples) < MAX_TONE_SHARE], used


def _level_db(samples: Waveform) -> NDArray[np.float64]:
    """Loudness of each 10 ms in dB below full scale, smoothed over 50 ms; bass, which is mostly hum, is removed."""
    emphasized = np.diff(samples, prepend=samples[:1])
    frames = emphasized[: emphasized.size // FRAME * FRAME].reshape(-1, FRAME)
    power = np.mean(frames.astype(np.float64) ** 2, axis=1)
    smooth = np.convolve(power, np.ones(5) / 5, mode="same") if power.size >= 5 else power
    return 10 * np.log10(smooth + 1e-10)


def _tone_share(samples: Waveform) -> float:
    """How much of the energy of each 32 ms lies within five neighboring bins of 31 Hz, weighted by energy; 0 to 1."""
    frames = samples[: samples.size // 512 * 512].reshape(-1, 512) * np.hanning(512)
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    total = np.cumsum(power, axis=1)
    return float(np.sum(np.max(total[:, 5:] - total[:, :-5], axis=1)) / max(np.sum(total[:, -1]), 1e-12))


def _speech_runs(level: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Runs of speech as (first frame, end): short pauses are bridged, clicks left out."""
    shortest = round(100 * MIN_SPEECH_S)
    if level.size < shortest:
        return []
    low, high = float(np.percentile(level, 10)), float(np.sort(level)[-shortest])
    if high < MIN_LEVEL_DB or high - low < MIN_RANGE_DB:
        return []
    loud = np.concatenate([[False], level > low + THRESHOLD * (high - low), [False]])
    edges = np.flatnonzero(loud[1:] != loud[:-1]).tolist()
    runs: list[tuple[int, int]] = []
    for first, end in zip(edges[::2], edges[1::2], strict=True):
        if runs and first - runs[-1][1] < 100 * MIN_PAUSE_S:
            runs[-1] = (runs[-1][0], end)
        else:
            runs.append((first, end))
    return [(first, end) for first, end in runs if end - first >= shortest]


def _quiet_cuts(level: NDArray[np.float64], first: int, end: int) -> list[int]:
    """Where to cut speech without a pause: at its quietest in the second half of the longest segment."""
    longest = round(100 * MAX_SEGMENT_S)
    cuts = []
    while end - first > longest:
        middle = first + longest // 2
        first = middle + int(np.argmin(level[middle : first + longest]))
        cuts.append(first)
    return cuts
