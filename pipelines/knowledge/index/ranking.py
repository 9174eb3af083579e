"""How well a passage answers a question, from 0 to 1, by meaning and by words.

Neither the distance of vectors nor BM25 says by itself whether a passage answers at all. This score does, roughly:
below 0.1 the passage is unrelated to the question, above 0.3 it usually answers it. Meaning is the cosine
similarity, stretched over the range that the model uses. Words is the share of the question's terms that the passage
has; terms that are rare among the candidates count more, and BM25 breaks ties.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_MEANINGS = (0.0, 0.9, 1.0)  # of unrelated passages, of those that answer the question, of those that repeat it
_MEANING_WEIGHT = 0.6


@dataclass(frozen=True)
class Candidate:
    """A chunk that was found; `vector` is float32 (dimension,), `bm25` is 0 if words did not find it."""

    row: dict[str, Any]
    terms: frozenset[str]
    vector: NDArray[np.float32]
    bm25: float


def rank(
    candidates: Sequence[Candidate],
    terms: Sequence[str],
    vector: NDArray[np.float32] | None,
    similarity_range: tuple[float, float] = (0.1, 0.7),
) -> list[tuple[Candidate, float]]:
    """Candidates with their scores, best first; equal ones in the order of their documents.

    Args:
        candidates: what the searches found.
        terms: of the question.
        vector: of the question, a unit vector, or `None` if the model cannot read it.
        similarity_range: the model's cosine of unrelated texts, and of question and answer.
    """
    if not candidates:
        return []
    words = _by_words(candidates, terms)
    if vector is None:
        scores = words
    else:
        cosines = np.stack([candidate.vector for candidate in candidates]) @ vector
        meaning = np.interp(cosines, (*similarity_range, 1.0), _MEANINGS)
        scores = _MEANING_WEIGHT * meaning + (1 - _MEANING_WEIGHT) * words if terms else meaning
    order = sorted(
        range(len(candidates)),
        key=lambda i: (-scores[i], candidates[i].row["document_id"], candidates[i].row["position"]),
    )
    return [(candidates[i], round(float(scores[i]), 4)) for i in order if scores[i] > 0]


def _by_words(candidates: Sequence[Candidate], terms: Sequence[str]) -> NDArray[np.float64]:
    having = Counter(term for candidate in candidates for term in candidate.terms.intersection(terms))
    weights = {term: math.log(1 + (len(candidates) + 1) / (having[term] + 0.5)) for term in terms}
    total = sum(weights.values()) or 1.0
    most = max(candidate.bm25 for candidate in candidates) or 1.0
    return np.array(
        [
            sum(weights[term] for term in candidate.terms.intersection(terms))
            / total
            * (0.85 + 0.15 * candidate.bm25 / most)
            for candidate in candidates
        ]
    )
