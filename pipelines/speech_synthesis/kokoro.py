"""Speech synthesis by Kokoro: natural voices in seven languages, faster than real time on a few CPU cores.

Model: Kokoro-82M v1.0 (Apache-2.0, https://huggingface.co/hexgrad/Kokoro-82M), a StyleTTS 2
(https://arxiv.org/abs/2306.07691) with an ISTFTNet, in the layout of onnx-community/Kokoro-82M-v1.0-ONNX:
`onnx/model.onnx` (310 MB; smaller ones beside it) and `voices/<name>.bin` (float32, one style of 256 numbers for each
count of phonemes).
Library: kokoro-onnx (MIT) on onnxruntime (MIT).

Words become phonemes by phonemizer and eSpeak NG (both GPL-3.0-or-later). Japanese and Chinese voices are left out:
eSpeak NG's phonemes are not those that they were trained on. The published graph draws a little noise of its own, so
samples may differ slightly from call to call.
"""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pipelines.contracts.engine import EngineConfig, ModelCard, Resources
from pipelines.contracts.errors import InvalidInput, ModelUnavailable
from pipelines.contracts.progress import Progress, no_progress
from pipelines.loading.device import DeviceName
from pipelines.loading.weights import Weights, is_path, locate, require
from pipelines.media import Waveform
from pipelines.speech_synthesis.base import SpeechSynthesizer, Voice
from pipelines.speech_synthesis.speaking import checked, speak, stretched
from pipelines.speech_synthesis.text import language_of

_DEFAULT = "onnx-community/Kokoro-82M-v1.0-ONNX"
_STYLE = 256
_INPUTS = {"input_ids", "style", "speed"}
MAX_PIECE_CHARS = 300  # some 400 phonemes; the model takes 510
MIN_SPEED, MAX_SPEED = 0.5, 2.0  # what the model itself can do; beyond that its sound is stretched

# A voice's first letter tells its language: BCP 47, and eSpeak NG's name.
_LANGUAGES = {
    "a": ("en-US", "en-us"),
    "b": ("en-GB", "en-gb"),
    "e": ("es", "es"),
    "f": ("fr", "fr-fr"),
    "h": ("hi", "hi"),
    "i": ("it", "it"),
    "p": ("pt-BR", "pt-br"),
}


class KokoroConfig(EngineConfig):
    """Kokoro on onnxruntime."""

    engine: Literal["kokoro"] = "kokoro"
    model: str = Field(_DEFAULT, description="Hub id or local folder in the layout of the default.")
    revision: str = Field("main", description="Commit, tag or branch on the hub.")
    file: str = Field(
        "model.onnx",
        pattern=r"^[\w.-]+\.onnx$",
        description="The graph in the folder `onnx`: model.onnx, or a smaller one such as model_quantized.onnx.",
    )
    voice: str = Field("af_heart", description="Voice where the call names neither a voice nor a language.")
    device: DeviceName = Field("auto", description="Where it runs; a GPU needs onnxruntime-gpu.")

    @property
    def name(self) -> str:
        """What the model is called: its hub id, or its folder's name."""
        return Path(self.model).name if is_path(self.model) else self.model

    def card(self) -> ModelCard:
        """What this configuration answers with."""
        return ModelCard(
            model=self.name,
            license="Apache-2.0" if self.model == _DEFAULT else "see the model's page",
            description="Kokoro: natural voices in English, Spanish, French, Hindi, Italian and Portuguese, not in "
            "Chinese or Japanese. Its phonemes come from eSpeak NG and phonemizer (GPL-3.0-or-later).",
        )

    def weights(self) -> tuple[Weights, ...]:
        """One graph and all voices."""
        return (Weights(self.model, self.revision, (f"onnx/{self.file}", "voices/*.bin")),)

    def load(self, resources: Resources) -> "Kokoro":
        """Load the graph and the voices.

        Raises:
            ModelUnavailable: weights are missing, damaged, or of another kind; no such voice; the device is not to be
                had, or the libraries are not installed.
        """
        try:
            from kokoro_onnx import Kokoro as KokoroOnnx
        except ImportError as error:
            raise ModelUnavailable("Kokoro's library is not installed: pip install kokoro-onnx.") from error
        weights = self.weights()[0]
        folder = locate(weights)
        require(folder, weights, [f"onnx/{self.file}"])
        styles = self._read_styles(folder / "voices")
        if self.voice not in styles:
            raise ModelUnavailable(f"{self.name} has no voice {self.voice!r} that speaks a known language.")
        session = self._open(folder / "onnx" / self.file)
        with tempfile.TemporaryDirectory() as folder_of_one:  # kokoro-onnx reads all voices from one file
            packed = Path(folder_of_one, "voices.npz")
            np.savez(packed, **styles)
            kokoro = KokoroOnnx.from_session(session, str(packed))
            kokoro.voices.close()
        kokoro.voices = styles
        return Kokoro(kokoro, self.voice)

    def _read_styles(self, folder: Path) -> dict[str, Any]:
        """Float32 (phonemes, 1, 256) of each voice whose language is known."""
        styles = {}
        for path in sorted(folder.glob("*.bin")):
            numbers = np.fromfile(path, "<f4")
            if not numbers.size or numbers.size % _STYLE or not np.isfinite(numbers).all():
                raise self._unusable()
            if path.stem[0] in _LANGUAGES:
                styles[path.stem] = numbers.reshape(-1, 1, _STYLE)
        return styles

    def _open(self, path: Path) -> Any:
        import onnxruntime  # type: ignore[import-untyped]
        from onnxruntime.capi.onnxruntime_pybind11_state import (  # type: ignore[import-untyped]
            Fail,
            InvalidArgument,
            InvalidGraph,
            InvalidProtobuf,
            NotImplemented,
            RuntimeException,
        )

        has_gpu = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
        if self.device == "cuda" and not has_gpu:
            raise ModelUnavailable("The configuration asks for a CUDA device: that needs a GPU and onnxruntime-gpu.")
        providers = ["CUDAExecutionProvider"] if has_gpu and self.device != "cpu" else []
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", "0"))  # Ray's word; onnxruntime has none
        try:
            session = onnxruntime.InferenceSession(path, options, [*providers, "CPUExecutionProvider"])
        except (Fail, InvalidArgument, InvalidGraph, InvalidProtobuf, NotImplemented, RuntimeException) as error:
            raise self._unusable() from error
        if self.device == "cuda" and session.get_providers()[0] != "CUDAExecutionProvider":
            raise ModelUnavailable("onnxruntime cannot use the GPU: its CUDA or cuDNN libraries are missing.")
        if {each.name for each in session.get_inputs()} != _INPUTS:
            raise self._unusable()
        return session

    def _unusable(self) -> ModelUnavailable:
        return ModelUnavailable(f"The files of {self.name} are damaged, or not of Kokoro in onnx-community's layout.")


