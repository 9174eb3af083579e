"""Text from speech. `Config` chooses the engine."""

from pipelines.speech_recognition.base import SAMPLE_RATE_HZ, Segment, SpeechRecognizer, Word
from pipelines.speech_recognition.faster_whisper import FasterWhisperConfig

Config = FasterWhisperConfig

__all__ = ["SAMPLE_RATE_HZ", "Config", "FasterWhisperConfig", "Segment", "SpeechRecognizer", "Word"]
