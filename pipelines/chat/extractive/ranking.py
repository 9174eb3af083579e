"""Which sentences answer a question: a linear score of what they have in common, in words and in meaning.

The weights are those of a logistic regression on public questions with and without an answer (SQuAD 2.0 and XQuAD in
English; XQuAD and CMRC 2018 in Chinese), rounded; `unknown`, `topic_missing`, `no_sign` and the Chinese bias were set
by hand. The score knows words and similarity, not meaning: a sentence that denies what is asked, or a question that
only two sentences together answer, is beyond it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import regex
from numpy.typing import NDArray

from pipelines.chat.extractive.question import Question, years
from pipelines.chat.extractive.sentences import Sentence, read_passages
from pipelines.contracts.engine import Embed
from pipelines.knowledge.base import Passage
from pipelines.knowledge.parsing.tables import SEPARATOR
from pipelines.text.scripts import join
from pipelines.text.terms import document_terms, query_terms, stem

Scores = NDArray[np.float64]

_MAX_SENTENCES = 300
_MARGIN = 1.5
_LEANING_MARGIN = 0.5
_MAX_QUOTED = 3
_PARTLY = 0.4  # of a Chinese pair both characters are there, or a pair that it overlaps
_KIN_SENTENCES = 12
_KIN_FROM, _KIN_TO = 0.35, 0.8  # cosine of words without and with the same meaning, as MiniLM sees them
_LETTERS = regex.compile("[a-z]{2,}")


@dataclass(frozen=True, kw_only=True)
class _Weights:
    """One language's weights, in log odds. Shares are of the question's terms, weighted by their rarity, 0 to 1."""

    threshold: float  # below it nothing answers
    bias: float
    length: float  # of the question, in terms, of twelve
    said: float  # share that stands in the sentence
    context: float  # further share in its heading or the sentence before it
    no_sign: float  # of the kind of thing that is asked for
    unknown: float  # a name or a year stands in none of the passages
    cell: float = 2.0  # a table's row and column are named
    topic_missing: float = 0  # the first term stands nowhere near
    similarity: float = 0  # cosine of question and sentence
    kin: float = 0  # further share whose kin stands in the sentence ("stored" and "kept"), by similarity of the words


_ENGLISH = _Weights(
    threshold=-2.5, bias=-9.1, length=1.8, said=6.0, context=2.0, no_sign=-2.6, unknown=-1.5, similarity=5.8, kin=3.9
)
_CHINESE = _Weights(
    threshold=-2.0, bias=-6.5, length=1.3, said=8.5, context=2.9, no_sign=-2.8, unknown=-1.5, topic_missing=-1.5
)


def find_answer(question: Question, passages: Sequence[Passage], embed: Embed) -> tuple[str, tuple[Passage, ...]]:
    """The one to three sentences that answer best, verbatim, and their passages, best first; "" if nothing answers.

    Embeddings count for English questions only: the embedding model that this was fitted with does not read Chinese.
    """
    sentences = read_passages(passages)[:_MAX_SENTENCES]
    if not sentences or not (question.terms or question.is_exact):
        return "", ()
    weights = _CHINESE if question.is_chinese else _ENGLISH
    scores = _score(question, sentences, weights, embed) + weights.unknown * _is_unknown(question, passages)
    chosen: list[int] = []
    for index in np.argsort(-scores, kind="stable")[:_MAX_QUOTED]:
        sentence, score = sentences[index], scores[index]
        # One that leans on a chosen sentence has its score from that, unless it scores as well.
        leans_on = [scores[one] for one in chosen if sentences[one].text == sentence.before]
        is_borrowed = sentence.quote != sentence.text and score < max(leans_on, default=score) - _LEANING_MARGIN
        if score >= max(weights.threshold, scores.max() - _MARGIN) and not is_borrowed:
            chosen.append(index)
    order = list(dict.fromkeys(sentences[index].passage for index in chosen))
    chosen.sort(key=lambda index: (order.index(sentences[index].passage), index))
    return _quote([sentences[index] for index in chosen]), tuple(passages[index] for index in order)


def _quote(sentences: Sequence[Sentence]) -> str:
    text = ""
    for sentence in sentences:
        part = sentence.text if sentence.before and sentence.before in text else sentence.quote
        if part not in text:
            is_closed = regex.search(r"[.!?。！？…][\"'”’」』）)\]]*$", text) and not sentence.is_row
            text = join(text, part) if is_closed else f"{text}\n{part}".lstrip()
    return text


def _score(question: Question, sentences: Sequence[Sentence], weights: _Weights, embed: Embed) -> Scores:
    bags = [_bag(sentence.text if sentence.is_row else sentence.quote) for sentence in sentences]
    near = [_bag(f"{sentence.heading}\n{sentence.before}") for sentence in sentences]
    said = _presence(question.terms, bags)
    rarity = np.log((len(bags) + 1) / ((said == 1).sum(axis=0) + 0.5)).clip(0.05)
    rarity /= rarity.sum()
    context = _presence(question.terms, near) * (1 - said)
    is_off_topic = [not bag | around >= {*question.terms[:1]} for bag, around in zip(bags, near, strict=True)]
    has_no_sign = np.array([not question.is_met_by(sentence.text) for sentence in sentences])
    scores = (
        weights.bias
        + weights.length * min(len(question.terms), 12) / 12
        + (weights.said * said + weights.context * context) @ rarity
        + weights.topic_missing * np.array(is_off_topic)
        + weights.no_sign * has_no_sign
        + weights.cell * np.array([_names_cell(question, sentence) for sentence in sentences])
    )
    if not question.terms:  # nothing but the kind is asked for
        scores += weights.said
    if not question.is_chinese:
        vectors = embed([question.text, *(sentence.quote for sentence in sentences)])
        scores += weights.similarity * (vectors[1:] @ vectors[0])
        best = np.argsort(-scores, kind="stable")[:_KIN_SENTENCES]
        kinship = _kinship(question, [sentences[i] for i in best], embed)
        scores[best] += weights.kin * (kinship * (1 - said[best]) @ rarity)
    return np.where(has_no_sign & question.is_exact, -np.inf, scores)


def _names_cell(question: Question, sentence: Sentence) -> bool:
    """Whether the question says what stands in one cell of a row and above another: it asks for the latter."""
    cells = [cell.partition(": ") for cell in sentence.text.split(SEPARATOR)]
    heads = _bag("\n".join(head for head, colon, _ in cells if colon))
    values = filter(None, ({*query_terms(value or cell)} for cell, _, value in cells))
    asked = {*question.terms}
    return not heads.isdisjoint(asked) and any(value <= asked for value in values)


@lru_cache(maxsize=2_000)
def _bag(text: str) -> frozenset[str]:
    return frozenset(document_terms(text))


def _presence(terms: Sequence[str], bags: Sequence[frozenset[str]]) -> Scores:
    """How far each term stands in each bag, 0 to 1, (bags, terms)."""
    is_pair = [len(term) == 2 and not term.isascii() for term in terms]
    present = np.array([[float(term in bag) for term in terms] for bag in bags])
    whole = present.copy()
    for i, term in enumerate(terms):
        if is_pair[i]:
            partly = np.array([bag.issuperset(term) for bag in bags], dtype=bool)
            # A pair across two words is no word ("馆周" in "总馆周末"): a pair that it overlaps vouches for it in part.
            for j in (i - 1, i + 1):
                if 0 <= j < len(terms) and is_pair[j] and terms[min(i, j)][1] == terms[max(i, j)][0]:
                    partly |= whole[:, j] > 0
            present[:, i] = np.maximum(present[:, i], _PARTLY * partly)
    return present


def _kinship(question: Question, sentences: Sequence[Sentence], embed: Embed) -> Scores:
    """Similarity of each term and the most similar word of each sentence, 0 to 1, (sentences, terms)."""
    asked = {stem(word): word for word in _LETTERS.findall(question.text.lower())}
    columns = [column for column, term in enumerate(question.terms) if term in asked]
    kinship = np.zeros((len(sentences), len(question.terms)))
    for row, sentence in enumerate(sentences):
        if columns and (words := [word for word in _LETTERS.findall(sentence.quote.lower()) if query_terms(word)]):
            vectors = embed([*(asked[question.terms[column]] for column in columns), *words])
            kinship[row, columns] = (vectors[: len(columns)] @ vectors[len(columns) :].T).max(axis=1)
    return np.clip((kinship - _KIN_FROM) / (_KIN_TO - _KIN_FROM), 0, 1)


def _is_unknown(question: Question, passages: Sequence[Passage]) -> bool:
    """Whether the question is about a name or a year that no passage mentions."""
    known = frozenset().union(*(_bag(f"{passage.document}\n{passage.text}") for passage in passages))
    stems = {term[:5] for term in known}  # "Germany" is known from "German"
    return any(name[:5] not in stems for name in question.names) or not years(question.text) <= known
