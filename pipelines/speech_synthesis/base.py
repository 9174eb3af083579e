"""What every speech synthesis engine offers."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

from pipelines.contracts.progress import Progress, no_progress
from pipelines.media import Waveform


@dataclass(frozen=True)
class Voice:
    """A voice by its name, and the language it speaks (BCP 47)."""

    name: str
    language: str


class SpeechSynthesizer(ABC):
    """One loaded model. Not thread-safe, but several texts may be spoken in turns: one piece of this, one of that."""

    sample_rate_hz: int

    @abstractmethod
    def voices(self) -> list[Voice]:
        """The voices that `synthesize` takes."""

    @abstractmethod
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
            text: at least one character that is not white space.
            voice: a name of `voices()`; `None` takes the language's default.
            language: BCP 47 ("en", "zh", "de"); `None` is found from the voice, else from the script of the text.
            speed: 0.25 to 4, 1 is the voice's own.

        Yields:
            Consecutive pieces at `sample_rate_hz`, mono, within -1 to 1.

        Raises:
            InvalidInput: an unknown voice or language, or nothing that can be spoken.
            Cancelled: `progress` said so.
        """
