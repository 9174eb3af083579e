"""The Whisper engine says what faster-whisper says, whatever the length, and holds a bounded piece of the audio."""

import itertools
import shutil
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from faster_whisper import BatchedInferencePipeline, WhisperModel
from faster_whisper.vad import VadOptions, get_speech_timestamps
from pydantic import TypeAdapter

from pipelines.contracts.engine import Resources
from pipelines.contracts.errors import Cancelled, InvalidInput, ModelUnavailable
from pipelines.speech_recognition import Config, FasterWhisperConfig, SpeechRecognizer, Word
from pipelines.speech_recognition.faster_whisper import CLIP_S, memory_errors, sentences, speech_windows
from pipelines.speech_synthesis.espeak_ng import EspeakNgConfig
from tests.checkpoints.speech_recognition import make_tiny_whisper

RATE = 16_000
TEXTS = (
    "The garden was quiet. Nobody knew where the old gardener had gone!",
    "Did he leave a note? The train leaves at nine, from platform three, and it will not wait for anybody.",
)


@pytest.fixture(scope="module")
def folder(checkpoint: Callable[..., Path]) -> Path:
    return checkpoint(make_tiny_whisper)


@pytest.fixture(scope="module")
def recognizer(folder: Path) -> SpeechRecognizer:
    return config(folder).load(Resources())


@pytest.fixture(scope="module")
def reference(folder: Path) -> WhisperModel:
    return WhisperModel(str(folder), device="cpu", compute_type="float32")


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    """Two short paragraphs with pauses before, between and after, 14 s or so."""
    espeak = EspeakNgConfig().load(Resources())
    hush = np.zeros(2 * RATE, np.float32)
    parts = [hush]
    for text in TEXTS:
        said = np.concatenate(list(espeak.synthesize(text)))
        at = np.arange(0, said.size - 1, espeak.sample_rate_hz / RATE)
        parts += [np.interp(at, np.arange(said.size), said).astype(np.float32), hush]
    return np.concatenate(parts)


def config(folder: Path, **settings: object) -> FasterWhisperConfig:
    settings = {"compute_type": "float32", "batch_size": 2, "beam_size": 1} | settings
    return TypeAdapter(Config).validate_python({"engine": "faster-whisper", "model": str(folder)} | settings)


def blocks(audio: np.ndarray, size: int = RATE) -> Iterator[np.ndarray]:
    for i in range(0, audio.size, size):
        yield audio[i : i + size]


def clips_of(audio: np.ndarray) -> list[dict[str, float]]:
    """Speech from its first to its last sample, for audio with less than 30 s in between."""
    found = get_speech_timestamps(audio, VadOptions(max_speech_duration_s=30, min_silence_duration_ms=160))
    return [{"start": (found[0]["start"] + 0.5) / RATE, "end": (found[-1]["end"] + 0.5) / RATE}]


def directly(model: WhisperModel, audio: np.ndarray, **how: object) -> tuple[list[tuple], str]:
    how = {"clip_timestamps": clips_of(audio), "beam_size": 1} | how
    found, info = BatchedInferencePipeline(model).transcribe(audio, word_timestamps=True, **how)
    words = [word for segment in found for word in segment.words]
    return [(word.word.strip(), word.start, word.end, word.probability) for word in words], info.language


def flat(segments: list) -> list[tuple]:
    words = [word for segment in segments for word in segment.words]
    return [(word.text, word.start_s, word.end_s, word.probability) for word in words]


@pytest.mark.parametrize("language", [None, "de", "zh"])
def test_words_and_times_of_faster_whisper_called_directly(
    recognizer: SpeechRecognizer, reference: WhisperModel, speech: np.ndarray, language: str | None
) -> None:
    segments = list(recognizer.transcribe([speech], language=language))
    expected, found_language = directly(reference, speech, language=language)
    assert len(expected) > 20
    assert flat(segments) == [(text, pytest.approx(start), pytest.approx(end), p) for text, start, end, p in expected]
    assert {segment.language for segment in segments} == {found_language}
    assert language in (None, found_language)


def test_beam_search_and_int8_are_handed_on(folder: Path, speech: np.ndarray) -> None:
    eight_bit = WhisperModel(str(folder), device="cpu", compute_type="int8")
    expected, _ = directly(eight_bit, speech, beam_size=3)
    segments = list(config(folder, compute_type="auto", beam_size=3).load(Resources()).transcribe([speech]))
    assert [word[0] for word in flat(segments)] == [word[0] for word in expected]


