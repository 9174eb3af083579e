"""Speech synthesis by eSpeak NG, a formant synthesizer for over a hundred languages; nothing is downloaded.

Library and voices: the `espeakng-loader` wheel, eSpeak NG (GPL-3.0-or-later), https://github.com/espeak-ng/espeak-ng.
Clear and fast, but a robot's voice, and a man's. Text is spoken as it stands: no SSML, no phonemes in brackets.
"""

import ctypes
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pipelines.contracts.engine import EngineConfig, ModelCard, Resources
from pipelines.contracts.errors import InvalidInput, ModelUnavailable
from pipelines.media import Waveform
from pipelines.speech_synthesis.base import SpeechSynthesizer, Voice
from pipelines.speech_synthesis.tempo import change_tempo

NORMAL_WPM = 175
MIN_WPM, MAX_WPM = 80, 450  # eSpeak NG's own range; beyond it the tempo of its speech is changed
SILENCE = 50  # of 32768

# Codes that people send, and eSpeak NG's own for them.
_ALIASES = {"zh": "cmn", "zh-hk": "yue", "zh-mo": "yue", "en": "en-us", "iw": "he", "nn": "nb", "sh": "hbs"}
_FIRST_LANGUAGES = ("en-us", "cmn", "de", "es", "fr-fr", "ja")  # listed first, as the list is long

# From espeak-ng/speak_lib.h.
_AUDIO_OUTPUT_SYNCHRONOUS = 2
_INITIALIZE_DONT_EXIT = 0x8000
_RATE = 1
_CHARS_UTF8 = 1
_SYNTH_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)


class EspeakNgConfig(EngineConfig):
    """eSpeak NG."""

    engine: Literal["espeak-ng"] = "espeak-ng"
    language: str = Field(default="en-us", description="BCP 47 language of Latin text, unless the call names one.")

    def card(self) -> ModelCard:
        """What this configuration answers with."""
        return ModelCard(
            model="eSpeak NG",
            license="GPL-3.0-or-later",
            description="Formant speech synthesis in over a hundred languages: intelligible and fast, plainly a robot.",
            embedded=True,
        )

    def load(self, resources: Resources) -> "EspeakNg":
        """List the voices, and check that one speaks `language`."""
        try:
            import espeakng_loader
        except ImportError as error:
            raise ModelUnavailable("eSpeak NG is not installed: pip install espeakng-loader.") from error
        library = Path(espeakng_loader.get_library_path())
        data = Path(espeakng_loader.get_data_path())
        with closing(_Library(library, data)) as espeak:
            engine = EspeakNg(library, data, espeak.voices(), espeak.sample_rate_hz, self.language)
        try:
            engine.find_voice(None, self.language, "")
        except InvalidInput as error:
            raise ModelUnavailable(f"eSpeak NG does not speak the configured language {self.language!r}.") from error
        return engine


class EspeakVoice(NamedTuple):
    """A voice as eSpeak NG lists it: the languages that it speaks, each with its priority (lower is better)."""

    name: str
    identifier: str
    languages: tuple[tuple[int, str], ...]


