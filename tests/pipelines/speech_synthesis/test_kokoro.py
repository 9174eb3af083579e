"""The Kokoro engine makes kokoro-onnx's samples, sentence by sentence, in the languages that it was trained on."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from kokoro_onnx import Kokoro
from pydantic import TypeAdapter, ValidationError

from pipelines.contracts.engine import Resources
from pipelines.contracts.errors import Cancelled, InvalidInput, ModelUnavailable
from pipelines.speech_synthesis import Config, KokoroConfig, SpeechSynthesizer
from pipelines.speech_synthesis.tempo import change_tempo
from pipelines.speech_synthesis.text import SENTENCE_PAUSE_S
from tests.checkpoints.speech_synthesis import make_tiny_kokoro

RATE = 24_000
SENTENCES = ("The garden was quiet.", "Nobody knew, at that hour, where he had gone!", "Did he leave a note?")
FRENCH = ("Le jardin était calme.", "Personne ne savait, à cette heure, où il était !", "A-t-il écrit ?")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_kokoro(tmp_path_factory.mktemp("models") / "kokoro")


@pytest.fixture(scope="module")
def engine(folder: Path) -> SpeechSynthesizer:
    return config(folder).load(Resources())


@pytest.fixture(scope="module")
def reference(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kokoro]:
    styles = {path.stem: np.fromfile(path, "<f4").reshape(510, 1, 256) for path in (folder / "voices").glob("*.bin")}
    packed = tmp_path_factory.mktemp("packed") / "voices.npz"
    np.savez(packed, **styles)
    kokoro = Kokoro(str(folder / "onnx" / "model.onnx"), str(packed))
    yield kokoro
    kokoro.voices.close()


def config(folder: Path, **settings: object) -> KokoroConfig:
    return TypeAdapter(Config).validate_python({"engine": "kokoro", "model": str(folder)} | settings)


@pytest.mark.parametrize("speed", [1.0, 0.5, 1.7])
def test_samples_of_kokoro_onnx_called_directly(engine: SpeechSynthesizer, reference: Kokoro, speed: float) -> None:
    for asked, voice, espeak in (
        ({"voice": "AF_Heart"}, "af_heart", "en-us"),
        ({"language": "en-GB"}, "bf_emma", "en-gb"),
        ({"language": "fr-FR"}, "ff_siwis", "fr-fr"),
        ({"voice": "ef_dora", "language": "es"}, "ef_dora", "es"),
    ):
        sentences = FRENCH if espeak == "fr-fr" else SENTENCES
        made = list(engine.synthesize(" ".join(sentences), speed=speed, **asked))
        pieces, pauses = made[::2], made[1::2]
        assert len(pieces) == len(sentences)
        for piece, sentence in zip(pieces, sentences, strict=True):
            expected, rate = reference.create(sentence, voice, speed, espeak)
            assert (rate, piece.dtype) == (engine.sample_rate_hz, np.float32)
            assert np.array_equal(piece, expected), (espeak, sentence)
        assert all(pause.size == round(SENTENCE_PAUSE_S / max(speed, 1) * RATE) for pause in pauses)
        assert not np.concatenate(pauses).any()


def test_the_first_piece_comes_before_the_second_is_made(engine: SpeechSynthesizer) -> None:
    seen: list[float | None] = []
    speaking = engine.synthesize(" ".join(SENTENCES), progress=lambda fraction, stage: seen.append(fraction))
    assert next(speaking).size > RATE // 10
    assert seen == [0.0]
    list(speaking)
    assert seen == sorted(seen)
    assert seen[-1] == 1


def test_two_calls_in_turns_do_not_meet(engine: SpeechSynthesizer) -> None:
    alone = [list(engine.synthesize(" ".join(SENTENCES), language=tag)) for tag in ("en", "fr")]
    turns = zip(*(engine.synthesize(" ".join(SENTENCES), language=tag) for tag in ("en", "fr")), strict=True)
    for a, b in zip(alone, zip(*turns, strict=True), strict=True):
        assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_speeds_that_the_model_does_not_know(engine: SpeechSynthesizer) -> None:
    sizes = {speed: sum(p.size for p in list(engine.synthesize(SENTENCES[1], speed=speed))) for speed in (0.25, 1, 4)}
    assert sizes[0.25] == pytest.approx(4 * sizes[1], rel=0.05)
    assert sizes[4] == pytest.approx(sizes[1] / 4, rel=0.05)


def test_another_tempo_keeps_the_pitch() -> None:
    tone = (0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)).astype(np.float32)
    for speed in (0.5, 2.0):
        out = change_tempo(tone, RATE, speed)
        spectrum = np.abs(np.fft.rfft(out * np.hanning(out.size)))
        assert out.size == pytest.approx(RATE / speed, rel=0.05)
        assert spectrum.argmax() * RATE / out.size == pytest.approx(440, abs=3)
        assert 0.45 < np.abs(out).max() <= 1
    assert change_tempo(tone[:1], RATE, 2.0).size <= 1


def test_long_and_foreign_text(engine: SpeechSynthesizer) -> None:
    made = list(engine.synthesize("a word and another one " * 200))
    assert len(made[::2]) > 5
    assert max(piece.size for piece in made) < 40 * RATE
    # When eSpeak NG switches languages, it writes their names among the phonemes: they must not be spoken.
    foreign, named = (sum(p.size for p in engine.synthesize(t, language="fr")) for t in ("Le 今.", "Le en 今 fr."))
    assert foreign < named
    for text in ("x!" * 300, "Z\u0335" * 300, "A\x00B\ud83d C", "1e400 -1.5e-7 ½ ⅷ ² %s%n", "\u202eabc\u200b" * 50):
        for piece in engine.synthesize(text, language="en"):
            assert np.isfinite(piece).all()
            assert np.abs(piece).max() <= 1


def test_voices_and_languages(engine: SpeechSynthesizer, folder: Path) -> None:
    voices = {voice.name: voice.language for voice in engine.voices()}
    assert voices["af_heart"] == "en-US"
    assert voices["bf_emma"] == "en-GB"
    assert not {"zf_xiaoxiao", "jf_alpha"} & set(voices)
    assert engine.find_voice(None, None, "Hello").name == "af_heart"
    assert engine.find_voice(None, "en", "Hello").name == "af_heart"
    assert engine.find_voice(None, "en_gb", "Hello").name == "bf_emma"
    assert engine.find_voice(None, "es-MX", "Hola").name == "ef_dora"
    assert engine.find_voice("af_bella", "en-GB", "Hello").name == "af_bella"
    assert config(folder, voice="ef_dora").load(Resources()).find_voice(None, None, "Hola").name == "ef_dora"
    for how, param in (
        ({"voice": "nobody"}, "voice"),
        ({"voice": "zf_xiaoxiao"}, "voice"),
        ({"voice": "af_heart", "language": "fr"}, "language"),
        ({"language": "de"}, "language"),
        ({"language": ""}, None),
        ({"speed": 5.0}, "speed"),
        ({"speed": float("nan")}, "speed"),
    ):
        if param is None:
            assert engine.synthesize("Hello", **how)
            continue
        with pytest.raises(InvalidInput) as caught:
            engine.synthesize("Hello", **how)
        assert caught.value.param == param
    for text in ("今天天气很好。", "Привет, мир"):
        with pytest.raises(InvalidInput, match="No voice speaks"):
            engine.synthesize(text)
    for text in ("", " \n", "...!?", "\x01"):
        with pytest.raises(InvalidInput, match="nothing"):
            engine.synthesize(text)


def test_cancelled(engine: SpeechSynthesizer) -> None:
    def stop(fraction: float | None, stage: str) -> None:
        if fraction:
            raise Cancelled("The caller went away.")

    speaking = engine.synthesize(" ".join(SENTENCES), progress=stop)
    assert next(speaking).size
    with pytest.raises(Cancelled):
        list(speaking)


def test_what_cannot_be_loaded_is_reported(folder: Path, tmp_path: Path) -> None:
    def broken(name: str, data: bytes | None) -> Path:
        copy = shutil.copytree(folder, tmp_path / f"{Path(name).name}-{data and len(data)}")
        (copy / name).unlink() if data is None else (copy / name).write_bytes(data)
        return copy

    with pytest.raises(ModelUnavailable, match="make pull"):
        config(broken("onnx/model.onnx", None)).load(Resources())
    with pytest.raises(ModelUnavailable, match="no voice 'af_heart'"):
        config(broken("voices/af_heart.bin", None)).load(Resources())
    whole = (folder / "onnx" / "model.onnx").read_bytes()
    for name, data in (
        ("onnx/model.onnx", whole[: len(whole) // 2]),
        ("onnx/model.onnx", b""),
        ("onnx/model.onnx", whole.replace(b"style", b"stile")),
        ("voices/am_adam.bin", b"half a style"),
        ("voices/am_adam.bin", np.full(510 * 256, np.nan, "<f4").tobytes()),
    ):
        with pytest.raises(ModelUnavailable, match="damaged") as caught:
            config(broken(name, data)).load(Resources())
        assert str(tmp_path) not in caught.value.message
    with pytest.raises(ModelUnavailable, match="make pull"):
        KokoroConfig(revision="never-fetched").load(Resources())
    with pytest.raises(ModelUnavailable, match="CUDA"):
        config(folder, device="cuda").load(Resources())
    with pytest.raises(ValidationError):
        config(folder, file="../../etc/passwd")


def test_card_and_weights() -> None:
    card = KokoroConfig().card()
    assert card.license == "Apache-2.0"
    assert "GPL-3.0-or-later" in card.description
    assert KokoroConfig(model="x/y", file="model_fp16.onnx").weights()[0].files == (
        "onnx/model_fp16.onnx",
        "voices/*.bin",
        "model_fp16.onnx",
        "voices-*.bin",
    )


def test_importing_loads_no_library() -> None:
    names = ("kokoro_onnx", "onnxruntime", "phonemizer", "transformers", "torch", "espeakng_loader", "av")
    script = f"import sys, pipelines.speech_synthesis; print([m for m in {names} if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", script], text=True).strip() == "[]"
