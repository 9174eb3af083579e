"""From ranked sentences to an answer: enough of them, in an order that reads well, or none at all."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.chat.base import Passage
from pipelines.chat.reading.question import Question
from pipelines.chat.reading.ranking import Ranked, rank
from pipelines.chat.reading.words import HAN
from pipelines.engine import Embed

MOST_SENTENCES = 3
_LEANING = re.compile(
    r"(?:it|its|they|their|them|he|his|she|her|this|these|those|that|such|both|of these|of them|the (?:former|latter))\b|[该其它他她此这]",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Extract:
    """Sentences that answer, verbatim, and the passages that they stand in (best first)."""

    text: str
    sources: tuple[Passage, ...]


def extract(question: Question, passages: Sequence[Passage], embed: Embed) -> Extract | None:
    """Answer from the passages, or `None` where they do not answer.

    One to three sentences: the best, and those nearly as good; before one that leans on the sentence before it
    ("It ..."), that one too.
    """
    ranked = rank(question, passages, embed)
    threshold = CHINESE_THRESHOLD if question.chinese else ENGLISH_THRESHOLD
    if not ranked or ranked[0].score < threshold:
        return None
    floor = max(threshold, ranked[0].score - MARGIN)
    chosen = [one for one in ranked[:MOST_SENTENCES] if one.score >= floor]
    order = list(dict.fromkeys(one.sentence.passage for one in chosen))
    chosen.sort(key=lambda one: (order.index(one.sentence.passage), one.sentence.position))
    return Extract(_join(chosen), tuple(passages[index] for index in order))


def _join(chosen: Sequence[Ranked]) -> str:
    parts: list[str] = []
    for one in chosen:
        sentence = one.sentence
        if "|" in sentence.text and "|" in sentence.heading:  # a row says little without the head of its table
            parts.append(sentence.heading)
        if sentence.before and _LEANING.match(sentence.text):
            parts.append(sentence.before)
        parts.append(sentence.text)
    text = ""
    for part in dict.fromkeys(parts):
        text += (_gap(text, part) if text else "") + part
    return text


def _gap(text: str, following: str) -> str:
    if "|" in following or not re.search(r"[.!?。！？…][\"'”’」』）)\]]*$", text):
        return "\n"
    return "" if re.match(f"[{HAN}]", following) else " "


ENGLISH_THRESHOLD = -2.0
CHINESE_THRESHOLD = -2.0
MARGIN = 1.5
