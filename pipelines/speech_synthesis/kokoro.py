"""Speech synthesis by Kokoro: natural voices in seven languages, faster than real time on a few CPU cores.

Model: Kokoro-82M v1.0 (Apache-2.0, https://huggingface.co/hexgrad/Kokoro-82M), a StyleTTS 2
(https://arxiv.org/abs/2306.07691) with an ISTFTNet, in either published layout. onnx-community/Kokoro-82M-v1.0-ONNX has
`onnx/model.onnx` (310 MB; smaller ones beside it) and `voices/<name>.bin` (float32, one style of 256 numbers for each
count of phonemes); kokoro-onnx's own releases have `kokoro-v1.0.onnx` and all voices in `voices-v1.0.bin`.
Library: kokoro-onnx (MIT) on onnxruntime (MIT); a GPU needs onnxruntime-gpu.

Words become phonemes by phonemizer and eSpeak NG (both GPL-3.0-or-later). Japanese and Chinese voices are left out:
eSpeak NG's phonemes are not those that they were trained on. The published graph draws a little noise itself, so
samples may differ slightly from call to call.
"""

import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pipelines.contracts.engine import ModelCard, Resources
from pipelines.contracts.errors import ModelUnavailable
from pipelines.loading.checkpoint import CheckpointConfig
from pipelines.loading.errors import reading, unreadable
from pipelines.loading.weights import Weights, locate, require
from pipelines.media import Waveform
from pipelines.speech_synthesis.base import SpeechSynthesizer, Voice
from pipelines.speech_synthesis.tempo import change_tempo

_DEFAULT = "onnx-community/Kokoro-82M-v1.0-ONNX"
_STYLE_SIZE = 256
_INPUTS = ({"input_ids", "style", "speed"}, {"tokens", "style", "speed"})
MIN_OWN_SPEED, MAX_OWN_SPEED = 0.5, 2.0  # the model's own range; beyond it the tempo of its speech is changed

# By a voice's first letter: BCP 47, and eSpeak NG's name for it.
_LANGUAGES = {
    "a": ("en-US", "en-us"),
    "b": ("en-GB", "en-gb"),
    "e": ("es", "es"),
    "f": ("fr", "fr-fr"),
    "h": ("hi", "hi"),
    "i": ("it", "it"),
    "p": ("pt-BR", "pt-br"),
}


class KokoroConfig(CheckpointConfig):
    """Kokoro on onnxruntime."""

    licenses: ClassVar = {_DEFAULT: "Apache-2.0"}

    engine: Literal["kokoro"] = "kokoro"
    model: str = Field(_DEFAULT, description="Hub id or local folder, in either published layout.")
    file: str = Field(
        "model.onnx",
        pattern=r"^[\w.-]+\.onnx$",
        description="The graph, in the folder `onnx` or beside the voices: model.onnx, or a smaller one such as "
        "model_quantized.onnx or kokoro-v1.0.int8.onnx.",
    )
    voice: str = Field("af_heart", description="Voice of Latin text, unless the call names a voice or a language.")

    def card(self) -> ModelCard:
        """What this configuration answers with."""
        return ModelCard(
            model=self.name,
            license=self.license,
            description="Kokoro: natural voices in English, Spanish, French, Hindi, Italian and Portuguese, not in "
            "Chinese or Japanese. Its phonemes come from eSpeak NG and phonemizer (GPL-3.0-or-later).",
        )

    def weights(self) -> tuple[Weights, ...]:
        """One graph and all voices."""
        return (Weights(self.model, self.revision, (f"onnx/{self.file}", "voices/*.bin", self.file, "voices-*.bin")),)

    def load(self, resources: Resources) -> "Kokoro":
        """Load the graph and the voices."""
        try:
            from kokoro_onnx import Kokoro as KokoroOnnx
        except ImportError as error:
            raise ModelUnavailable("Kokoro's library is not installed: pip install kokoro-onnx.") from error
        (weights,) = self.weights()
        folder = locate(weights)
        graph = self.file if (folder / self.file).is_file() else f"onnx/{self.file}"
        require(folder, weights, [graph])
        styles = _read_styles(folder, self.name)
        if self.voice not in styles:
            raise ModelUnavailable(f"{self.name} has no voice {self.voice!r} that speaks a known language.")
        session = self._open(folder / graph)
        with tempfile.TemporaryDirectory() as packed_folder:  # kokoro-onnx reads all voices from one file
            packed = Path(packed_folder, "voices.npz")
            np.savez(packed, **styles)
            kokoro = KokoroOnnx.from_session(session, str(packed))
            kokoro.voices.close()
        kokoro.voices = styles
        return Kokoro(kokoro, self.voice)

    def _open(self, path: Path) -> Any:
        import onnxruntime  # type: ignore[import-untyped]

        has_gpu = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
        if self.device == "cuda" and not has_gpu:
            raise ModelUnavailable("The configuration requests a CUDA device: that needs a GPU and onnxruntime-gpu.")
        providers = ["CUDAExecutionProvider"] if has_gpu and self.device != "cpu" else []
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", "0"))  # Ray's word; onnxruntime has none
        with reading(self.name):
            session = onnxruntime.InferenceSession(path, options, [*providers, "CPUExecutionProvider"])
        if self.device == "cuda" and session.get_providers()[0] != "CUDAExecutionProvider":
            raise ModelUnavailable("onnxruntime cannot use the GPU: its CUDA or cuDNN libraries are missing.")
        if {each.name for each in session.get_inputs()} not in _INPUTS:
            raise unreadable(self.name)
        return session


