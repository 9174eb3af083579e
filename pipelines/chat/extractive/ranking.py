"""Which sentences answer a question: a linear score of lexical and semantic evidence.

The weights are those of a logistic regression on public questions with and without an answer (SQuAD 2.0 and XQuAD in
English; XQuAD and CMRC 2018 in Chinese), rounded; `unknown`, `topic_missing` and the English `no_figure` were set by
hand. The score knows words and similarity, not meaning: a sentence that denies what is asked, or a question that only
two sentences together answer, is beyond it.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.chat.extractive.kinds import CERTAIN
from pipelines.chat.extractive.question import Question, years
from pipelines.chat.extractive.sentences import Sentence, read_passages
from pipelines.chat.extractive.words import HAN, all_terms, stem, terms
from pipelines.contracts.engine import Embed
from pipelines.knowledge.base import Passage

MAX_SENTENCES = 300
"""Sentences that are read for one question; passages come best first."""

Scores = NDArray[np.float64]

_PARTLY = 0.4  # both characters of a Chinese pair are there, or the word that the pair overlaps
_KIN_SENTENCES = 12
_KIN_FROM, _KIN_TO = 0.35, 0.8  # cosine of words without and with the same meaning, as MiniLM sees them
_LETTERS = re.compile("[A-Za-z]{2,}")
_NOTHING: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class _Weights:
    """One language's weights, in log odds. Shares are of the question's terms, weighted by their rarity, 0 to 1."""

    bias: float
    length: float  # of the question, in terms, of twelve
    said: float  # share that stands in the sentence
    kin: float = (
        0  # further share whose kin stands in the sentence ("stored" and "kept"), by similarity_range of the words
    )
    context: float  # further share in its heading or the sentence before it
    similarity_range: float = 0  # cosine of question and sentence
    run: float = 0  # longest run of the question's characters, of twelve
    no_figure: float  # a quantity, time or person is asked for, and there is none
    no_sign: float  # a place or reason is asked for, and there is no sign of one
    name_missing: float = 0  # share of names that stand nowhere near
    number_missing: float  # share of numbers that stand nowhere near
    topic_missing: float = 0  # the first word, in Chinese the topic, stands nowhere near
    unknown: float  # a name or a year stands in none of the passages at all


_ENGLISH = _Weights(
    bias=-9.1,
    length=1.8,
    said=6.0,
    kin=3.9,
    context=2.0,
    similarity_range=5.8,
    no_figure=-2.6,
    no_sign=-0.8,
    name_missing=-2.0,
    number_missing=-4.0,
    unknown=-1.5,
)
_CHINESE = _Weights(
    bias=-7.3,
    length=1.3,
    said=8.5,
    context=2.9,
    run=2.5,
    no_figure=-2.8,
    no_sign=-1.0,
    number_missing=-2.4,
    topic_missing=-1.5,
    unknown=-1.5,
)


@dataclass(frozen=True)
class Ranked:
    """A sentence and how strongly it speaks for being an answer (log odds)."""

    sentence: Sentence
    score: float


def rank(question: Question, passages: Sequence[Passage], embed: Embed) -> list[Ranked]:
    """All sentences that may answer, best first.

    Sentences about another year than the one asked for are left out. Embeddings count for English questions only: the
    embedding model that this was fitted with does not read Chinese.
    """
    sentences = read_passages(passages)[:MAX_SENTENCES]
    if not sentences or not question.terms:
        return []
    near = [_bag(f"{sentence.heading}\n{sentence.before}") for sentence in sentences]
    scores = _score(question, sentences, near, embed)
    if _is_unknown(question, passages):
        scores += (_CHINESE if question.chinese else _ENGLISH).unknown
    ranked = [
        Ranked(sentence, float(score))
        for sentence, score, around in zip(sentences, scores, near, strict=True)
        if not _is_of_another_year(question, sentence, around)
    ]
    return sorted(ranked, key=lambda one: -one.score)


def _score(question: Question, sentences: Sequence[Sentence], near: Sequence[frozenset[str]], embed: Embed) -> Scores:
    weights = _CHINESE if question.chinese else _ENGLISH
    bags = [_bag(sentence.quote) for sentence in sentences]
    rarity = _rarity(question, bags)
    said = _presence(question, bags)
    context = _presence(question, near) * (1 - said)
    missing = 1 - said - context
    is_name = np.array([term in question.names for term in question.terms])
    is_number = np.array([term in question.numbers for term in question.terms])
    is_off_topic = [question.terms[0] not in bag | around for bag, around in zip(bags, near, strict=True)]
    is_unmet = [not question.is_met_by(sentence.text) for sentence in sentences]
    scores = (
        weights.bias
        + weights.length * min(len(question.terms), 12) / 12
        + weights.said * (said @ rarity)
        + weights.context * (context @ rarity)
        + weights.name_missing * (missing * is_name @ rarity)
        + weights.number_missing * (missing * is_number @ rarity)
        + weights.topic_missing * np.array(is_off_topic)
        + (weights.no_figure if question.sought in CERTAIN else weights.no_sign) * np.array(is_unmet)
    )
    if weights.run:
        scores += weights.run * np.array([_longest_run(question.text, sentence.quote) for sentence in sentences])
    if weights.similarity_range:
        vectors = embed([question.text, *(sentence.quote for sentence in sentences)])
        scores += weights.similarity_range * (vectors[1:] @ vectors[0])
    if weights.kin:
        best = np.argsort(-scores, kind="stable")[:_KIN_SENTENCES]
        kinship = _kinship(question, [sentences[i] for i in best], embed)
        scores[best] += weights.kin * (kinship * (1 - said[best]) @ rarity)
    return np.asarray(scores)


def _bag(text: str) -> frozenset[str]:
    return all_terms(text) | frozenset(re.findall(f"[{HAN}]", text))


def _presence(question: Question, bags: Sequence[frozenset[str]]) -> Scores:
    """How far each term of the question stands in each bag, 0 to 1, (bags, terms)."""

    def one(term: str, bag: frozenset[str]) -> float:
        if term in bag or bag & question.alike.get(term, _NOTHING):
            return 1.0
        return _PARTLY if _is_pair(term) and bag.issuperset(term) else 0.0

    wanted = question.terms
    alone = np.array([[one(term, bag) for term in wanted] for bag in bags])
    present = alone.copy()
    absent = np.zeros(len(bags))
    for i, term in enumerate(wanted):
        # A pair across two words is no word ("馆周" in "总馆周末"): as far as the pairs beside it are there, it is.
        before = alone[:, i - 1] if i and _overlap(wanted[i - 1], term) else absent
        after = alone[:, i + 1] if i + 1 < len(wanted) and _overlap(term, wanted[i + 1]) else absent
        present[:, i] = np.max([alone[:, i], np.minimum(before, after), _PARTLY * before, _PARTLY * after], axis=0)
    return present


def _is_pair(term: str) -> bool:
    return len(term) == 2 and not term.isascii()


def _overlap(first: str, second: str) -> bool:
    return _is_pair(first) and _is_pair(second) and first[1] == second[0]


def _rarity(question: Question, bags: Sequence[frozenset[str]]) -> Scores:
    """Inverse document frequency of each term among the sentences, scaled to sum to 1."""
    counts = np.array([sum(term in bag for bag in bags) for term in question.terms])
    weight = np.maximum(np.log((len(bags) + 1) / (counts + 0.5)) / math.log((len(bags) + 1) / 0.5), 0.05)
    return np.asarray(weight / weight.sum())


def _kinship(question: Question, sentences: Sequence[Sentence], embed: Embed) -> Scores:
    """How alike the most similar word of each sentence is to each term, 0 to 1, (sentences, terms)."""
    asked = {stem(word): word.lower() for word in _LETTERS.findall(question.text)}
    columns = [column for column, term in enumerate(question.terms) if term in asked]
    told = [[word.lower() for word in _LETTERS.findall(sentence.quote) if terms(word)] for sentence in sentences]
    kinship = np.zeros((len(sentences), len(question.terms)))
    if not columns or not any(told):
        return kinship
    wanted = [asked[question.terms[column]] for column in columns]
    words = sorted({*wanted, *(word for one in told for word in one)})
    vectors = dict(zip(words, embed(words), strict=True))
    of_question = np.stack([vectors[word] for word in wanted])
    for row, one in enumerate(told):
        if one:
            kinship[row, columns] = (of_question @ np.stack([vectors[word] for word in one]).T).max(axis=1)
    return np.clip((kinship - _KIN_FROM) / (_KIN_TO - _KIN_FROM), 0, 1)


def _longest_run(question: str, sentence: str) -> float:
    """The longest stretch of the question that the sentence repeats, of twelve characters, 0 to 1."""
    letters = re.sub(r"\W", "", question)[:200]
    best = 0
    for start in range(len(letters)):
        while start + best < len(letters) and letters[start : start + best + 1] in sentence:
            best += 1
    return min(best, 12) / 12


def _is_unknown(question: Question, passages: Sequence[Passage]) -> bool:
    """Whether the question is about a name or a year that retrieval found nothing on."""
    known = frozenset().union(*(all_terms(f"{passage.document}\n{passage.text}") for passage in passages))
    stems = {term[:5] for term in known}  # "Germany" is known from "German"
    return any(name[:5] not in stems for name in question.names) or not years(question.text) <= known


def _is_of_another_year(question: Question, sentence: Sentence, around: frozenset[str]) -> bool:
    asked = years(question.text)
    told = years(sentence.quote)
    return bool(asked and told) and not asked <= (told | around)
