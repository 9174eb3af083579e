"""A prompt as tokens: lower-case words, numbers and stops, with Chinese and emoji turned into English words."""

import re
import unicodedata
from collections.abc import Iterator

from pipelines.image_generation.icons.words import CHINESE, CHINESE_PLACES

_PLURALS = {"mice": "mouse", "geese": "goose", "men": "man", "women": "woman", "children": "child", "wolves": "wolf",
            "leaves": "leaf", "knives": "knife", "loaves": "loaf", "oxen": "ox", "feet": "foot", "teeth": "tooth",
            "calves": "calf", "shelves": "shelf", "policemen": "policeman", "buses": "bus"}  # fmt: skip
_EMOJI_WORDS = re.compile(r"\b(face|head|with|smiling|symbol|sign)\b")


def tokens(prompt: str) -> list[str]:
    """Split a prompt."""
    text = unicodedata.normalize("NFKC", prompt)
    text = re.sub(r"([^\w\s])\1*", _english, _chinese(text)).lower()
    text = re.sub(r"['’]s\b", "", text)
    return re.findall(r"\d+(?:\.\d+)?(?![a-z\d])|\d*[a-z]+\d*|[.,;:!?()\n]", text)


def _english(run: re.Match[str]) -> str:
    """Equal emoji as their count and Unicode name ("2 pig face"); everything else as it is."""
    if unicodedata.category(run[1]) != "So":
        return run[0]
    name = _EMOJI_WORDS.sub("", unicodedata.name(run[1], "").lower())
    return f" , {min(len(run[0]), 99)} {name} , "


def _chinese(text: str) -> str:
    """Known Chinese words as English ones; 在 X 的左边 becomes "left of X"."""
    places = "|".join(sorted(CHINESE_PLACES, key=len, reverse=True))
    text = re.sub(rf"在([^,，。在]{{1,12}}?)的?({places})", lambda m: f" {CHINESE_PLACES[m[2]]} {m[1]} ", text)
    words = "|".join(sorted(CHINESE, key=len, reverse=True))
    text = re.sub(words, lambda m: f" {CHINESE[m[0]]} ", text)
    return text.replace("，", ",").replace("。", ".").replace("、", ",")


def singulars(word: str) -> Iterator[tuple[str, bool]]:
    """What a word may be the singular or plural of."""
    yield word, word == "people"
    if word in _PLURALS:
        yield _PLURALS[word], True
    for ending, instead in (("ies", "y"), ("es", ""), ("s", "")):
        if word.endswith(ending) and len(word) > len(ending) + 2 and not word.endswith("ss"):
            yield word.removesuffix(ending) + instead, True
