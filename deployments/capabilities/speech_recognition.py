"""Speech recognition: an upload in, segments of text out."""

from collections.abc import AsyncIterator

from deployments.capabilities.base import Capability
from deployments.capabilities.progress import CallProgress
from deployments.capabilities.protocol import CallEvent, Source
from pipelines.media.audio import AudioReader, pcm_blocks
from pipelines.speech_recognition import Segment, SpeechRecognizer


class SpeechRecognition(Capability[SpeechRecognizer]):
    """Recognizes speech in audio and video files."""

    async def transcribe(self, source: Source, sample_rate_hz: int, language: str | None) -> AsyncIterator[CallEvent]:
        """Recognize one upload; the result is its segments. `sample_rate_hz` is that of headerless audio."""

        def work(recognizer: SpeechRecognizer, progress: CallProgress) -> list[Segment]:
            with self.store.open_reader(source.key) as file:
                if source.kind == "pcm":
                    blocks = pcm_blocks(file, sample_rate_hz)
                    return list(recognizer.transcribe(blocks, language=language, progress=progress))
                with AudioReader(file, source.container) as audio:
                    segments = recognizer.transcribe(
                        audio.blocks(), duration_s=audio.duration_s, language=language, progress=progress
                    )
                    return list(segments)

        async for event in self.run(work):
            yield event
