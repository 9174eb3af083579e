"""Speech from text. `Config` chooses the engine."""

from pipelines.speech_synthesis.base import SpeechSynthesizer, Voice
from pipelines.speech_synthesis.espeak_ng import EspeakNgConfig

Config = EspeakNgConfig

__all__ = ["Config", "SpeechSynthesizer", "Voice"]
