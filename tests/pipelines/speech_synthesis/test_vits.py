"""The VITS engine makes the samples of transformers called directly, the same each time."""

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter
from transformers import VitsModel, VitsTokenizer

from pipelines.contracts.engine import Resources
from pipelines.contracts.errors import Cancelled, InvalidInput, ModelUnavailable
from pipelines.speech_synthesis import Config, SpeechSynthesizer, VitsConfig
from pipelines.speech_synthesis.vits import SEED
from tests.checkpoints.speech_synthesis import make_tiny_vits

SENTENCES = ("the garden was quiet.", "nobody knew where he had gone!", "did he leave a note?")
TEXT = " ".join(sentence.capitalize() for sentence in SENTENCES)


@pytest.fixture(scope="module")
def folders(checkpoint: Callable[..., Path]) -> dict[str, Path]:
    return {
        "mms": checkpoint(make_tiny_vits),
        "ljs": checkpoint(make_tiny_vits, seed=1, phonemes=True),
        "vctk": checkpoint(make_tiny_vits, seed=2, phonemes=True, speakers=3),
    }


@pytest.fixture(scope="module")
def engine(folders: dict[str, Path]) -> SpeechSynthesizer:
    return config(folders["mms"]).load(Resources())


def config(folder: Path, **settings: object) -> VitsConfig:
    return TypeAdapter(Config).validate_python({"engine": "vits", "model": str(folder)} | settings)


@pytest.mark.parametrize(("name", "speaker"), [("mms", None), ("ljs", None), ("vctk", 2)])
def test_samples_of_transformers_called_directly(folders: dict[str, Path], name: str, speaker: int | None) -> None:
    engine = config(folders[name]).load(Resources())
    model = VitsModel.from_pretrained(folders[name])
    tokenizer = VitsTokenizer.from_pretrained(folders[name])
    voice = None if speaker is None else f"speaker-{speaker}"
    for speed in (1.0, 2.5):
        made = list(engine.synthesize(TEXT, voice=voice, speed=speed))[::2]
        assert len(made) == len(SENTENCES)
        for piece, sentence in zip(made, SENTENCES, strict=True):
            torch.manual_seed(SEED)
            model.speaking_rate = speed
            with torch.no_grad():
                expected = model(**tokenizer(sentence, return_tensors="pt"), speaker_id=speaker).waveform[0].numpy()
            assert piece.dtype == np.float32
            assert np.abs(piece).max() < 1
            assert np.allclose(piece, expected, atol=1e-6), (speed, sentence)
    assert engine.sample_rate_hz == model.config.sampling_rate


def test_a_sentence_sounds_the_same_whatever_was_spoken_between(engine: SpeechSynthesizer) -> None:
    state = torch.get_rng_state()
    first = next(iter(engine.synthesize(SENTENCES[0])))
    list(engine.synthesize(SENTENCES[1], speed=3))
    torch.rand(7)
    assert np.array_equal(first, next(iter(engine.synthesize(SENTENCES[0]))))
    torch.set_rng_state(state)
    list(engine.synthesize(SENTENCES[0]))
    assert torch.equal(torch.get_rng_state(), state)  # nor does it disturb the random numbers of others


def test_speed(engine: SpeechSynthesizer) -> None:
    sizes = [next(iter(engine.synthesize(SENTENCES[1], speed=speed))).size for speed in (0.25, 1, 4)]
    assert sizes[0] > 2.5 * sizes[1] > 4 * sizes[2]


def test_the_first_piece_comes_before_the_second_is_made(engine: SpeechSynthesizer) -> None:
    seen: list[float | None] = []

    def stop(fraction: float | None, stage: str) -> None:
        seen.append(fraction)
        if fraction and fraction > 0.3:
            raise Cancelled("The caller went away.")

    speaking = engine.synthesize(TEXT, progress=stop)
    assert next(speaking).size
    assert seen == [0.0]
    with pytest.raises(Cancelled):
        list(speaking)
    assert seen == sorted(seen)


