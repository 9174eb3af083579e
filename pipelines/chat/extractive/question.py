"""What a question asks for: its words, its numbers and names, and the kind of thing that would answer it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.chat.extractive.kinds import MEASURES, Sought, shows, sought_by, without_kind
from pipelines.chat.extractive.words import is_chinese, number, plain, stem, terms

_MEASURE = re.compile(rf"\bhow ({'|'.join(MEASURES)})\b", re.IGNORECASE)
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_WORD = re.compile(r"[A-Za-z]+(?:['’][A-Za-z]+)*")
_YEAR = re.compile(r"(?<!\d)(?:1[5-9]|20)\d\d(?!\d)")


@dataclass(frozen=True)
class Question:
    """A question, read.

    Attributes:
        text: as asked.
        terms: the words that carry meaning, in order, each once (see `words.terms`).
        numbers: those of the terms that are numbers.
        names: those of the terms that are written as names ("Berlin", "CFO").
        sought: the kind of thing that answers.
        chinese: whether it is in Chinese.
        alike: for a term, the other words that say it as well.
    """

    text: str
    terms: tuple[str, ...]
    numbers: frozenset[str]
    names: frozenset[str]
    sought: Sought
    chinese: bool
    alike: Mapping[str, frozenset[str]]

    @classmethod
    def read(cls, text: str) -> "Question":
        """Read one question that stands alone."""
        text = plain(text)
        found = tuple(dict.fromkeys(terms(without_kind(text))))
        return cls(
            text=text,
            terms=found,
            numbers=frozenset(term for term in found if term[0].isdigit()),
            names=_names(text) & frozenset(found),
            sought=sought_by(text),
            chinese=is_chinese(text),
            alike={stem(word): frozenset(map(stem, MEASURES[word.lower()].split())) for word in _MEASURE.findall(text)},
        )

    def is_met_by(self, sentence: str) -> bool:
        """Whether the sentence holds a thing of the kind sought that the question did not say itself."""
        said = {number(match) for match in _NUMBER.findall(self.text)}
        left = _NUMBER.sub(lambda match: " " if number(match.group()) in said else match.group(), plain(sentence))
        if self.sought is Sought.PERSON:
            left = _WORD.sub(lambda match: "x" if stem(match.group()) in self.terms else match.group(), left)
        return shows(self.sought, left)


def years(text: str) -> frozenset[str]:
    """The years that a text names in digits."""
    return frozenset(_YEAR.findall(plain(text)))


def _names(text: str) -> frozenset[str]:
    """Words written with a capital inside the question; in a Title Case question capitals say nothing."""
    words = _WORD.findall(text)
    capitals = [word for word in words[1:] if word[0].isupper()]
    if len(words) > 3 and 2 * len(capitals) > len(words):
        return frozenset()
    return frozenset(map(stem, capitals))
