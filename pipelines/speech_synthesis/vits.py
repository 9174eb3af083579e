"""Speech synthesis by VITS checkpoints of transformers: one language each, quick, less natural than Kokoro.

Model: by default kakao-enterprise/vits-ljs (MIT), one English voice, 150 MB; vits-vctk of the same maker (MIT) has 109.
The MMS voices (facebook/mms-tts-…) speak over a thousand languages but may not be used commercially (CC-BY-NC-4.0).
Library: transformers (Apache-2.0). Paper: https://arxiv.org/abs/2106.06103.

The noise that the model needs is drawn anew for each sentence from a fixed seed: the same sentence always sounds the
same. Checkpoints that read phonemes (vits-ljs, vits-vctk) take them from phonemizer and eSpeak NG (both
GPL-3.0-or-later).
"""

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field

from pipelines.contracts.engine import EngineConfig, ModelCard, Resources
from pipelines.contracts.errors import InvalidInput, ModelUnavailable
from pipelines.contracts.progress import Progress, no_progress
from pipelines.loading.device import DeviceName, select_device
from pipelines.loading.weights import Weights, is_path, locate, require
from pipelines.media import Waveform
from pipelines.speech_synthesis.base import SpeechSynthesizer, Voice
from pipelines.speech_synthesis.speaking import checked, speak
from pipelines.speech_synthesis.text import language_of

_NEEDED = ("config.json", "model.safetensors", "vocab.json", "tokenizer_config.json")
_FILES = (*_NEEDED, "special_tokens_map.json", "added_tokens.json")
_LICENSES = {"kakao-enterprise/vits-ljs": "MIT", "kakao-enterprise/vits-vctk": "MIT"}
MAX_PIECE_CHARS = 200
SEED = 0


class VitsConfig(EngineConfig):
    """A VITS checkpoint of transformers."""

    engine: Literal["vits"] = "vits"
    model: str = Field("kakao-enterprise/vits-ljs", description="Hub id or local folder of a VITS checkpoint.")
    revision: str = Field("main", description="Commit, tag or branch on the hub.")
    language: str = Field("en", description="BCP 47 language that the checkpoint speaks.")
    device: DeviceName = Field("auto", description="Where it runs.")

    @property
    def name(self) -> str:
        """What the model is called: its hub id, or its folder's name."""
        return Path(self.model).name if is_path(self.model) else self.model

    def card(self) -> ModelCard:
        """What this configuration answers with."""
        mms = self.model.startswith("facebook/mms-tts")
        return ModelCard(
            model=self.name,
            license=_LICENSES.get(self.model, "CC-BY-NC-4.0" if mms else "see the model's page"),
            description=f"VITS: speaks {self.language}, clearly and quickly, with little expression. Phonemes, where "
            "the checkpoint reads them, come from eSpeak NG and phonemizer (GPL-3.0-or-later).",
        )

    def weights(self) -> tuple[Weights, ...]:
        """The checkpoint and its vocabulary."""
        return (Weights(self.model, self.revision, _FILES),)

    def load(self, resources: Resources) -> "Vits":
        """Load the model onto its device, in float32: its splines do not bear less.

        Raises:
            ModelUnavailable: weights are missing, damaged, or not of VITS; a library or the device is not to be had.
        """
        return Vits.load(self)

    def unusable(self) -> ModelUnavailable:
        """The error that says that what is there cannot be used."""
        return ModelUnavailable(f"The files of {self.name} are damaged, or not of a VITS checkpoint of transformers.")