def test_letters_that_the_model_does_not_know(folders: dict[str, Path]) -> None:
    for name in ("mms", "vctk"):
        engine = config(folders[name]).load(Resources())
        for text in ("Aye \u4eca\u5929 so.", "x\u0335" * 40, "A\x00B\ud83d C", "½ ⅷ %s%n naïve £5"):
            for piece in engine.synthesize(text, language="en"):
                assert np.isfinite(piece).all()
    with pytest.raises(InvalidInput, match="nothing in this text"):
        list(config(folders["mms"]).load(Resources()).synthesize("12 345", language="en"))


def test_voices_and_languages(engine: SpeechSynthesizer, folders: dict[str, Path]) -> None:
    assert [(voice.name, voice.language) for voice in engine.voices()] == [("default", "en")]
    german = config(folders["vctk"], language="de-DE").load(Resources())
    assert [voice.name for voice in german.voices()] == ["speaker-0", "speaker-1", "speaker-2"]
    assert {voice.language for voice in german.voices()} == {"de-DE"}
    assert next(iter(german.synthesize("a", language="de", voice="Speaker-1"))).size
    for how, param in (
        ({"voice": "speaker-0"}, "voice"),
        ({"language": "de"}, "language"),
        ({"speed": 0.1}, "speed"),
    ):
        with pytest.raises(InvalidInput) as caught:
            engine.synthesize("Hello", **how)
        assert caught.value.param == param
    with pytest.raises(InvalidInput, match="No voice speaks"):
        engine.synthesize("今天天气很好。")
    with pytest.raises(InvalidInput, match="nothing"):
        engine.synthesize(" ... ")


def test_what_cannot_be_loaded_is_reported(folders: dict[str, Path], tmp_path: Path) -> None:
    def broken(name: str, data: bytes | None) -> Path:
        copy = shutil.copytree(folders["mms"], tmp_path / f"{name}-{data and len(data)}")
        (copy / name).unlink() if data is None else (copy / name).write_bytes(data)
        return copy

    for name in ("model.safetensors", "vocab.json", "config.json"):
        with pytest.raises(ModelUnavailable, match="make pull"):
            config(broken(name, None)).load(Resources())
    pickled = shutil.copytree(folders["mms"], tmp_path / "pickled")
    (pickled / "model.safetensors").unlink()
    (pickled / "pytorch_model.bin").write_bytes(pickle.dumps({}))
    with pytest.raises(ModelUnavailable, match="make pull"):
        config(pickled).load(Resources())
    whole = (folders["mms"] / "model.safetensors").read_bytes()
    settings = json.loads((folders["mms"] / "config.json").read_text())
    for name, data in (
        ("model.safetensors", whole[: len(whole) // 2]),
        ("config.json", b"{"),
        ("config.json", json.dumps(settings | {"hidden_size": 32}).encode()),
        ("config.json", json.dumps(settings | {"upsample_rates": [4]}).encode()),
        ("vocab.json", b"["),
    ):
        with pytest.raises(ModelUnavailable, match="damaged") as caught:
            config(broken(name, data)).load(Resources())
        assert str(tmp_path) not in caught.value.message
    romanized = json.loads((folders["mms"] / "tokenizer_config.json").read_text()) | {"is_uroman": True}
    with pytest.raises(ModelUnavailable, match="uroman"):
        config(broken("tokenizer_config.json", json.dumps(romanized).encode())).load(Resources())
    with pytest.raises(ModelUnavailable, match="CUDA"):
        config(folders["mms"], device="cuda").load(Resources())
    with pytest.raises(ModelUnavailable, match="make pull"):
        VitsConfig(revision="never-fetched").load(Resources())


def test_cards() -> None:
    assert VitsConfig().card().license == "MIT"
    assert VitsConfig(model="facebook/mms-tts-deu", language="de").card().license == "CC-BY-NC-4.0"
    assert VitsConfig(model="x/y").card().license == "see the model's page"
    assert "GPL-3.0-or-later" in VitsConfig().card().description
