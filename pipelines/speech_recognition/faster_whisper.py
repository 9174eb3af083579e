"""Speech recognition by Whisper: 99 languages, with punctuation, capitals and the times of words.

Library: faster-whisper (MIT) on CTranslate2 (MIT), https://github.com/SYSTRAN/faster-whisper. Model: any Whisper that
was converted to CTranslate2, by default large-v3-turbo (MIT), 1.6 GB; small enough for a CPU is
Systran/faster-whisper-base (MIT), 145 MB. Systran/faster-whisper-tiny.en (MIT), 75 MB, English only, comes in a Python
package. Paper: https://arxiv.org/abs/2212.04356.

Audio goes through Silero VAD (MIT, in faster-whisper's wheel), is cut at pauses into clips of at most 30 s, and several
clips are decoded at once. Whisper can invent words in noise that resembles speech, and repeat itself; it does not tell
speakers apart. The language is detected in the first speech and kept; what is said in another is often translated.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import Field

from pipelines.contracts.engine import ModelCard, Resources
from pipelines.contracts.errors import InvalidInput, ModelUnavailable
from pipelines.contracts.progress import Progress, no_progress
from pipelines.loading.checkpoint import CheckpointConfig
from pipelines.loading.errors import reading, unreadable
from pipelines.loading.packaged import is_packaged
from pipelines.loading.weights import locate, require
from pipelines.media import Waveform
from pipelines.speech_recognition.base import SAMPLE_RATE_HZ, Segment, SpeechRecognizer, Word
from pipelines.text.sentences import ends_sentence

if TYPE_CHECKING:
    from faster_whisper import WhisperModel
    from faster_whisper.transcribe import Segment as WhisperSegment
    from faster_whisper.transcribe import Word as WhisperWord

# model.bin is CTranslate2's own plain format, no pickle; the vocabulary is .json or, in older conversions, .txt.
_NEEDED = ("config.json", "model.bin", "tokenizer.json")
_MIT = (
    "dropbox-dash/faster-whisper-large-v3-turbo",
    *(f"Systran/faster-whisper-{size}" for size in ("tiny", "base", "small", "medium", "large-v2", "large-v3")),
)

CLIP_S = 30.0  # what Whisper hears at once
MIN_PAUSE_S = 0.16  # as in faster-whisper's own batches
MARGIN_S = 1.0  # at the end of a window, where speech may go on
LONG_PAUSE_S = 1.0
LONG_SEGMENT_S = 6.0
CLAUSE_MARKS = tuple(",;:，、；：")

# Codes that people send, and Whisper's own for them.
_ALIASES = {"jv": "jw", "nb": "no", "iw": "he", "cmn": "zh", "fil": "tl"}
_STANDARD_CODES = {"jw": "jv"}


class FasterWhisperConfig(CheckpointConfig):
    """Whisper on CTranslate2."""

    licenses: ClassVar = dict.fromkeys(_MIT, "MIT")
    files = (*_NEEDED, "vocabulary.*", "preprocessor_config.json")

    engine: Literal["faster-whisper"] = "faster-whisper"
    model: str = Field(
        "dropbox-dash/faster-whisper-large-v3-turbo",
        description="Hub id or local folder of a Whisper model in CTranslate2's format.",
    )
    compute_type: Literal["auto", "int8", "int8_float16", "float16", "bfloat16", "float32"] = Field(
        "auto", description="Number format in CTranslate2's terms. Default: float16 on a GPU, int8 on a CPU."
    )
    batch_size: int = Field(8, ge=1, le=64, description="Clips of up to 30 s that are decoded at once.")
    beam_size: int = Field(5, ge=1, le=10, description="Hypotheses that are followed; 1 is fastest.")

    def card(self) -> ModelCard:
        """What this configuration answers with."""
        english_only = self.name.endswith(".en")
        languages = "English speech" if english_only else "speech in 99 languages, detects the language"
        return ModelCard(
            model=self.name,
            license=self.license,
            description=f"Whisper: recognizes and punctuates {languages}, gives each word's time. Can invent words in "
            "noisy audio; does not tell speakers apart.",
            embedded=is_packaged(self.model),
        )

    def load(self, resources: Resources) -> "FasterWhisper":
        """Load the model onto its device."""
        try:
            from faster_whisper import WhisperModel
        except ImportError as error:
            raise ModelUnavailable("Whisper's library is not installed: pip install faster-whisper.") from error
        (weights,) = self.weights()
        folder = locate(weights)
        require(folder, weights, _NEEDED)
        device, compute_type = self._placement()
        with reading(self.name):
            model = WhisperModel(str(folder), device=device, compute_type=compute_type, local_files_only=True)
        if model.model.n_mels != model.feature_extractor.mel_filters.shape[0]:
            raise unreadable(self.name)  # large-v3 without its preprocessor_config.json
        return FasterWhisper(model, self.batch_size, self.beam_size)

    def _placement(self) -> tuple[str, str]:
        """CTranslate2's device and compute type."""
        import ctranslate2  # type: ignore[import-untyped]

        has_gpu = ctranslate2.get_cuda_device_count() > 0
        if self.device == "cuda" and not has_gpu:
            raise ModelUnavailable("The configuration requests a CUDA device, but this machine has none.")
        device = "cuda" if has_gpu and self.device != "cpu" else "cpu"
        compute_type = self.compute_type
        if compute_type == "auto":
            compute_type = "float16" if device == "cuda" else "int8"
        if compute_type not in ctranslate2.get_supported_compute_types(device):
            raise ModelUnavailable(f"The {device} device of this machine does not support {compute_type}.")
        return device, compute_type


