"""Speech from text. `Config` chooses the engine."""

from typing import Annotated

from pydantic import Field

from pipelines.speech_synthesis.base import SpeechSynthesizer, Voice
from pipelines.speech_synthesis.espeak_ng import EspeakNgConfig
from pipelines.speech_synthesis.kokoro import KokoroConfig
from pipelines.speech_synthesis.vits import VitsConfig

Config = Annotated[EspeakNgConfig | KokoroConfig | VitsConfig, Field(discriminator="engine")]

__all__ = ["Config", "EspeakNgConfig", "KokoroConfig", "SpeechSynthesizer", "VitsConfig", "Voice"]