class Kokoro(SpeechSynthesizer):
    """The loaded model.

    Args:
        kokoro: of kokoro-onnx.
        default_voice: one of its voices.
    """

    sample_rate_hz = 24_000

    def __init__(self, kokoro: Any, default_voice: str) -> None:
        from phonemizer.backend import EspeakBackend

        self._kokoro = kokoro
        self._styles: dict[str, NDArray[np.float32]] = kokoro.voices
        self._default_voice = default_voice
        self._backends = {
            letter: EspeakBackend(
                # Where eSpeak NG changes its language it writes the languages' names into the phonemes.
                language,
                preserve_punctuation=True,
                with_stress=True,
                language_switch="remove-flags",
            )
            for letter, (_, language) in _LANGUAGES.items()
        }

    def voices(self) -> list[Voice]:
        """The model's voices: the second letter tells a female (f) from a male (m) one."""
        return [Voice(name, _LANGUAGES[name[0]][0]) for name in sorted(self._styles)]

    def synthesize(
        self,
        text: str,
        *,
        voice: str | None = None,
        language: str | None = None,
        speed: float = 1.0,
        progress: Progress = no_progress,
    ) -> Iterator[Waveform]:
        """Speak a text, sentence by sentence; see the base class. What is wrong with the input is told at once.

        Raises:
            InvalidInput: an unknown voice or language, a voice that does not speak the language, a speed outside 0.25
                to 4, or a text without a letter or a digit.
            Cancelled: `progress` said so.
        """
        text = checked(text, speed)
        name = self.find_voice(voice, language, text)
        own_speed = min(max(speed, MIN_SPEED), MAX_SPEED)

        def say(piece: str) -> Waveform:
            samples = self._say(piece, name, own_speed)
            return stretched(samples, self.sample_rate_hz, speed / own_speed) if speed != own_speed else samples

        return speak(
            text,
            say,
            voice=name,
            speed=speed,
            max_chars=MAX_PIECE_CHARS,
            sample_rate_hz=self.sample_rate_hz,
            progress=progress,
        )

    def find_voice(self, name: str | None, language: str | None, text: str) -> str:
        """The voice by its name, else for the language, else for the script of the text.

        Raises:
            InvalidInput: no such voice or language, or the voice does not speak the language.
        """
        if name is not None:
            found = next((each for each in self._styles if each == name.lower()), None)
            if found is None:
                some = ", ".join(sorted(self._styles)[:6])
                raise InvalidInput(f"There is no voice {name[:80]!r}. Some that there are: {some}.", "voice")
            if language is not None and _likeness(found, language) == 0:
                raise InvalidInput(f"The voice {found!r} does not speak {language[:40]!r}.", "language")
            return found
        wanted = language or language_of(text)
        if wanted is None:
            return self._default_voice
        best = max(sorted(self._styles), key=lambda each: (_likeness(each, wanted), each == self._default_voice))
        if _likeness(best, wanted) == 0:
            spoken = ", ".join(sorted({voice.language for voice in self.voices()}))
            raise InvalidInput(f"This model does not speak {wanted[:40]!r}; it speaks {spoken}.", "language")
        return best

    def _say(self, text: str, voice: str, speed: float) -> Waveform:
        phonemes = "".join(self._backends[voice[0]].phonemize([text]))
        if not any(phoneme.isalpha() for phoneme in self._kokoro.tokenizer.known(phonemes)):
            return np.zeros(0, np.float32)
        samples, _ = self._kokoro.create(phonemes, self._styles[voice], speed, is_phonemes=True)
        sound: Waveform = np.clip(samples.astype(np.float32, copy=False), -1, 1)
        return sound


def _likeness(voice: str, language: str) -> int:
    """2: the voice speaks just this language tag; 1: another kind of the same language; 0: neither."""
    spoken, wanted = _LANGUAGES[voice[0]][0].lower(), language.lower().replace("_", "-")
    if spoken == wanted:
        return 2
    return int(spoken.partition("-")[0] == wanted.partition("-")[0])