class FasterWhisper(SpeechRecognizer):
    """One loaded model.

    Args:
        model: of faster-whisper.
        batch_size: clips that are decoded at once; also bounds the audio that is held, about 2 MB for each.
        beam_size: of beam search.
    """

    def __init__(self, model: "WhisperModel", batch_size: int, beam_size: int) -> None:
        self._model = model
        self._batch_size = batch_size
        self._beam_size = beam_size

    def transcribe(
        self,
        blocks: Iterable[Waveform],
        *,
        duration_s: float | None = None,
        language: str | None = None,
        progress: Progress = no_progress,
    ) -> Iterator[Segment]:
        """Recognize speech, one segment for each sentence or so; see the base class.

        Raises:
            InvalidInput: a language that the model does not know; raised at once.
            Cancelled: `progress` said so, at the latest after a batch.
        """
        return self._segments(blocks, duration_s, self._code(language) if language is not None else None, progress)

    def _code(self, language: str) -> str:
        """Whisper's code of an ISO 639-1 or BCP 47 language."""
        code = language.lower().replace("_", "-").partition("-")[0]
        code = _ALIASES.get(code, code)
        # Older models lack some languages of the list.
        is_known = code in self._model.supported_languages and (
            not self._model.model.is_multilingual or self._model.hf_tokenizer.token_to_id(f"<|{code}|>") is not None
        )
        if is_known:
            return code
        problem = f"Unknown language {language[:40]!r}. Supported: ISO 639-1 codes such as en, zh, de."
        if not self._model.model.is_multilingual:
            problem = f"This model recognizes English only: {language[:40]!r} needs a larger, multilingual model."
        raise InvalidInput(problem, "language")

    def _segments(
        self, blocks: Iterable[Waveform], duration_s: float | None, language: str | None, progress: Progress
    ) -> Iterator[Segment]:
        def report(reached_s: float) -> None:
            progress(min(reached_s / duration_s, 1.0) if duration_s else None, "recognizing")

        for window in speech_windows(blocks, self._batch_size):
            report(window.start_s)
            with memory_errors():
                found, language = self._decode(window, language)
                for clip in found:
                    report(window.start_s + clip.end)
                    words = [_word(word, window) for word in clip.words or ()]
                    yield from sentences(words, _STANDARD_CODES.get(language, language))
        progress(1.0, "recognizing")

    def _decode(self, window: "Window", language: str | None) -> "tuple[Iterable[WhisperSegment], str]":
        """The window's clips, decoded batch by batch as they are asked for, and their language."""
        from faster_whisper import BatchedInferencePipeline

        # A new pipeline, because it keeps the time of the last word of a call that was cancelled.
        found, info = BatchedInferencePipeline(self._model).transcribe(
            window.samples,
            language=language,
            beam_size=self._beam_size,
            batch_size=self._batch_size,
            clip_timestamps=window.clips,
            word_timestamps=True,
        )
        return found, info.language


@contextmanager
def memory_errors() -> Iterator[None]:
    """Raise Python's own error when CTranslate2 reports, in words alone, that a GPU's memory is full."""
    try:
        yield
    except RuntimeError as error:
        if "out of memory" in str(error):
            raise MemoryError from error
        raise


