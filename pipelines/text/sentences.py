"""Where sentences end, by rules: the marks of Latin, Cyrillic, Greek, Arabic, Indic, Chinese and Japanese text.

    split_sentences(paragraph)                  a complete text
    ends_sentence("".join(words_so_far))        a text that grows word by word, as speech recognition writes it

Rules do not understand: a sentence that ends with an abbreviation ("… by Miller and Co. Then …") runs on.
"""

from collections.abc import Iterator
from itertools import pairwise

import regex

from pipelines.text.scripts import UNSPACED

_ABBREVIATIONS = frozenset(
    """mr mrs ms dr prof sr sra jr st gen col sgt rev hon inc ltd co corp dept jan feb mar apr jun jul aug sep sept oct
    nov dec vs etc e.g i.e cf al ca approx est ed eds tel u.s u.k z.b d.h bzw str""".split()  # noqa: SIM905
)
_BEFORE_NUMBERS = frozenset(
    {"no", "nos", "rs", "kr", "ext", "nr", "fig", "figs", "eq", "sec", "ch", "art", "vol", "pp", "p"}
)
_CLOSING = "\"'”’»)\\]」』）】》"
# A run of marks is entered at its first alone, and never given back: time grows no faster than the text.
_END = regex.compile(
    rf"(?<![.…!?؟।])[.…!?؟।]++[{_CLOSING}]*+(?=\s|$)"  # between words there is a space
    rf"|(?<=[{UNSPACED}])[…!?]++[{_CLOSING}]*+"
    rf"|[。！？｡]++[{_CLOSING}]*+"
)
_NUMBER_NEXT = regex.compile(r"\s+\d")
_LOWER_CASE_NEXT = regex.compile(r"\s+\p{Ll}")
_LAST_WORD = regex.compile(r"[^\s(\[\"'“‘«]*$")
_INITIALS = regex.compile(r"\p{L}(?:\.\p{L})*")
_LIST_NUMBER = regex.compile(r"\s*[-•*]?\s*\d{1,3}")
_MAX_WORD = 30  # characters of an abbreviation or a list number, at most


def split_sentences(text: str) -> list[str]:
    """The sentences of one paragraph, stripped, none empty; nothing but white space around them is lost.

    A line end is white space like any other: split lines that are separate paragraphs first.
    """
    ends = [*_ends(text), len(text)]
    pieces = (text[start:end].strip() for start, end in pairwise([0, *ends]))
    return [piece for piece in pieces if piece]


def ends_sentence(text: str) -> bool:
    """Whether the last word of `text`, one sentence so far, ends it: "by Dr. Smith." does, "by Dr." does not."""
    text = text.strip()
    return any(match.end() == len(text) and not _is_inside(text, 0, match) for match in _END.finditer(text))


def _ends(text: str) -> Iterator[int]:
    start = 0
    for match in _END.finditer(text):
        if not _LOWER_CASE_NEXT.match(text, match.end()) and not _is_inside(text, start, match):
            start = match.end()
            yield start


def _is_inside(text: str, start: int, match: "regex.Match[str]") -> bool:
    """Whether a full stop belongs to an abbreviation, an initial or the number of a list item ("1. First")."""
    if match.group() != ".":
        return False
    before = text[max(start, match.start() - _MAX_WORD) : match.start()]
    word = _LAST_WORD.search(before)[0].casefold()
    is_initial = _INITIALS.fullmatch(word) is not None and word not in {"a.m", "p.m"}
    is_before_number = word in _BEFORE_NUMBERS and _NUMBER_NEXT.match(text, match.end()) is not None
    return word in _ABBREVIATIONS or is_initial or is_before_number or _LIST_NUMBER.fullmatch(before) is not None
