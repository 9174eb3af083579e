"""Speech synthesis by eSpeak NG, a formant synthesizer for over a hundred languages; nothing is downloaded.

Library and voices: the `espeakng-loader` wheel, eSpeak NG (GPL-3.0-or-later), https://github.com/espeak-ng/espeak-ng.
Clear and fast, but a robot's voice, and a man's. Text is spoken as it stands: no SSML, no phonemes in brackets.
"""

import ctypes
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pipelines.contracts.engine import EngineConfig, ModelCard, Resources
from pipelines.contracts.errors import InvalidInput, ModelUnavailable
from pipelines.contracts.progress import Progress, no_progress
from pipelines.media import Waveform
from pipelines.speech_synthesis.base import SpeechSynthesizer, Voice
from pipelines.speech_synthesis.speaking import checked, speak
from pipelines.speech_synthesis.text import language_of

NORMAL_WPM = 175
MIN_WPM, MAX_WPM = 80, 450  # what eSpeak NG itself can do; beyond that its sound is stretched
MAX_PIECE_CHARS = 150  # of Chinese without a comma it drops what comes after some 160 characters
SILENCE = 50  # of 32768

# espeak-ng/speak_lib.h
_SYNCHRONOUS = 2
_DONT_EXIT = 0x8000
_RATE = 1
_UTF8 = 1

# Codes that people send and eSpeak NG calls otherwise.
_OTHER_NAMES = {"zh": "cmn", "zh-hk": "yue", "zh-mo": "yue", "en": "en-us", "iw": "he", "nn": "nb", "sh": "hbs"}


class EspeakNgConfig(EngineConfig):
    """eSpeak NG."""

    engine: Literal["espeak-ng"] = "espeak-ng"
    language: str = Field(default="en-us", description="BCP 47 language of Latin text where the call names none.")

    def card(self) -> ModelCard:
        """What this configuration answers with."""
        return ModelCard(
            model="eSpeak NG",
            license="GPL-3.0-or-later",
            description="Formant speech synthesis in over a hundred languages: intelligible and fast, plainly a robot.",
            embedded=True,
        )

    def load(self, resources: Resources) -> "EspeakNg":
        """Load the voices.

        Raises:
            ModelUnavailable: the wheel is not installed, or `language` is not one of eSpeak NG's.
        """
        try:
            import espeakng_loader
        except ImportError as error:
            raise ModelUnavailable("eSpeak NG is not installed: pip install espeakng-loader.") from error
        library = Path(espeakng_loader.get_library_path())
        data = Path(espeakng_loader.get_data_path())
        with _Library(library, data) as espeak:
            engine = EspeakNg(library, data, espeak.voices(), espeak.sample_rate_hz, self.language)
        try:
            engine.find_voice(None, self.language, "")
        except InvalidInput as error:
            raise ModelUnavailable(f"The configured language {self.language!r} is not one of eSpeak NG's.") from error
        return engine


class EspeakVoice(NamedTuple):
    """A voice as eSpeak NG lists it: the languages that it speaks, each with its priority (lower is better)."""

    name: str
    identifier: str
    languages: tuple[tuple[int, str], ...]


class EspeakNg(SpeechSynthesizer):
    """eSpeak NG with all its voices.

    The library keeps its state in C statics, which even carry over from one utterance to the next and change its
    sound. So each call loads a copy of the library (0.5 MB, a few ms): calls never meet, and the same text always
    gives the same samples.
    """

    def __init__(
        self, library: Path, data: Path, voices: Sequence[EspeakVoice], sample_rate_hz: int, default_language: str
    ) -> None:
        self._library = library
        self._data = data
        self._voices = voices
        self._default_language = default_language
        self.sample_rate_hz = sample_rate_hz

    def voices(self) -> list[Voice]:
        """eSpeak NG's own voices, one or more for each language."""
        return [Voice(voice.name, voice.languages[0][1]) for voice in self._voices]

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
        return self._speak(text, self.find_voice(voice, language, text), speed, progress)

    def find_voice(self, name: str | None, language: str | None, text: str) -> EspeakVoice:
        """The voice by its name, else for the language, else for the script of the text.

        Raises:
            InvalidInput: no such voice or language, or the voice does not speak the language.
        """
        if name is not None:
            voice = next((v for v in self._voices if v.name.casefold() == name.casefold()), None)
            if voice is None:
                raise InvalidInput(
                    f"There is no voice {name[:80]!r}. Some that there are: {self._examples(0)}.", "voice"
                )
            if language is not None and self._priority(voice, language) is None:
                raise InvalidInput(f"The voice {voice.name!r} does not speak {language[:40]!r}.", "language")
            return voice
        wanted = language or language_of(text) or self._default_language
        able = [(rank, i) for i, v in enumerate(self._voices) if (rank := self._priority(v, wanted)) is not None]
        if not able:
            raise InvalidInput(
                f"There is no language {wanted[:40]!r}. Some that there are: {self._examples(1)}.", "language"
            )
        return self._voices[min(able)[1]]

    @staticmethod
    def _priority(voice: EspeakVoice, language: str) -> tuple[int, int] | None:
        """How well a voice fits a language tag, lower is better: "de-AT" takes "de" where there is no "de-at"."""
        tag = language.lower().replace("_", "-")
        dropped = 0
        while tag:
            known = _OTHER_NAMES.get(tag, tag)
            ranks = [rank for rank, spoken in voice.languages if spoken == known]
            if ranks:
                return dropped, min(ranks)
            tag = tag.rpartition("-")[0]
            dropped += 1
        return None

    def _examples(self, column: Literal[0, 1]) -> str:
        wanted = ("en-us", "cmn", "de", "es", "fr-fr", "ja")
        chosen = [v for code in wanted for v in self._voices if v.languages[0][1] == code]
        return ", ".join((v.name, v.languages[0][1])[column] for v in chosen)

    def _speak(self, text: str, voice: EspeakVoice, speed: float, progress: Progress) -> Iterator[Waveform]:
        target_wpm = NORMAL_WPM * speed
        wpm = min(max(target_wpm, MIN_WPM), MAX_WPM)
        with _Library(self._library, self._data) as espeak:
            espeak.choose(voice, round(wpm))

            def say(piece: str) -> Waveform:
                samples = _without_silent_ends(espeak.say(piece))
                if samples.size and wpm != target_wpm:
                    samples = espeak.stretched(samples, target_wpm / wpm)
                return samples.astype(np.float32) / np.float32(32768)

            yield from speak(
                text,
                say,
                voice=voice.name,
                speed=speed,
                max_chars=MAX_PIECE_CHARS,
                sample_rate_hz=self.sample_rate_hz,
                progress=progress,
            )