class Window(NamedTuple):
    """A few minutes of audio and where in it somebody speaks.

    Attributes:
        samples: float32 (samples,) at 16 kHz.
        start_s: in the whole audio.
        clips: {"start": …, "end": …} in seconds of the window, each at most `CLIP_S`, in order; at least one.
    """

    samples: Waveform
    start_s: float
    clips: list[dict[str, float]]


def speech_windows(blocks: Iterable[Waveform], batch_size: int) -> Iterator[Window]:
    """Cut audio at its pauses into windows of about `batch_size` clips; what is not speech is in no clip.

    Args:
        blocks: consecutive, of any size, 16 kHz.
        batch_size: clips in a window, except that the last may have some more.
    """
    size = round(CLIP_S * SAMPLE_RATE_HZ) * max(batch_size, 2)
    margin = round(MARGIN_S * SAMPLE_RATE_HZ)
    start = 0
    held: list[Waveform] = []
    count = 0
    for block in blocks:
        held.append(block)
        count += block.size
        while count >= size:
            samples = np.concatenate(held)
            clips = speech_clips(samples[:size])
            goes_on = bool(clips) and clips[-1][1] > size - margin
            done = clips[: len(clips) - goes_on][:batch_size]
            used = clips[len(done)][0] if len(done) < len(clips) else size - margin
            if done:
                yield _window(samples[:used], start, done)
            held, start, count = [samples[used:]], start + used, count - used
    samples = np.concatenate([np.zeros(0, np.float32), *held])
    if clips := speech_clips(samples):
        yield _window(samples, start, clips)


def _window(samples: Waveform, start: int, clips: list[tuple[int, int]]) -> Window:
    # faster-whisper rounds down to samples again: half a sample more, or some would become one less.
    in_s = [{"start": (a + 0.5) / SAMPLE_RATE_HZ, "end": (b + 0.5) / SAMPLE_RATE_HZ} for a, b in clips]
    return Window(samples, start / SAMPLE_RATE_HZ, in_s)


def speech_clips(samples: Waveform) -> list[tuple[int, int]]:
    """Where somebody speaks, as (first sample, end): neighbors are joined, with their pauses, up to `CLIP_S`.

    Pauses stay in: Whisper has learned from audio with its pauses, and the times of words remain right.
    """
    from faster_whisper.vad import VadOptions, get_speech_timestamps

    options = VadOptions(max_speech_duration_s=CLIP_S, min_silence_duration_ms=round(1000 * MIN_PAUSE_S))
    clips: list[tuple[int, int]] = []
    for stretch in get_speech_timestamps(samples, options) if samples.size else ():
        start, end = stretch["start"], stretch["end"]
        if clips and end - clips[-1][0] <= CLIP_S * SAMPLE_RATE_HZ:
            clips[-1] = (clips[-1][0], end)
        else:
            clips.append((start, end))
    return clips


def sentences(words: Iterable[Word], language: str) -> Iterator[Segment]:
    """Words with their leading spaces as segments: cut after sentences, long pauses, and clauses of long sentences."""
    run: list[Word] = []
    for word in words:
        if run and _is_cut(run, word.start_s):
            yield _segment(run, language)
            run = []
        run.append(word)
    if run:
        yield _segment(run, language)


def _word(word: "WhisperWord", window: Window) -> Word:
    """A word of a window; Whisper may place one that is cut off beyond the end."""
    length_s = window.samples.size / SAMPLE_RATE_HZ
    start_s, end_s = (window.start_s + min(float(time), length_s) for time in (word.start, word.end))
    return Word(word.word, start_s, max(start_s, end_s), float(word.probability))


def _is_cut(run: list[Word], next_start_s: float) -> bool:
    """Whether a segment ends after these words, given when the next one begins."""
    if next_start_s - run[-1].end_s >= LONG_PAUSE_S:
        return True
    text = "".join(word.text for word in run).strip()
    if text.endswith(CLAUSE_MARKS):
        return next_start_s - run[0].start_s >= LONG_SEGMENT_S
    return ends_sentence(text)


def _segment(run: list[Word], language: str) -> Segment:
    text = "".join(word.text for word in run).strip()
    words = tuple(Word(word.text.strip(), word.start_s, word.end_s, word.probability) for word in run)
    return Segment(text, run[0].start_s, run[-1].end_s, language, words)
