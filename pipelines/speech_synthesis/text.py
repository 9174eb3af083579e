"""Text prepared for speech: cleaned, cut into sentences of bounded length, its language guessed from its script."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from pipelines.text.sentences import split_sentences

SENTENCE_PAUSE_S = 0.3
PARAGRAPH_PAUSE_S = 0.45
CLAUSE_PAUSE_S = 0.12

_READ_AS_THEY_ARE = ("<super>", "<sub>", "<fraction>")
# There engines pause at wide marks, but name narrow ones or pass over them: "他(她)", "你好,世界". Numbers keep theirs.
_WIDE_MARKS_IN = ("cmn", "ja", "ko")
_NARROW_MARK = re.compile(r"(?<!\d)[,;:!?()/\[\]]|[,;:!?()/\[\]](?!\d)|~")
_TO_WIDE = ord("，") - ord(",")

_PARAGRAPH = re.compile(r"\n\s*\n")
_ORDINAL = re.compile(r"\b\d{1,2}\.$")
_CLAUSE_END = re.compile(r"[,;:–—]\s|[，、；：،]")
# Engines swallow the end of such words. Chinese and Japanese, which have no spaces, are left alone.
_LONG_WORD = re.compile(r"\d{20}(?=\d)|(?:(?![\u3000-\u9fff])\S){40}(?=\S)")
# The main language of each script; Han is Japanese if there are kana beside it.
_LANGUAGE_OF_SCRIPT = {
    "CJK": "cmn",
    "HIRAGANA": "ja",
    "KATAKANA": "ja",
    "HANGUL": "ko",
    "CYRILLIC": "ru",
    "GREEK": "el",
    "ARABIC": "ar",
    "HEBREW": "he",
    "DEVANAGARI": "hi",
    "BENGALI": "bn",
    "GUJARATI": "gu",
    "GURMUKHI": "pa",
    "ORIYA": "or",
    "TAMIL": "ta",
    "TELUGU": "te",
    "KANNADA": "kn",
    "MALAYALAM": "ml",
    "SINHALA": "si",
    "THAI": "th",
    "MYANMAR": "my",
    "ETHIOPIC": "am",
    "ARMENIAN": "hy",
    "GEORGIAN": "ka",
}
# How many letters say about as much as one character of these.
_DENSE = {"CJK": 4, "HIRAGANA": 2, "KATAKANA": 2, "HANGUL": 3}


class Piece(NamedTuple):
    """What is spoken in one go, and the pause after it at normal speed."""

    text: str
    pause_s: float


def clean(text: str) -> str:
    """The text in plain characters: no other forms of a letter, digit or mark, no control characters and the like.

    Engines know few other forms ("２０２３", "ｶﾞｲﾄﾞ", "㎡"), and eSpeak NG takes some control characters as commands.
    """
    text = "".join(
        " " if unicodedata.category(c) in ("Cc", "Cs", "Co", "Cn") and c != "\n" else _plain(c)
        for c in text.replace("\r\n", "\n").replace("\u00ad", "")
    )
    text = unicodedata.normalize("NFC", text)
    if language_of(text) in _WIDE_MARKS_IN:
        text = _NARROW_MARK.sub(lambda mark: chr(ord(mark[0]) + _TO_WIDE), text)
    return text


def _plain(c: str) -> str:
    """As NFKC decomposes it, but for what would be read as something else: 10² as 102, 2½ as 21⁄2."""
    tag, *codes = unicodedata.decomposition(c).split() or [""]
    if not tag.startswith("<") or tag in _READ_AS_THEY_ARE or c in "…№":
        return c
    plain = "".join(_plain(chr(int(code, 16))) for code in codes)
    # The others of this kind are letters and marks of their own: Thai and Lao vowels, Korean letters, accents, µ.
    if tag == "<compat>" and not (plain.isascii() or unicodedata.category(c) == "So"):
        return c
    return plain


def is_speakable(text: str) -> bool:
    """Whether there is a letter or a digit."""
    return any(c.isalnum() for c in text)


def language_of(text: str) -> str | None:
    """BCP 47 language of the script that most of the text is in; `None` for Latin, which many languages share."""
    scripts: Counter[str] = Counter()
    for c in text:
        if c.isalpha():
            script = unicodedata.name(c, "LATIN").split()[0]
            scripts[script] += _DENSE.get(script, 1)
    if not scripts:
        return None
    kana = scripts["HIRAGANA"] + scripts["KATAKANA"]
    if kana and scripts["CJK"]:
        scripts["HIRAGANA"] += scripts.pop("CJK") + scripts.pop("KATAKANA", 0)
    return _LANGUAGE_OF_SCRIPT.get(scripts.most_common(1)[0][0])


def pieces(text: str, max_chars: int) -> Iterator[Piece]:
    """Sentence by sentence; what is too long is cut at a comma, else at a space, else anywhere.

    Args:
        text: cleaned.
        max_chars: of one piece.

    Yields:
        Pieces that hold a letter or a digit.
    """
    for paragraph in _PARAGRAPH.split(text):
        sentences = _sentences(paragraph)
        for number, sentence in enumerate(sentences, start=1):
            speakable = _LONG_WORD.sub(r"\g<0> ", " ".join(sentence.split()))
            pause_s = PARAGRAPH_PAUSE_S if number == len(sentences) else SENTENCE_PAUSE_S
            for piece in _bounded(speakable, pause_s, max_chars):
                if is_speakable(piece.text):
                    yield piece


def _sentences(paragraph: str) -> list[str]:
    """As `split_sentences`, but a number's full stop ends none: it may be an ordinal's ("am 3. Oktober").

    If it was an end after all, the engine still pauses by itself.
    """
    sentences: list[str] = []
    for sentence in split_sentences(paragraph):
        if sentences and _ORDINAL.search(sentences[-1]):
            sentences[-1] += " " + sentence
        else:
            sentences.append(sentence)
    return sentences


def _bounded(sentence: str, pause_s: float, max_chars: int) -> Iterator[Piece]:
    while len(sentence) > max_chars:
        head = sentence[:max_chars]
        clauses = [match.end() for match in _CLAUSE_END.finditer(head, max_chars // 2)]
        if clauses:
            cut, pause = clauses[-1], CLAUSE_PAUSE_S
        else:
            cut, pause = head.rfind(" ") + 1 or max_chars, 0.0
        yield Piece(sentence[:cut].strip(), pause)
        sentence = sentence[cut:].strip()
    yield Piece(sentence, pause_s)
