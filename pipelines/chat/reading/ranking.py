"""Which sentences answer a question: a linear score of lexical and semantic evidence.

The weights are those of a logistic regression on public questions with and without an answer (SQuAD 2.0 and XQuAD in
English; XQuAD and CMRC 2018 in Chinese), rounded. The score knows words and likeness, not meaning: a sentence that
denies what is asked, or a question of how two sentences together give an answer, is beyond it.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.chat.base import Passage
from pipelines.chat.reading.question import Question, Sought, years
from pipelines.chat.reading.sentences import Sentence, read_passages
from pipelines.chat.reading.words import HAN, all_terms, stem, terms
from pipelines.engine import Embed

_LETTERS = re.compile("[A-Za-z]{2,}")
_KIN_SENTENCES = 12
_KIN_FROM, _KIN_TO = 0.35, 0.8  # cosine of words without and with the same meaning, as MiniLM sees them
_NONE: frozenset[str] = frozenset()

MAX_SENTENCES = 300
"""Sentences that are read for one question; passages come best first."""


@dataclass(frozen=True)
class _Weights:
    """One language's weights. Shares are of the question's terms, weighted by their rarity, 0 to 1."""

    said: float  # share that stands in the sentence
    kin: float  # further share whose kin stands in the sentence ("stored" and "kept"), by likeness of the words
    context: float  # further share in its heading or the sentence before it
    likeness: float  # cosine of question and sentence
    run: float  # longest run of the question's characters, of twelve
    no_figure: float  # a time or quantity is asked for, and there is none
    no_sign: float  # a person, place or reason is asked for, and there is no sign of one
    name_missing: float  # share of names that stand nowhere near
    number_missing: float  # share of numbers that stand nowhere near
    unknown: float  # a name or a year stands in none of the passages at all
    length: float  # of the question, in terms, of twelve
    bias: float


_ENGLISH = _Weights(6.0, 3.9, 2.0, 5.8, 0.0, -1.6, -0.8, -2.0, -4.0, -1.5, 1.8, -9.1)
_CHINESE = _Weights(8.5, 0.0, 2.9, 0.0, 2.5, -2.8, -1.0, 0.0, -2.4, -1.5, 1.3, -7.3)


@dataclass(frozen=True)
class Ranked:
    """A sentence and how strongly it speaks for being an answer (log odds)."""

    sentence: Sentence
    score: float


def rank(question: Question, passages: Sequence[Passage], embed: Embed) -> list[Ranked]:
    """All sentences that may answer, best first.

    Sentences about another year than the one asked for are left out. Embeddings count for English questions only: the
    embedding models that this was fitted with do not read Chinese.
    """
    sentences = read_passages(passages)[:MAX_SENTENCES]
    wanted = list(dict.fromkeys(question.terms))
    if not sentences or not wanted:
        return []
    weights = _CHINESE if question.chinese else _ENGLISH
    bags = [_bag(sentence.quote) for sentence in sentences]
    near = [_bag(f"{sentence.heading}\n{sentence.before}") for sentence in sentences]
    rarity = _rarity(wanted, bags)
    said = _presence(question, wanted, bags)
    context = _presence(question, wanted, near) * (1 - said)
    missing = 1 - said - context
    is_name = np.array([term in question.names for term in wanted])
    is_number = np.array([term in question.numbers for term in wanted])
    scores = (
        weights.bias
        + weights.unknown * _is_unknown(question, passages)
        + weights.length * min(len(wanted), 12) / 12
        + weights.said * (said @ rarity)
        + weights.context * (context @ rarity)
        + weights.name_missing * (missing * is_name @ rarity)
        + weights.number_missing * (missing * is_number @ rarity)
        + _absence(question, weights) * np.array([not question.evidence_in(sentence.text) for sentence in sentences])
    )
    if weights.likeness:
        scores += weights.likeness * _likeness(question, sentences, embed)
    if weights.run:
        scores += weights.run * np.array([_longest_run(question.text, sentence.quote) for sentence in sentences])
    if weights.kin:
        best = np.argsort(-scores, kind="stable")[:_KIN_SENTENCES]
        scores[best] += weights.kin * (_kinship(question, wanted, [sentences[i] for i in best], embed) * (1 - said[best]) @ rarity)
    ranked = [
        Ranked(sentence, float(score))
        for sentence, score, around in zip(sentences, scores, near, strict=True)
        if not _is_of_another_year(question, sentence, around)
    ]
    return sorted(ranked, key=lambda one: -one.score)


def _bag(text: str) -> frozenset[str]:
    return all_terms(text) | frozenset(re.findall(f"[{HAN}]", text))


def _presence(question: Question, wanted: Sequence[str], bags: Sequence[frozenset[str]]) -> NDArray[np.float64]:
    """(sentences, terms): 1 where the term stands in the bag; 0.4 where both characters of a Chinese pair do."""

    def one(term: str, bag: frozenset[str]) -> float:
        if term in bag or bag & question.alike.get(term, _NONE):
            return 1.0
        return 0.4 if _is_pair(term) and bag.issuperset(term) else 0.0

    present = np.array([[one(term, bag) for term in wanted] for bag in bags])
    for i in range(1, len(wanted) - 1):
        before, pair, after = wanted[i - 1 : i + 2]
        if _is_pair(pair) and before[-1] == pair[0] and pair[1] == after[0]:
            # A pair between two words that are there is no word: "馆周" in "总馆周末".
            present[:, i] = np.maximum(present[:, i], np.minimum(present[:, i - 1], present[:, i + 1]))
    return present


def _is_pair(term: str) -> bool:
    return len(term) == 2 and not term.isascii()


def _rarity(wanted: Sequence[str], bags: Sequence[frozenset[str]]) -> NDArray[np.float64]:
    """Inverse document frequency of each term among the sentences, scaled to sum to 1."""
    counts = np.array([sum(term in bag for bag in bags) for term in wanted])
    weight = np.maximum(np.log((len(bags) + 1) / (counts + 0.5)) / math.log((len(bags) + 1) / 0.5), 0.05)
    return np.asarray(weight / weight.sum())


def _likeness(question: Question, sentences: Sequence[Sentence], embed: Embed) -> NDArray[np.float64]:
    vectors = embed([question.text, *(sentence.quote for sentence in sentences)])
    return np.asarray(vectors[1:] @ vectors[0], dtype=np.float64)


def _kinship(
    question: Question, wanted: Sequence[str], sentences: Sequence[Sentence], embed: Embed
) -> NDArray[np.float64]:
    """(sentences, terms), 0 to 1: how alike the most similar word of the sentence is to each word of the question."""
    asked = {stem(word): word for word in _LETTERS.findall(question.text)}
    told = [[word for word in _LETTERS.findall(sentence.quote) if terms(word)] for sentence in sentences]
    words = sorted({asked[term].lower() for term in wanted if term in asked} | {word.lower() for one in told for word in one})
    vectors = dict(zip(words, embed(words), strict=True)) if words else {}
    kinship = np.zeros((len(sentences), len(wanted)))
    for row, one in enumerate(told):
        if not one:
            continue
        there = np.stack([vectors[word.lower()] for word in one])
        for column, term in enumerate(wanted):
            if term in asked:
                kinship[row, column] = (there @ vectors[asked[term].lower()]).max()
    return np.clip((kinship - _KIN_FROM) / (_KIN_TO - _KIN_FROM), 0, 1)


def _is_unknown(question: Question, passages: Sequence[Passage]) -> bool:
    """Whether the question is about a name or a year that retrieval found nothing on."""
    known = frozenset().union(*(all_terms(f"{passage.document}\n{passage.text}") for passage in passages))
    stems = {term[:5] for term in known}  # "Germany" is known from "German"
    return any(name[:5] not in stems for name in question.names) or not years(question.text) <= known


def _absence(question: Question, weights: _Weights) -> float:
    return weights.no_figure if question.sought in (Sought.TIME, Sought.QUANTITY, Sought.MONEY, Sought.SHARE) else weights.no_sign


def _longest_run(question: str, sentence: str) -> float:
    """The longest stretch of the question that the sentence repeats, of twelve characters, 0 to 1."""
    letters = re.sub(r"\W", "", question)[:200]
    best = 0
    for start in range(len(letters)):
        while start + best < len(letters) and letters[start : start + best + 1] in sentence:
            best += 1
    return min(best, 12) / 12


def _is_of_another_year(question: Question, sentence: Sentence, around: frozenset[str]) -> bool:
    asked = years(question.text)
    told = years(sentence.quote)
    return bool(asked and told) and not asked <= (told | around)
