"""Speech recognition: an upload in, segments of text out."""

from collections.abc import AsyncIterator, Iterable, Iterator

from deployments.capabilities.base import Capability
from deployments.capabilities.progress import CallProgress
from deployments.capabilities.protocol import CallEvent, Recognized, Source
from pipelines.media import Waveform
from pipelines.media.audio import AudioReader, pcm_blocks
from pipelines.speech_recognition import SAMPLE_RATE_HZ, SpeechRecognizer


class SpeechRecognition(Capability[SpeechRecognizer]):
    """Recognizes speech in audio and video files."""

    async def transcribe(self, source: Source, sample_rate_hz: int, language: str | None) -> AsyncIterator[CallEvent]:
        """Recognize one upload; the result is `Recognized`. `sample_rate_hz` is that of headerless audio."""

        def work(recognizer: SpeechRecognizer, progress: CallProgress) -> Recognized:
            with self.store.open_reader(source.key) as file:
                if source.kind == "pcm":
                    return recognized(recognizer, pcm_blocks(file, sample_rate_hz), None, language, progress)
                with AudioReader(file, source.container) as audio:
                    return recognized(recognizer, audio.blocks(), audio.duration_s, language, progress)

        async for event in self.run(work):
            yield event


def recognized(
    recognizer: SpeechRecognizer,
    blocks: Iterable[Waveform],
    stated_s: float | None,
    language: str | None,
    progress: CallProgress,
) -> Recognized:
    """Recognize a recording, and measure it on the way: what a header states of its length may be wrong."""
    samples = 0

    def counted() -> Iterator[Waveform]:
        nonlocal samples
        for block in blocks:
            samples += block.size
            yield block

    found = recognizer.transcribe(counted(), duration_s=stated_s, language=language, progress=progress)
    segments = tuple(found)
    return Recognized(segments, samples / SAMPLE_RATE_HZ, segments[0].language if segments else language or "")
