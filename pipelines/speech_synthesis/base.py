"""What every speech synthesis engine offers, and what all of them do with a text.

A text is cut into pieces of a sentence or less. An engine speaks one piece; choosing the voice, the pauses between
pieces and the progress are the same for all.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from pipelines.contracts.errors import InvalidInput
from pipelines.contracts.progress import Progress, no_progress
from pipelines.media import Waveform
from pipelines.speech_synthesis.text import clean, is_speakable, language_of, pieces

MIN_SPEED, MAX_SPEED = 0.25, 4.0
MAX_EXAMPLES = 6  # in an error message


@dataclass(frozen=True)
class Voice:
    """A voice by its name, and the language it speaks (BCP 47)."""

    name: str
    language: str


class SpeechSynthesizer(ABC):
    """One loaded model. Not thread-safe, but several texts may be spoken in turns: one piece of this, one of that.

    Attributes:
        sample_rate_hz: of the speech.
        default_language: BCP 47 language of Latin text, unless the call names one.
        max_piece_chars: the longest text that it speaks in one go.
    """

    sample_rate_hz: int
    default_language: str
    max_piece_chars: int

    @abstractmethod
    def voices(self) -> list[Voice]:
        """The voices that `synthesize` takes. Of those that suit a language equally well, the first speaks it."""

    @abstractmethod
    def speak(self, texts: Iterable[str], voice: Voice, speed: float) -> Iterator[Waveform]:
        """Speak pieces of a text, each one only when its samples are asked for.

        Yields:
            For each piece float32 (samples,) at `sample_rate_hz`, -1 to 1; empty if the voice can pronounce nothing
            in it.
        """

    def distance(self, voice: Voice, language: str) -> tuple[int, ...] | None:
        """How far the voice is from a BCP 47 language: smaller is closer, `None` if it does not speak it."""
        spoken, wanted = voice.language.lower(), language.lower().replace("_", "-")
        if spoken == wanted:
            return (0,)
        return (1,) if spoken.partition("-")[0] == wanted.partition("-")[0] else None

    def find_voice(self, name: str | None, language: str | None, text: str) -> Voice:
        """The voice by its name, else for the language, else for the script of the text.

        Raises:
            InvalidInput: no such voice or language, or the voice does not speak the language.
        """
        voices = self.voices()
        if name is not None:
            voice = next((each for each in voices if each.name.casefold() == name.casefold()), None)
            if voice is None:
                raise InvalidInput(f"Unknown voice {name[:80]!r}. Voices: {_some(v.name for v in voices)}.", "voice")
            if language is not None and self.distance(voice, language) is None:
                raise InvalidInput(f"Voice {voice.name!r} does not speak {language[:40]!r}.", "language")
            return voice
        wanted = language or language_of(text) or self.default_language
        ranked = [(far, i) for i, voice in enumerate(voices) if (far := self.distance(voice, wanted)) is not None]
        if not ranked:
            languages = _some(voice.language for voice in voices)
            raise InvalidInput(f"No voice speaks {wanted[:40]!r}. Languages: {languages}.", "language")
        return voices[min(ranked)[1]]

    def synthesize(
        self,
        text: str,
        *,
        voice: str | None = None,
        language: str | None = None,
        speed: float = 1.0,
        progress: Progress = no_progress,
    ) -> Iterator[Waveform]:
        """Speak a text, piece by piece: the first piece comes before the last one is made.

        Args:
            text: at least one letter or digit.
            voice: a name of `voices()`; `None` takes the language's default.
            language: BCP 47 ("en", "zh", "de"); `None` is found from the voice, else from the script of the text.
            speed: 0.25 to 4, 1 is the voice's own. Pauses become shorter with it, never longer.
            progress: called before each piece.

        Returns:
            Consecutive pieces and the pauses between them at `sample_rate_hz`, float32 (samples,), -1 to 1. They
            raise `Cancelled` if `progress` does, and `InvalidInput` if the voice can pronounce nothing in the text.

        Raises:
            InvalidInput: at once, before anything is spoken: an unknown voice or language, a voice that does not speak
                the language, a speed out of range, or a text without a letter or digit.
        """
        if not MIN_SPEED <= speed <= MAX_SPEED:
            raise InvalidInput(f"speed must be {MIN_SPEED:g} to {MAX_SPEED:g}.", "speed")
        text = clean(text)
        if not is_speakable(text):
            raise InvalidInput("The text contains nothing to speak.", "text")
        return self._synthesize(text, self.find_voice(voice, language, text), speed, progress)

    def _synthesize(self, text: str, voice: Voice, speed: float, progress: Progress) -> Iterator[Waveform]:
        cut = list(pieces(text, self.max_piece_chars))
        speech = self.speak((piece.text for piece in cut), voice, speed)
        done, spoken = 0, False
        pause: Waveform = np.zeros(0, np.float32)
        for piece in cut:
            progress(min(done / len(text), 1.0), "speaking")
            done += len(piece.text)
            samples = next(speech)
            if not samples.size:
                continue
            if pause.size:
                yield pause
            spoken = True
            yield samples
            pause = np.zeros(round(piece.pause_s / max(speed, 1) * self.sample_rate_hz), np.float32)
        if not spoken:
            raise InvalidInput(f"Voice {voice.name!r} can pronounce nothing in this text.", "text")
        progress(1.0, "speaking")


def _some(names: Iterable[str]) -> str:
    different = list(dict.fromkeys(names))
    return ", ".join(different[:MAX_EXAMPLES]) + (", …" if len(different) > MAX_EXAMPLES else "")