class EspeakNg(SpeechSynthesizer):
    """eSpeak NG with all its voices.

    The library keeps its state in C statics, which even carry over from one utterance to the next and change the
    samples. So each call loads its own copy of the library (0.5 MB, a few ms): calls never interfere, and the same text
    always gives the same samples.
    """

    max_piece_chars = 150  # of Chinese without a comma it drops what comes after some 160 characters

    def __init__(
        self, library: Path, data: Path, voices: Sequence[EspeakVoice], sample_rate_hz: int, default_language: str
    ) -> None:
        self._library = library
        self._data = data
        order = {language: index for index, language in enumerate(_FIRST_LANGUAGES)}
        listed = sorted(voices, key=lambda voice: order.get(voice.languages[0][1], len(order)))
        self._voices = {voice.name: voice for voice in listed}
        self.default_language = default_language
        self.sample_rate_hz = sample_rate_hz

    def voices(self) -> list[Voice]:
        """eSpeak NG's own voices, one or more for each language."""
        return [Voice(voice.name, voice.languages[0][1]) for voice in self._voices.values()]

    def distance(self, voice: Voice, language: str) -> tuple[int, ...] | None:
        """By the subtags that have no voice ("de-AT" takes "de"), then by eSpeak NG's own priorities."""
        tag = language.lower().replace("_", "-")
        dropped = 0
        while tag:
            known = _ALIASES.get(tag, tag)
            priorities = [rank for rank, spoken in self._voices[voice.name].languages if spoken == known]
            if priorities:
                return dropped, min(priorities)
            tag = tag.rpartition("-")[0]
            dropped += 1
        return None

    def speak(self, texts: Iterable[str], voice: Voice, speed: float) -> Iterator[Waveform]:
        """Speak pieces of a text by one copy of the library."""
        wanted_wpm = NORMAL_WPM * speed
        wpm = min(max(wanted_wpm, MIN_WPM), MAX_WPM)
        with closing(_Library(self._library, self._data)) as espeak:
            espeak.choose(self._voices[voice.name], round(wpm))
            for text in texts:
                samples = _without_silent_ends(espeak.say(text)).astype(np.float32) / np.float32(32768)
                if samples.size and wpm != wanted_wpm:
                    samples = change_tempo(samples, self.sample_rate_hz, wanted_wpm / wpm)
                yield samples


class _Library:
    """A private copy of libespeak-ng, state included; `close()` unloads it."""

    def __init__(self, library: Path, data: Path) -> None:
        with tempfile.TemporaryDirectory() as folder:  # the loader identifies libraries by their files
            try:
                self._c = ctypes.CDLL(str(shutil.copy(library, folder)))
            except OSError as error:
                raise ModelUnavailable(
                    "eSpeak NG cannot be loaded from the temporary folder: set TMPDIR to one that may hold programs."
                ) from error
        self._c.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_VoiceStruct))
        self.sample_rate_hz: int = self._c.espeak_Initialize(
            _AUDIO_OUTPUT_SYNCHRONOUS, 0, str(data).encode(), _INITIALIZE_DONT_EXIT
        )
        if self.sample_rate_hz <= 0:
            raise ModelUnavailable("eSpeak NG cannot read its data: reinstall espeakng-loader.")
        self._pcm = bytearray()
        self._callback = _SYNTH_CALLBACK(self._receive)  # the library's only reference to it is no Python reference
        self._c.espeak_SetSynthCallback(self._callback)

    def close(self) -> None:
        self._c.espeak_Terminate()
        ctypes.CDLL(None).dlclose(ctypes.c_void_p(self._c._handle))  # ctypes itself never unloads a library

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
        self._pcm.clear()
        data = text.encode() + b"\0"
        if self._c.espeak_Synth(data, ctypes.c_size_t(len(data)), 0, 0, 0, _CHARS_UTF8, None, None):
            raise ModelUnavailable("eSpeak NG failed.")
        return np.frombuffer(bytes(self._pcm), np.int16)

    def _receive(self, samples: int | None, count: int, _events: int | None) -> int:
        if samples and count > 0:
            self._pcm += ctypes.string_at(samples, 2 * count)
        return 0


class _VoiceStruct(ctypes.Structure):
    """The beginning of espeak_VOICE. `languages` is a list of (priority byte, name, 0), ended by a 0."""

    _fields_ = (("name", ctypes.c_char_p), ("languages", ctypes.c_void_p), ("identifier", ctypes.c_char_p))


def _languages(address: int) -> Iterator[tuple[int, str]]:
    while entry := ctypes.string_at(address):
        yield entry[0], entry[1:].decode()
        address += len(entry) + 1


def _without_silent_ends(samples: NDArray[np.int16]) -> NDArray[np.int16]:
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > SILENCE)
    return samples[loud[0] : loud[-1] + 1] if loud.size else samples[:0]