class _Library:
    """A copy of libespeak-ng with a state of its own, unloaded on exit."""

    def __init__(self, library: Path, data: Path) -> None:
        self._data = data
        with tempfile.TemporaryDirectory() as folder:  # the loader tells libraries apart by their files
            try:
                self._c = ctypes.CDLL(str(shutil.copy(library, folder)))
            except OSError as error:
                raise ModelUnavailable(
                    "eSpeak NG cannot be loaded from the temporary folder: set TMPDIR to one that may hold programs."
                ) from error
        self._sound = bytearray()
        self._declare()
        # ctypes does not keep the callback alive.
        self._callback = _SYNTH_CALLBACK(self._receive)

    def _declare(self) -> None:
        c = self._c
        c.espeak_Initialize.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_int]
        c.espeak_ListVoices.argtypes = [ctypes.c_void_p]
        c.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_VoiceStruct))
        c.espeak_SetVoiceByName.argtypes = [ctypes.c_char_p]
        c.espeak_Synth.argtypes = [
            ctypes.c_char_p,
            ctypes.c_size_t,
            ctypes.c_uint,
            ctypes.c_int,
            ctypes.c_uint,
            ctypes.c_uint,
            ctypes.c_void_p,
            ctypes.c_void_p,
        ]
        c.sonicChangeShortSpeed.argtypes = [
            ctypes.c_void_p,
            ctypes.c_int,
            ctypes.c_float,
            ctypes.c_float,
            ctypes.c_float,
            ctypes.c_float,
            ctypes.c_int,
            ctypes.c_int,
            ctypes.c_int,
        ]

    def __enter__(self) -> Self:
        self.sample_rate_hz = self._c.espeak_Initialize(_SYNCHRONOUS, 0, str(self._data).encode(), _DONT_EXIT)
        if self.sample_rate_hz <= 0:
            raise ModelUnavailable("eSpeak NG cannot read its data: reinstall espeakng-loader.")
        self._c.espeak_SetSynthCallback(self._callback)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        import _ctypes

        self._c.espeak_Terminate()
        _ctypes.dlclose(self._c._handle)

    def _receive(self, samples: int | None, count: int, _events: int | None) -> int:
        if samples and count > 0:
            self._sound += ctypes.string_at(samples, 2 * count)
        return 0

    def voices(self) -> list[EspeakVoice]:
        listed = self._c.espeak_ListVoices(None)
        voices: list[EspeakVoice] = []
        while listed[len(voices)]:
            voice = listed[len(voices)].contents
            name, identifier = voice.name.decode().strip(), voice.identifier.decode()
            voices.append(EspeakVoice(name, identifier, tuple(_languages(voice.languages))))
        return voices

    def choose(self, voice: EspeakVoice, words_per_minute: int) -> None:
        if self._c.espeak_SetVoiceByName(voice.identifier.encode()) or self._c.espeak_SetParameter(
            _RATE, words_per_minute, 0
        ):
            raise ModelUnavailable(f"eSpeak NG cannot load its voice {voice.name!r}.")

    def say(self, text: str) -> NDArray[np.int16]:
        """Int16 (samples,)."""
        self._sound.clear()
        data = text.encode() + b"\0"
        if self._c.espeak_Synth(data, len(data), 0, 0, 0, _UTF8, None, None):
            raise ModelUnavailable("eSpeak NG failed.")
        return np.frombuffer(bytes(self._sound), np.int16)

    def stretched(self, samples: NDArray[np.int16], speed: float) -> NDArray[np.int16]:
        """The sound `speed` times as fast at the same pitch, by Sonic, which is part of the library."""
        room = np.zeros(round(samples.size * max(1, 1 / speed)) + self.sample_rate_hz, np.int16)
        room[: samples.size] = samples
        count = self._c.sonicChangeShortSpeed(
            room.ctypes.data, samples.size, speed, 1.0, 1.0, 1.0, 0, self.sample_rate_hz, 1
        )
        return room[:count]


class _VoiceStruct(ctypes.Structure):
    """espeak_VOICE. `languages` is a list of (priority byte, name, 0), ended by a 0."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_void_p),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("xx1", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


_SYNTH_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)


def _languages(address: int) -> Iterator[tuple[int, str]]:
    while entry := ctypes.string_at(address):
        yield entry[0], entry[1:].decode()
        address += len(entry) + 1


def _without_silent_ends(samples: NDArray[np.int16]) -> NDArray[np.int16]:
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > SILENCE)
    return samples[loud[0] : loud[-1] + 1] if loud.size else samples[:0]
