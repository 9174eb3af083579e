"""Words of English and Chinese text in a form in which they can be compared.

English words are lower-cased and reduced by the Snowball stemmer (`snowballstemmer`, BSD-3-Clause), numbers lose their
thousands separators, and Chinese is read as pairs of neighbouring characters, which needs no dictionary.
"""

import re
import threading
import unicodedata
from functools import cache, lru_cache
from typing import Any

HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_UNIT = re.compile(rf"(?P<number>\d+(?:[.,]\d+)*)|(?P<han>[{HAN}]+)|(?P<word>[^\W\d_{HAN}]+(?:['’][^\W\d_{HAN}]+)*)")
_HAN_CHARACTER = re.compile(f"[{HAN}]")
_HAN_GRAMMAR = re.compile("[的是谁吗呢什哪怎几]|多少|如何")
_LATIN_LETTER = re.compile("[A-Za-z]")

_STOP = frozenset(
    """a about according all also am an and any are as at be been being both but by can could d did do does doing each
    either else ever for from get give given gives had has have having he her here hers him his how i if in into is it
    its itself just kind let ll m many may me mean might much must my name no not of off on one only or other our out
    over own per please re s same shall she should so some such t tell than that the their them then there these they
    this those through to too type under up us ve very was we were what when where which while who whom whose why will
    with would you your explain describe called""".split()  # noqa: SIM905
)
# A question word goes whole before its parts, with the measure word that it counts by.
_HAN_STOP = re.compile(
    "(?:多少|几)[个名位本册天年月日元钱点人次种家台间件条米页块层岁]?|请告诉我|告诉我|什么时候|什么时间|什么地方|为什么|是什么|有什么|"
    "怎么样|请问|什么|哪一[个天年月]?|哪些|哪个|哪里|哪儿|哪位|何时|何处|何地|何人|为何|如何|怎么|怎样|是否|能否|可否|可以|能不能|不能|"
    "一共|总共|多久|多长时间|多长|多大|多高|多远|分别|根据|按照|关于|[哪谁吗呢吧啊的了是在有被由和与及或为于从到把将其该这那个它他她们我你您就都也所能]"
)
_stemming = threading.Lock()  # a Snowball stemmer keeps the word that it works on


@cache
def _stemmer() -> Any:
    import snowballstemmer

    return snowballstemmer.stemmer("english")


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """An English word's stem in lower case: "guarantees" and "guaranteed" are both "guarante"."""
    bare = re.sub(r"['’]s?$", "", word.lower())
    with _stemming:
        return str(_stemmer().stemWord(bare))


def is_chinese(text: str) -> bool:
    """Whether the text is Chinese: by its grammar, whatever foreign names it holds, or by most of its characters."""
    return bool(_HAN_GRAMMAR.search(text)) or 2 * len(_HAN_CHARACTER.findall(text)) > len(_LATIN_LETTER.findall(text))


def plain(text: str) -> str:
    """The text with full-width and other compatibility characters replaced by plain ones (Unicode NFKC)."""
    return unicodedata.normalize("NFKC", text)


def number(digits: str) -> str:
    """A number without thousands separators and trailing noughts: "1,200.0" is "1200"."""
    digits = re.sub(r",(?=\d{3}(?!\d))", "", digits)
    if re.fullmatch(r"\d+\.\d+", digits):
        digits = digits.rstrip("0").rstrip(".")
    return digits


def terms(text: str) -> list[str]:
    """The words that carry meaning, in order: stems, numbers, pairs of Chinese characters (a lone one by itself).

    Function words and question words are left out.
    """
    found: list[str] = []
    for unit in _UNIT.finditer(plain(text)):
        if unit["number"]:
            found.append(number(unit["number"]))
        elif unit["word"]:
            if unit["word"].lower() not in _STOP:
                found.append(stem(unit["word"]))
        else:
            for run in filter(None, _HAN_STOP.split(unit["han"])):
                found.extend(_pairs(run) if len(run) > 1 else run)
    return found


@lru_cache(maxsize=2_000)
def all_terms(text: str) -> frozenset[str]:
    """Everything that `terms` of a question could ask for in this text: with stop words and every Chinese pair."""
    found: set[str] = set()
    for unit in _UNIT.finditer(plain(text)):
        if unit["number"]:
            found.add(number(unit["number"]))
        elif unit["word"]:
            found.add(stem(unit["word"]))
        else:
            found.update(_pairs(unit["han"]), unit["han"])
    return frozenset(found)


def _pairs(run: str) -> list[str]:
    return [run[i : i + 2] for i in range(len(run) - 1)]
