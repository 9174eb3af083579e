"""Speech recognition: an upload in, segments of text out."""

from collections.abc import AsyncIterator
from contextlib import closing

from pydantic import TypeAdapter

from deployments.capabilities.base import CallProgress, Capability
from deployments.capabilities.protocol import CallEvent, Source
from pipelines import speech_recognition
from pipelines.media.audio import AudioReader, pcm_blocks
from pipelines.speech_recognition import Segment, SpeechRecognizer


class SpeechRecognition(Capability[speech_recognition.Config, SpeechRecognizer]):
    """Recognises speech in sound and video files."""

    config = TypeAdapter(speech_recognition.Config)

    async def transcribe(self, source: Source, sample_rate_hz: int, language: str | None) -> AsyncIterator[CallEvent]:
        """Recognise one upload; the result is its segments. `sample_rate_hz` is that of headerless sound."""

        def work(recognizer: SpeechRecognizer, ticket: CallProgress) -> list[Segment]:
            with self.store.open_reader(source.key) as file:
                if source.kind == "pcm":
                    return list(
                        recognizer.transcribe(pcm_blocks(file, sample_rate_hz), language=language, progress=ticket)
                    )
                with closing(AudioReader(file, source.container)) as audio:
                    return list(
                        recognizer.transcribe(
                            audio.blocks(), duration_s=audio.duration_s, language=language, progress=ticket
                        )
                    )

        async for event in self.run(work):
            yield event