def _read_styles(folder: Path, model: str) -> dict[str, Any]:
    """Float32 (phonemes, 1, 256) of each voice whose language is known."""
    found: dict[str, NDArray[Any]] = {path.stem: np.fromfile(path, "<f4") for path in folder.glob("voices/*.bin")}
    for path in folder.glob("voices-*.bin"):
        with reading(model), np.load(path, allow_pickle=False) as packed:
            found.update(packed)
    styles = {}
    for name, numbers in found.items():
        if not numbers.size or numbers.size % _STYLE_SIZE or not np.isfinite(numbers).all():
            raise unreadable(model)
        if name[0] in _LANGUAGES:
            styles[name] = numbers.astype(np.float32, copy=False).reshape(-1, 1, _STYLE_SIZE)
    return styles


class Kokoro(SpeechSynthesizer):
    """The loaded model.

    Args:
        kokoro: of kokoro-onnx.
        default_voice: one of its voices.
    """

    sample_rate_hz = 24_000
    max_piece_chars = 300  # some 400 phonemes; the model takes 510

    def __init__(self, kokoro: Any, default_voice: str) -> None:
        from phonemizer.backend import EspeakBackend

        self._kokoro = kokoro
        self._styles: dict[str, NDArray[np.float32]] = kokoro.voices
        self._default_voice = default_voice
        self.default_language = _LANGUAGES[default_voice[0]][0]
        self._backends = {
            letter: EspeakBackend(
                language,
                preserve_punctuation=True,
                with_stress=True,
                # Otherwise eSpeak NG writes languages' names into the phonemes of a text that mixes them.
                language_switch="remove-flags",
            )
            for letter, (_, language) in _LANGUAGES.items()
        }

    def voices(self) -> list[Voice]:
        """The model's voices, the default first. The second letter is f for a female voice, m for a male one."""
        names = sorted(self._styles, key=lambda name: (name != self._default_voice, name))
        return [Voice(name, _LANGUAGES[name[0]][0]) for name in names]

    def speak(self, texts: Iterable[str], voice: Voice, speed: float) -> Iterator[Waveform]:
        """Speak pieces of a text."""
        own_speed = min(max(speed, MIN_OWN_SPEED), MAX_OWN_SPEED)
        for text in texts:
            samples = self._say(text, voice.name, own_speed)
            if samples.size and speed != own_speed:
                samples = change_tempo(samples, self.sample_rate_hz, speed / own_speed)
            yield samples

    def _say(self, text: str, voice: str, speed: float) -> Waveform:
        phonemes = "".join(self._backends[voice[0]].phonemize([text]))
        if not any(phoneme.isalpha() for phoneme in self._kokoro.tokenizer.known(phonemes)):
            return np.zeros(0, np.float32)
        samples, _ = self._kokoro.create(phonemes, self._styles[voice], speed, is_phonemes=True)
        clipped: Waveform = np.clip(samples.astype(np.float32, copy=False), -1, 1)
        return clipped
