"""Passages to sentences, each with the context that it stands in."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import regex

from pipelines.knowledge.base import Passage
from pipelines.text.scripts import join, width
from pipelines.text.sentences import split_sentences

# A sentence, a label, a list item, a figure.
_NO_HEADING = regex.compile(r"[.!?。！？…;；][\"'”’)\]」』）]*$|[:：]|^[-*•·▪‣●]|\S\s+\S*\d")
_LEANING = regex.compile(
    r"(?i)(?:its?|the(?:y|ir|m)|he|his|she|her|th(?:is|at|ese|ose)|such|both|the (?:former|latter))\b|[该其它他她此这]"
)
_MAX_HEADING = 90
_MAX_CHARACTERS = 20_000  # of one passage: a table row may be as long as its author liked


@dataclass(frozen=True)
class Sentence:
    """A quotable piece of a passage.

    Attributes:
        text: verbatim, runs of white space as one space.
        passage: index of its passage; the best one if overlapping passages share the sentence.
        before: the sentence before it in the same paragraph, or "".
        heading: the heading or table head above it, or "".
    """

    text: str
    passage: int
    before: str
    heading: str

    @property
    def quote(self) -> str:
        """What to quote: with the sentence before it if it leans on that ("It ...")."""
        return join(self.before, self.text) if _LEANING.match(self.text) else self.text


def read_passages(passages: Sequence[Passage]) -> list[Sentence]:
    """All sentences of the passages, in order, once each if passages overlap."""
    found: dict[tuple[str, str], Sentence] = {}
    for index, passage in enumerate(passages):
        for sentence in _read(passage.text[:_MAX_CHARACTERS], index):
            known = found.setdefault((passage.document, sentence.text), sentence)
            if not known.before and sentence.before:  # the overlap of two passages: the other one has the context
                found[passage.document, sentence.text] = replace(known, before=sentence.before)
    return list(found.values())


def _read(text: str, index: int) -> Iterator[Sentence]:
    heading = ""
    lines = [line for raw in text.replace("\t", " | ").splitlines() if (line := " ".join(raw.split()))]
    for line, following in zip(lines, [*lines[1:], ""], strict=False):
        if _is_heading(line, following):
            heading = line.lstrip("# ")
            continue
        before = ""
        for sentence in split_sentences(line):
            yield Sentence(sentence, index, before, heading)
            before = sentence


def _is_heading(line: str, following: str) -> bool:
    if line.startswith("#") or not following:
        return line.startswith("#")
    if "|" in line:  # the head of a table has no figures, and no heads of its own
        return "|" in following and not regex.search(r"\d|[:：]", line)
    return width(line) <= _MAX_HEADING and not _NO_HEADING.search(line)
