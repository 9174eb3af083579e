"""The words of a text, as full-text search compares them: in documents and questions alike.

English words are folded and stemmed; text without spaces (Chinese, Japanese, Thai) becomes overlapping pairs of
characters, which find a word of it without knowing where words begin.
"""

import re
import unicodedata
from itertools import groupby, pairwise

from pipelines.knowledge.parsing.clean import is_wide

_WORD = re.compile(r"[^\W_]+")
_MAX_LENGTH = 40
_STOP_WORDS = frozenset(
    """a about also am an and any are as at be been but by can could did do does for from had has have he
    her his how i if in into is it its me my no not of on or our please she should so tell than that
    the their them then there these they this those to us was we were what when where which who whom
    whose why will with would you your""".split()  # noqa: SIM905
)
_STOP_PHRASES = re.compile(
    "请问|请告诉我|為什麼|为什么|什么时候|什麼時候|什么|什麼|多少|哪里|哪裡|哪些|哪个|哪個|哪一|怎么样|怎么|怎麼|怎样|"
    "如何|是否|几个|幾個|有没有|可以|我们|我們|你们|这個|这个|那个|那個|[的了吗嗎呢吧啊是在和与與或及谁誰哪几幾]"
)


def document_terms(text: str) -> list[str]:
    """All terms of a passage, in order; single characters of unspaced text, too, for questions of one character."""
    terms: list[str] = []
    for run, wide in _runs(text):
        if wide:
            terms += [*run, *_pairs(run)]
        else:
            terms.append(_stem(run))
    return terms


def query_terms(text: str) -> list[str]:
    """What a question is about, each term once; words that only ask ("what", "多少") count where all do."""
    asked = _STOP_PHRASES.sub(" ", text)
    runs = [(run, wide) for run, wide in _runs(asked) if run not in _STOP_WORDS] or list(_runs(text))
    terms: list[str] = []
    for run, wide in runs:
        terms += (_pairs(run) or [run]) if wide else [_stem(run)]
    return list(dict.fromkeys(terms))


def _runs(text: str) -> list[tuple[str, bool]]:
    """Words of spaced text without accents, and runs of unspaced text, with whether they are unspaced."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    runs = []
    for word in _WORD.findall(folded):
        for wide, characters in groupby(word, is_wide):
            run = "".join(characters)
            runs.append((run if wide else _plain(run), wide))
    return [(run, wide) for run, wide in runs if run]


def _plain(word: str) -> str:
    if word.isascii():
        return word[:_MAX_LENGTH]
    kept = (character for character in unicodedata.normalize("NFKD", word) if not unicodedata.combining(character))
    return "".join(kept)[:_MAX_LENGTH]


def _pairs(run: str) -> list[str]:
    return [first + second for first, second in pairwise(run)]


def _stem(word: str) -> str:
    """An English word without its commonest endings: rough, but the same on both sides."""
    if len(word) <= 3 or not word.isalpha():
        return word
    if word.endswith("ies"):
        return word[:-3] + "y" if len(word) > 4 else word[:-1]
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-2] if word.endswith(("sses", "xes", "ches", "shes")) else word[:-1]
    for ending in ("ing", "ed"):
        stem = word.removesuffix(ending)
        if stem != word and len(stem) >= 3 and re.search("[aeiouy]", stem):
            word = stem[:-1] if stem[-1] == stem[-2] and stem[-1] not in "lsz" else stem
            break
    return word[:-1] if word.endswith("e") and len(word) > 3 else word