def test_the_words_depend_on_the_audio_and_on_the_language(recognizer: SpeechRecognizer, speech: np.ndarray) -> None:
    half = speech.size // 2
    said = [
        flat(list(recognizer.transcribe([audio], language=language)))
        for audio, language in ((speech, "en"), (speech, "de"), (speech[:half], "en"))
    ]
    assert said[0] != said[1]
    assert [word[0] for word in said[0]] != [word[0] for word in said[2]]


def test_long_audio_is_cut_at_pauses_and_every_clip_decoded_as_faster_whisper_does(
    recognizer: SpeechRecognizer, reference: WhisperModel, speech: np.ndarray
) -> None:
    audio = np.tile(speech, 10)
    windows = list(speech_windows(blocks(audio), 2))
    clips = [(w.start_s + clip["start"], w.start_s + clip["end"]) for w in windows for clip in w.clips]
    assert len(windows) >= 3
    assert all(end - start <= CLIP_S + 0.001 for start, end in clips)
    assert all(a[1] <= b[0] + 0.001 for a, b in itertools.pairwise(clips))
    stretches = get_speech_timestamps(audio, VadOptions(speech_pad_ms=0, min_silence_duration_ms=160))
    lost = [s for s in stretches if not any(a <= s["start"] / RATE and s["end"] / RATE <= b for a, b in clips)]
    assert not lost
    heard = flat(list(recognizer.transcribe(blocks(audio), language="en")))
    expected = [
        word
        for a, b in clips
        for word in directly(
            reference, audio, language="en", batch_size=1, clip_timestamps=[{"start": a + 1e-5, "end": b + 1e-5}]
        )[0]
    ]
    assert [word[0] for word in heard] == [word[0] for word in expected]
    # The first word after a pause may be shortened by its distance from the word before, which one clip does not know.
    near = [abs(a[1] - b[1]) < 0.03 and abs(a[2] - b[2]) < 0.03 for a, b in zip(heard, expected, strict=True)]
    assert near.count(False) <= 2 * len(clips)


def test_same_audio_same_segments_however_it_is_cut(recognizer: SpeechRecognizer, speech: np.ndarray) -> None:
    whole = list(recognizer.transcribe([speech]))
    assert list(recognizer.transcribe(blocks(speech, 12_347))) == whole


def test_silence_and_noise_give_no_segments(recognizer: SpeechRecognizer) -> None:
    t = np.arange(10 * RATE) / RATE
    rng = np.random.default_rng(0)
    for audio in (t[:0], t[:1] * 0, t * 0, 0.1 * rng.standard_normal(t.size), 0.3 * np.sin(880 * np.pi * t)):
        assert list(recognizer.transcribe(blocks(audio.astype(np.float32)))) == []
    assert list(recognizer.transcribe([])) == []


def test_languages(recognizer: SpeechRecognizer, tmp_path: Path, speech: np.ndarray) -> None:
    for unknown in ("xx", "english", "", "<|de|>", "eng"):
        with pytest.raises(InvalidInput, match="Unknown language") as caught:
            recognizer.transcribe([], language=unknown)
        assert caught.value.param == "language"
    said = speech[: 6 * RATE]
    for asked, reported in (("EN-us", "en"), ("zh_TW", "zh"), ("jv", "jv"), ("nb", "no")):
        assert {segment.language for segment in recognizer.transcribe([said], language=asked)} == {reported}
    english = config(make_tiny_whisper(tmp_path / "english", english=True)).load(Resources())
    assert {segment.language for segment in english.transcribe([said])} == {"en"}
    with pytest.raises(InvalidInput, match=r"English only: .* needs a larger, multilingual model"):
        english.transcribe([], language="de")


def test_progress_and_cancel(recognizer: SpeechRecognizer, speech: np.ndarray) -> None:
    audio = np.tile(speech, 10)
    seen: list[float | None] = []

    def stop(fraction: float | None, stage: str) -> None:
        seen.append(fraction)
        if fraction and fraction > 0.4:
            raise Cancelled("The caller went away.")

    pulled = [0]

    def counted() -> Iterator[np.ndarray]:
        for block in blocks(audio):
            pulled[0] += 1
            yield block

    with pytest.raises(Cancelled):
        list(recognizer.transcribe(counted(), duration_s=audio.size / RATE, progress=stop))
    assert seen == sorted(seen)
    assert seen[0] == 0
    assert 0.4 < seen[-1] < 0.8
    assert pulled[0] < 0.9 * audio.size / RATE
    before = list(recognizer.transcribe([speech]))
    assert before == list(recognizer.transcribe([speech], progress=lambda fraction, stage: seen.append(fraction)))
    assert seen[-1] == 1


