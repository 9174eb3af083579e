"""What every speech recognition engine offers."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pipelines.contracts.progress import Progress, no_progress
from pipelines.media import Waveform

SAMPLE_RATE_HZ = 16_000


@dataclass(frozen=True)
class Word:
    """One word and where it was said."""

    text: str
    start_s: float
    end_s: float
    probability: float


@dataclass(frozen=True)
class Segment:
    """A stretch of speech. `language` is an ISO 639-1 code; `words` is empty if the engine gives none."""

    text: str
    start_s: float
    end_s: float
    language: str
    words: tuple[Word, ...] = ()


class SpeechRecognizer(ABC):
    """One loaded model. Not thread-safe."""

    @abstractmethod
    def transcribe(
        self,
        blocks: Iterable[Waveform],
        *,
        duration_s: float | None = None,
        language: str | None = None,
        progress: Progress = no_progress,
    ) -> Iterator[Segment]:
        """Recognize speech, segment by segment, in memory that does not grow with the audio's length.

        Args:
            blocks: consecutive blocks of any size, 16 kHz mono.
            duration_s: the whole length if it is known, for `progress`.
            language: ISO 639-1 code; `None` lets the engine decide.

        Yields:
            Segments in order; none for silence.

        Raises:
            InvalidInput: at once: a language that the engine does not know.
            Cancelled: `progress` said so.
        """
