"""Text from speech. `Config` chooses the engine."""

from typing import Annotated

from pydantic import Field

from pipelines.speech_recognition.base import SAMPLE_RATE_HZ, Segment, SpeechRecognizer, Word
from pipelines.speech_recognition.faster_whisper import FasterWhisperConfig
from pipelines.speech_recognition.pocketsphinx import PocketSphinxConfig

Config = Annotated[PocketSphinxConfig | FasterWhisperConfig, Field(discriminator="engine")]

__all__ = [
    "SAMPLE_RATE_HZ",
    "Config",
    "FasterWhisperConfig",
    "PocketSphinxConfig",
    "Segment",
    "SpeechRecognizer",
    "Word",
]