class Vits(SpeechSynthesizer):
    """One loaded checkpoint.

    Args:
        model: a `VitsModel`.
        tokenizer: its `VitsTokenizer`.
        language: BCP 47.
    """

    def __init__(self, model: Any, tokenizer: Any, language: str) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._language = language
        self._own_rate = model.speaking_rate
        self.sample_rate_hz = int(model.config.sampling_rate)

    @classmethod
    def load(cls, config: VitsConfig) -> Self:
        """Read the weights; nothing is fetched and no code of a repository is run."""
        from huggingface_hub.errors import StrictDataclassError
        from safetensors import SafetensorError
        from transformers import VitsModel, VitsTokenizer

        weights = config.weights()[0]
        folder = locate(weights)
        require(folder, weights, _NEEDED)
        placement = select_device(config.device, "float32")
        try:
            tokenizer = VitsTokenizer.from_pretrained(folder, local_files_only=True)
            loaded: Any = VitsModel.from_pretrained(
                folder, dtype=placement.dtype, local_files_only=True, use_safetensors=True, output_loading_info=True
            )
        except (OSError, ValueError, TypeError, KeyError, RuntimeError, SafetensorError, StrictDataclassError) as error:
            raise config.unusable() from error
        model, report = loaded
        if report["missing_keys"] or report["mismatched_keys"]:
            raise config.unusable()
        if tokenizer.phonemize:
            _point_phonemizer_at_espeak()
        if tokenizer.is_uroman and importlib.util.find_spec("uroman") is None:
            raise ModelUnavailable(f"{config.name} reads romanised text: pip install uroman.")
        return cls(model.to(placement.device).eval(), tokenizer, config.language)

    def voices(self) -> list[Voice]:
        """One voice, or `speaker-0`, `speaker-1`, … of a checkpoint that knows several."""
        speakers = self._model.config.num_speakers
        names = [f"speaker-{index}" for index in range(speakers)] if speakers > 1 else ["default"]
        return [Voice(name, self._language) for name in names]

    def synthesize(
        self,
        text: str,
        *,
        voice: str | None = None,
        language: str | None = None,
        speed: float = 1.0,
        progress: Progress = no_progress,
    ) -> Iterator[Waveform]:
        """Speak a text, sentence by sentence; see the base class. What is wrong with the input is told at once.

        Raises:
            InvalidInput: an unknown voice, a language that is not the checkpoint's, a speed outside 0.25 to 4, or a
                text without a letter or a digit.
            Cancelled: `progress` said so.
        """
        text = checked(text, speed)
        names = [each.name for each in self.voices()]
        name = names[0] if voice is None else voice.lower()
        if name not in names:
            some = ", ".join(names[:6])
            raise InvalidInput(f"There is no voice {name[:80]!r}. Some that there are: {some}.", "voice")
        wanted = language or language_of(text) or self._language
        if _primary(wanted) != _primary(self._language):
            raise InvalidInput(f"This model speaks {self._language} only, not {wanted[:40]!r}.", "language")
        speaker = names.index(name)
        return speak(
            text,
            lambda piece: self._say(piece, speaker, speed),
            voice=name,
            speed=speed,
            max_chars=MAX_PIECE_CHARS,
            sample_rate_hz=self.sample_rate_hz,
            progress=progress,
        )

    def _say(self, text: str, speaker: int, speed: float) -> Waveform:
        import torch

        ids = self._ids(text)
        if not ids:
            return np.zeros(0, np.float32)
        model = self._model
        model.speaking_rate = self._own_rate * speed
        inputs = torch.tensor([ids], device=model.device)
        several = {"speaker_id": speaker} if model.config.num_speakers > 1 else {}
        with torch.inference_mode(), torch.random.fork_rng([model.device] if model.device.type == "cuda" else []):
            torch.manual_seed(SEED)
            waveform = model(input_ids=inputs, **several).waveform[0]
        samples: Waveform = waveform.clamp(-1, 1).cpu().numpy()
        return samples

    def _ids(self, text: str) -> list[int]:
        """Token ids, none where there is no letter; what has no embedding, such as a foreign letter, is left out."""
        tokenizer = self._tokenizer
        ids = tokenizer(text)["input_ids"]
        known = range(self._model.config.vocab_size)
        kept = [index for index in (ids[1::2] if tokenizer.add_blank else ids) if index in known]
        if not any(tokenizer.decoder.get(index, "").isalpha() for index in kept):
            return []
        return [0, *(each for index in kept for each in (index, 0))] if tokenizer.add_blank else kept


def _primary(language: str) -> str:
    return language.lower().replace("_", "-").partition("-")[0]


def _point_phonemizer_at_espeak() -> None:
    """Let phonemizer use the eSpeak NG of the `espeakng-loader` wheel."""
    try:
        import espeakng_loader
        from phonemizer.backend.espeak.wrapper import EspeakWrapper
    except ImportError as error:
        raise ModelUnavailable("Its phonemes need a library: pip install phonemizer espeakng-loader.") from error
    EspeakWrapper.set_data_path(espeakng_loader.get_data_path())
    EspeakWrapper.set_library(espeakng_loader.get_library_path())
