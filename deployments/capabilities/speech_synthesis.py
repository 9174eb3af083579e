"""Speech synthesis: a text in, a stream of encoded speech out."""

from collections.abc import AsyncIterator, Iterator

from deployments.capabilities.base import Capability
from deployments.capabilities.progress import CallProgress
from deployments.capabilities.protocol import EngineInfo, SpeechCall
from pipelines.media.audio import encode_audio
from pipelines.speech_synthesis import SpeechSynthesizer


class SpeechSynthesis(Capability[SpeechSynthesizer]):
    """Speaks texts."""

    async def speak(self, call: SpeechCall) -> AsyncIterator[EngineInfo | bytes]:
        """Speak a text: first the engine that answers, then the encoded speech, piece by piece as it is made."""

        def pieces(synthesizer: SpeechSynthesizer, progress: CallProgress) -> Iterator[bytes]:
            waveforms = synthesizer.synthesize(
                call.text, voice=call.voice, language=call.language, speed=call.speed, progress=progress
            )
            return encode_audio(waveforms, synthesizer.sample_rate_hz, call.format)

        async for event in self.run_stream(pieces):
            yield event
