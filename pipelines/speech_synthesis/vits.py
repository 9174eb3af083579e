"""Speech synthesis by VITS checkpoints of transformers: one language each, quick, less natural than Kokoro.

Model: by default kakao-enterprise/vits-ljs (MIT), one English voice, 150 MB; vits-vctk of the same maker (MIT) has 109.
The MMS voices (facebook/mms-tts-…) speak over a thousand languages but may not be used commercially (CC-BY-NC-4.0).
Library: transformers (Apache-2.0). Paper: https://arxiv.org/abs/2106.06103.

The model's noise is drawn again for each sentence from a fixed seed: the same sentence always gives the same audio.
Checkpoints that read phonemes (vits-ljs, vits-vctk) take them from phonemizer and eSpeak NG (both
GPL-3.0-or-later).
"""

import importlib.util
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from pipelines.contracts.engine import ModelCard, Resources
from pipelines.contracts.errors import ModelUnavailable
from pipelines.loading.checkpoint import CheckpointConfig
from pipelines.loading.device import select_device
from pipelines.loading.pretrained import read_model, read_tokenizer
from pipelines.loading.weights import locate, require
from pipelines.media import Waveform
from pipelines.speech_synthesis.base import SpeechSynthesizer, Voice
from pipelines.speech_synthesis.text import language_of

_NEEDED = ("config.json", "model.safetensors", "vocab.json", "tokenizer_config.json")
SEED = 0


class VitsConfig(CheckpointConfig):
    """A VITS checkpoint of transformers."""

    licenses: ClassVar = {"kakao-enterprise/vits-ljs": "MIT", "kakao-enterprise/vits-vctk": "MIT"}
    files = (*_NEEDED, "special_tokens_map.json", "added_tokens.json")

    engine: Literal["vits"] = "vits"
    model: str = Field("kakao-enterprise/vits-ljs", description="Hub id or local folder of a VITS checkpoint.")
    language: str = Field("en", description="BCP 47 language that the checkpoint speaks.")

    @property
    def license(self) -> str:
        """The model's license; one for all of the MMS voices."""
        return "CC-BY-NC-4.0" if self.model.startswith("facebook/mms-tts") else super().license

    def card(self) -> ModelCard:
        """What this configuration answers with."""
        return ModelCard(
            model=self.name,
            license=self.license,
            description=f"VITS: speaks {self.language}, clearly and quickly, with little expression. If the "
            "checkpoint reads phonemes, they come from eSpeak NG and phonemizer (GPL-3.0-or-later).",
        )

    def load(self, resources: Resources) -> "Vits":
        """Load the model in float32: its splines tolerate nothing less."""
        from transformers import VitsModel, VitsTokenizer

        (weights,) = self.weights()
        require(locate(weights), weights, _NEEDED)
        tokenizer = read_tokenizer(VitsTokenizer, weights)
        model = read_model(VitsModel, weights, select_device(self.device, "float32"))
        if tokenizer.phonemize:
            _point_phonemizer_at_espeak()
        if tokenizer.is_uroman and importlib.util.find_spec("uroman") is None:
            raise ModelUnavailable(f"{self.name} reads romanized text: pip install uroman.")
        return Vits(model, tokenizer, self.language)


class Vits(SpeechSynthesizer):
    """One loaded checkpoint.

    Args:
        model: a `VitsModel`.
        tokenizer: its `VitsTokenizer`.
        language: BCP 47.
    """

    max_piece_chars = 200

    def __init__(self, model: Any, tokenizer: Any, language: str) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._own_rate = model.speaking_rate
        self.default_language = language
        self.sample_rate_hz = int(model.config.sampling_rate)

    def voices(self) -> list[Voice]:
        """One voice, or `speaker-0`, `speaker-1`, … of a checkpoint that knows several."""
        speakers = self._model.config.num_speakers
        names = [f"speaker-{index}" for index in range(speakers)] if speakers > 1 else ["default"]
        return [Voice(name, self.default_language) for name in names]

    def find_voice(self, name: str | None, language: str | None, text: str) -> Voice:
        """The voice by its name or the first one, of text in a script that it can read."""
        return super().find_voice(name, language or language_of(text), text)

    def speak(self, texts: Iterable[str], voice: Voice, speed: float) -> Iterator[Waveform]:
        """Speak pieces of a text."""
        speaker = self.voices().index(voice)
        for text in texts:
            yield self._say(text, speaker, speed)

    def _say(self, text: str, speaker: int, speed: float) -> Waveform:
        import torch

        ids = self._ids(text)
        if not ids:
            return np.zeros(0, np.float32)
        model = self._model
        model.speaking_rate = self._own_rate * speed
        inputs = torch.tensor([ids], device=model.device)
        which = {"speaker_id": speaker} if model.config.num_speakers > 1 else {}
        with torch.inference_mode(), torch.random.fork_rng([model.device] if model.device.type == "cuda" else []):
            torch.manual_seed(SEED)
            waveform = model(input_ids=inputs, **which).waveform[0]
        samples: Waveform = waveform.clamp(-1, 1).cpu().numpy()
        return samples

    def _ids(self, text: str) -> list[int]:
        """Token ids, none if there is no letter; what has no embedding, such as a foreign letter, is left out."""
        tokenizer = self._tokenizer
        ids = tokenizer(text)["input_ids"]
        known = range(self._model.config.vocab_size)
        kept = [index for index in (ids[1::2] if tokenizer.add_blank else ids) if index in known]
        if not any(tokenizer.decoder.get(index, "").isalpha() for index in kept):
            return []
        return [0, *(each for index in kept for each in (index, 0))] if tokenizer.add_blank else kept


def _point_phonemizer_at_espeak() -> None:
    """Let phonemizer use the eSpeak NG of the `espeakng-loader` wheel."""
    try:
        import espeakng_loader
        from phonemizer.backend.espeak.wrapper import EspeakWrapper
    except ImportError as error:
        raise ModelUnavailable("Its phonemes need a library: pip install phonemizer espeakng-loader.") from error
    EspeakWrapper.set_data_path(espeakng_loader.get_data_path())
    EspeakWrapper.set_library(espeakng_loader.get_library_path())
