"""From ranked sentences to an answer: enough of them, in an order that reads well, or none at all."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.chat.extractive.question import Question
from pipelines.chat.extractive.ranking import Ranked, rank
from pipelines.chat.extractive.words import HAN
from pipelines.contracts.engine import Embed
from pipelines.knowledge.base import Passage

# Log odds below which nothing answers: between what answerable and unanswerable questions reached on documents unlike
# those that the weights come from.
ENGLISH_THRESHOLD = -2.5
CHINESE_THRESHOLD = -2.0
MARGIN = 1.5
LEANING_MARGIN = 0.5
MOST_SENTENCES = 3


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
    chosen = _choose(ranked, max(threshold, ranked[0].score - MARGIN))
    order = list(dict.fromkeys(one.sentence.passage for one in chosen))
    chosen.sort(key=lambda one: (order.index(one.sentence.passage), one.sentence.position))
    return Extract(_join(chosen), tuple(passages[index] for index in order))


def _choose(ranked: Sequence[Ranked], floor: float) -> list[Ranked]:
    chosen: list[Ranked] = []
    for one in ranked[:MOST_SENTENCES]:
        # One that leans on a chosen sentence has its score from that, unless it scores as well.
        before = [other.score for other in chosen if other.sentence.text == one.sentence.before]
        leans = one.sentence.quote != one.sentence.text
        if one.score >= floor and not (leans and before and one.score < before[0] - LEANING_MARGIN):
            chosen.append(one)
    return chosen


def _join(chosen: Sequence[Ranked]) -> str:
    """The quotes, each sentence once."""
    text = ""
    for one in chosen:
        sentence = one.sentence
        if "|" in sentence.text and "|" in sentence.heading:  # a row says little without the head of its table
            text = _append(text, sentence.heading)
        quote = sentence.text if sentence.before and sentence.before in text else sentence.quote
        text = _append(text, quote)
    return text


def _append(text: str, piece: str) -> str:
    if not text or piece in text:
        return text or piece
    if "|" in piece or not re.search(r"[.!?。！？…][\"'”’」』）)\]]*$", text):
        return f"{text}\n{piece}"
    return text + ("" if re.match(f"[{HAN}]", piece) else " ") + piece
