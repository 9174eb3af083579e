"""Text from speech. `Config` chooses the engine."""

from pipelines.speech_recognition.base import SAMPLE_RATE_HZ, Segment, SpeechRecognizer, Word
from pipelines.speech_recognition.pocketsphinx import PocketSphinxConfig

Config = PocketSphinxConfig

__all__ = ["SAMPLE_RATE_HZ", "Config", "Segment", "SpeechRecognizer", "Word"]
