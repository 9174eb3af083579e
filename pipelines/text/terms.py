"""The words of a text in a form in which they can be compared: in full-text search, and by the extractive chat engine.

Words are folded (case, accents, width) and stemmed by Snowball's English stemmer (`snowballstemmer`, BSD-3-Clause),
which leaves other languages nearly alone. Text without spaces (Chinese, Japanese, Thai) becomes overlapping pairs of
characters, which find a word without knowing where words begin. Numbers lose their thousands separators.

A store keeps the terms of its documents: raise `VERSION` whenever `document_terms` yields others.
"""

import threading
import unicodedata
from functools import cache, lru_cache
from itertools import pairwise
from typing import Any

import regex

from pipelines.text.scripts import UNSPACED

VERSION = 2
"""Of the terms; those of two versions do not find each other."""

_MAX_WORD = 40
_LETTER = rf"[[\p{{L}}\p{{M}}\p{{Nl}}]--[{UNSPACED}]]"
_UNIT = regex.compile(
    rf"(?V1)(?P<number>\d+(?:[.,]\d+)*)|(?P<unspaced>[[\p{{L}}\p{{M}}\p{{N}}]&&[{UNSPACED}]]+)"
    rf"|(?P<word>{_LETTER}(?:{_LETTER}|\d)*(?:'{_LETTER}+)*)"
)
STOP_WORDS = frozenset(
    """a about according all also am an and any are as at be been being both but by can could d did do does doing each
    either else ever for from get give given gives had has have having he her here hers him his how i if in into is it
    its itself just kind let ll m many may me mean might much must my name no not of off on one only or other our out
    over own per please re s same shall she should so some such t tell than that the their them then there these they
    this those through to too type under up us ve very was we were what when where which who whom whose why will with
    would you your explain describe called""".split()  # noqa: SIM905
)
GRADABLE = "大小长長短高低矮远遠近重轻輕深浅淺宽寬窄厚薄粗细細快慢久早晚冷热熱硬强強亮贵貴老"
"""Adjectives that are asked for by degree, inside a character class: "多远"."""
_MEASURES = "个個名位本册天年月日元钱块点人次种家台间件条艘辆只张把座栋套份项层楼页米里斤吨度岁号"
# A question word goes whole before its parts, with the measure word that it counts by.
UNSPACED_STOP_WORDS = regex.compile(
    rf"多少[{_MEASURES}]?|(?:星期|礼拜|周)[几幾]|[几幾](?![乎何率])(?:点钟|块钱|分钟|小时|\p{{Han}})?|请?告诉我|请问"
    "|(?:[為为凭]|干)?(?:什[么麼]|啥)(?:时候|时间|地方|[时人样])?|干嘛|怎(?:[么麼][样办]?|样)|咋[样办]?|[為为如]何|何[时处地人日故]"
    rf"|哪(?:一?[{_MEASURES}]|[些里裡儿])|多(?:长时间|[{GRADABLE}])|[这這那][个個]"
    "|[是能可]否|可以|能?不能|有没有|一共|总共|分别|根据|按照|关于"
    "|[哪谁誰吗嗎呢吧啊的了是在有被由和與与及或为于从到把将其该这這那它他她们們我你您就都也所能]"
)
_PARTS = regex.compile(r"\d+|\p{L}+(?=\d)|(?<=\d)\p{L}+")
_ACCENTS = regex.compile(r"(?<=[\p{Latin}\p{Greek}\p{Cyrillic}])\p{Mn}+")
_stemming = threading.Lock()  # a Snowball stemmer keeps the word that it works on


def document_terms(text: str) -> list[str]:
    """All terms of a text, and what a question may call them: each unspaced character, "AL" and "500" of "AL500"."""
    terms: list[str] = []
    for kind, unit in _units(text):
        terms += _pairs(unit) if kind == "unspaced" else [_term(kind, unit)]
        if kind == "unspaced":
            terms += unit
        elif kind == "word" and not unit.isalpha():
            terms += _PARTS.findall(unit)
    return terms


def query_terms(text: str) -> list[str]:
    """What a question is about, in order: none of the words that only ask or join ("what", "the", "多少")."""
    terms: list[str] = []
    for kind, unit in _units(text):
        if kind == "unspaced":
            for run in filter(None, UNSPACED_STOP_WORDS.split(unit)):
                terms += _pairs(run) or [run]
        elif unit not in STOP_WORDS:
            terms.append(_term(kind, unit))
    return terms


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """The stem of an English word: "Guarantees" and "guaranteed" are both "guarante"."""
    bare = regex.sub(r"'s?$", "", _fold(word))[:_MAX_WORD]
    with _stemming:
        return str(_stemmer().stemWord(bare))


@cache
def _stemmer() -> Any:
    import snowballstemmer

    return snowballstemmer.stemmer("english")


def _units(text: str) -> list[tuple[str, str]]:
    """Numbers, words and runs of unspaced characters, each with the name of its group."""
    return [(str(match.lastgroup), match.group()) for match in _UNIT.finditer(_fold(text))]


def _term(kind: str, unit: str) -> str:
    return regex.sub(r",(?=\d{3}(?!\d))", "", unit) if kind == "number" else stem(unit)


def _pairs(run: str) -> list[str]:
    return [first + second for first, second in pairwise(run)]


def _fold(text: str) -> str:
    """One form for what only looks different: case, width, apostrophes, accents of European letters."""
    folded = unicodedata.normalize("NFKC", text).casefold().replace("’", "'")
    if folded.isascii():
        return folded
    return unicodedata.normalize("NFC", _ACCENTS.sub("", unicodedata.normalize("NFD", folded)))