def test_memory_does_not_grow_with_the_length(recognizer: SpeechRecognizer, speech: np.ndarray) -> None:
    def peak_mb(times: int) -> float:
        tracemalloc.start()
        for _ in recognizer.transcribe((block for _ in range(times) for block in blocks(speech)), language="en"):
            pass
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak / 1e6

    short, long = peak_mb(6), peak_mb(20)
    minutes = speech.size / RATE / 60
    print(f"peak {short:.1f} MB for {6 * minutes:.1f} min, {long:.1f} MB for {20 * minutes:.1f} min")
    assert long < 1.15 * short


def test_what_cannot_be_loaded_is_reported(folder: Path, tmp_path: Path) -> None:
    def broken(name: str, data: bytes | None) -> Path:
        copy = shutil.copytree(folder, tmp_path / f"{name}-{data and len(data)}")
        (copy / name).unlink() if data is None else (copy / name).write_bytes(data)
        return copy

    for name in ("model.bin", "tokenizer.json", "config.json"):
        with pytest.raises(ModelUnavailable, match="make pull"):
            config(broken(name, None)).load(Resources())
    whole = (folder / "model.bin").read_bytes()
    for name, data in (
        ("model.bin", whole[: len(whole) // 2]),
        ("model.bin", b"no model"),
        ("tokenizer.json", b'{"version": '),
        ("vocabulary.json", b"["),
        ("preprocessor_config.json", b'{"feature_size": 128}'),
    ):
        with pytest.raises(ModelUnavailable, match="damaged") as caught:
            config(broken(name, data)).load(Resources())
        assert str(tmp_path) not in caught.value.message
    with pytest.raises(ModelUnavailable, match="does not exist"):
        config(tmp_path / "nowhere").load(Resources())
    with pytest.raises(ModelUnavailable, match="make pull"):
        FasterWhisperConfig(revision="never-fetched").load(Resources())
    with pytest.raises(ModelUnavailable, match="CUDA"):
        config(folder, device="cuda").load(Resources())
    with pytest.raises(ModelUnavailable, match="float16"):
        config(folder, compute_type="float16").load(Resources())


def test_segments_are_sentences() -> None:
    def said(text: str) -> list[Word]:
        return [Word(f" {word}", 0.5 * i, 0.5 * i + 0.4, 1.0) for i, word in enumerate(text.split())]

    def cut(words: list[Word]) -> list[str]:
        segments = list(sentences(words, "en"))
        assert [word for segment in segments for word in segment.words] == [
            Word(word.text.strip(), *list(vars(word).values())[1:]) for word in words
        ]
        for segment in segments:
            assert (segment.start_s, segment.end_s) == (segment.words[0].start_s, segment.words[-1].end_s)
        return [segment.text for segment in segments]

    assert cut(said("Mr. J. Smith left early. Why? He did not say!")) == [
        "Mr. J. Smith left early.",
        "Why?",
        "He did not say!",
    ]
    long = "word " * 13 + "end, then more"
    assert cut(said(long)) == [long[:-10], "then more"]
    paused = said("one two three")
    paused[2] = Word(" three", 5.0, 5.5, 1.0)
    assert cut(paused) == ["one two", "three"]
    chinese = [Word(text, 0.3 * i, 0.3 * i + 0.3, 1.0) for i, text in enumerate(("今天", "很好。", "我们", "走。"))]
    assert cut(chinese) == ["今天很好。", "我们走。"]
    assert cut([]) == []


def test_a_full_gpu_is_a_memory_error() -> None:
    with pytest.raises(MemoryError), memory_errors():
        raise RuntimeError("CUDA failed with error out of memory")
    with pytest.raises(RuntimeError, match="something else"), memory_errors():
        raise RuntimeError("something else")


def test_card_and_weights() -> None:
    assert FasterWhisperConfig().card().license == "MIT"
    assert FasterWhisperConfig(model="someone/else").card().license == "see the model's page"
    weights = FasterWhisperConfig(revision="abc").weights()[0]
    assert (weights.model, weights.revision) == ("dropbox-dash/faster-whisper-large-v3-turbo", "abc")
    assert "model.bin" in weights.files


def test_importing_loads_no_library() -> None:
    names = ("faster_whisper", "ctranslate2", "onnxruntime", "tokenizers", "torch", "av")
    script = f"import sys, pipelines.speech_recognition; print([m for m in {names} if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", script], text=True).strip() == "[]"
