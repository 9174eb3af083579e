"""Text made ready to be spoken: cleaned, cut into sentences of bounded length, its language guessed from its script."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

SENTENCE_PAUSE_S = 0.3
PARAGRAPH_PAUSE_S = 0.45
CLAUSE_PAUSE_S = 0.12

# No end after one or two characters ("J. S. Bach", "Dr.", "z. B.", "3."), nor before a small letter: where a real end
# is missed, the engine still makes its own pause.
_PARAGRAPH = re.compile(r"\n\s*\n")
_SENTENCE_END = re.compile(
    r"""(?<!\b\w)(?<!\b\w\w)(?<!\bMrs)(?<!\bProf)(?<!\bSra)[.…]+["'”’)\]»]*\s+(?![\sa-zß-ÿа-яё])"""
    r"""|[!?؟।።]+["'”’)\]»]*\s+|[。！？｡]+[”’」』）]*\s*"""
)
_CLAUSE_END = re.compile(r"[,;:–—]\s|[，、；：،]")
# Engines swallow the end of such words; Chinese and Japanese have no spaces and are left alone.
_LONG_WORD = re.compile(r"\d{20}(?=\d)|(?:(?![\u3000-\u9fff])\S){40}(?=\S)")
# Scripts whose main language can be told from the script; Han is Japanese where kana stand beside it.
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
# One sign of these says about as much as four letters.
_DENSE = {"CJK": 4, "HIRAGANA": 2, "KATAKANA": 2, "HANGUL": 3}


class Piece(NamedTuple):
    """What is spoken in one go, and the silence after it at normal speed."""

    text: str
    pause_s: float


def clean(text: str) -> str:
    """The text without control characters (eSpeak NG takes some as commands), lone surrogates and the like."""
    return "".join(
        " " if unicodedata.category(c) in ("Cc", "Cs", "Co", "Cn") and c != "\n" else c
        for c in text.replace("\r\n", "\n").replace("\u00ad", "")
    )


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
        start = 0
        ends = [match.end() for match in _SENTENCE_END.finditer(paragraph)]
        for end in [*ends, len(paragraph)]:
            sentence = _LONG_WORD.sub(r"\g<0> ", " ".join(paragraph[start:end].split()))
            pause_s = PARAGRAPH_PAUSE_S if end == len(paragraph) else SENTENCE_PAUSE_S
            start = end
            for piece in _bounded(sentence, pause_s, max_chars):
                if is_speakable(piece.text):
                    yield piece


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
