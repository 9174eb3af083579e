"""Passages to sentences, each with the context that it stands in."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import regex

from pipelines.knowledge.base import Passage
from pipelines.knowledge.parsing.tables import SEPARATOR
from pipelines.text.scripts import join, width
from pipelines.text.sentences import split_sentences

# A sentence, a label, a list item, a figure, an address.
_NO_HEADING = regex.compile(r"[.!?。！？…;；][\"'”’)\]」』）]*$|[:：]|^[-*•·▪‣●]|\S\s+\S*\d|@|\bwww\.")
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
        before: the sentence before it in the same paragraph, or the first row of a table without heads; or "".
        heading: the headings above it, or "".
    """

    text: str
    passage: int
    before: str
    heading: str

    @property
    def is_row(self) -> bool:
        """Whether it is a row of a table."""
        return SEPARATOR in self.text

    @property
    def quote(self) -> str:
        """What to quote: with the sentence before it if it leans on that ("It ..."), or with what may be its heads."""
        if self.is_row:
            return f"{self.before}\n{self.text}".lstrip()
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
    section = heading = first_row = ""
    is_open = True  # only headings so far: they hold for all tables of the passage
    lines = [line for raw in text.replace("\t", SEPARATOR).splitlines() if (line := " ".join(raw.split()))]
    for line, following in zip(lines, [*lines[1:], ""], strict=False):
        is_row = SEPARATOR in line
        is_heading = not is_row and _is_heading(line, following)
        if not is_heading:
            around = section if heading in section else f"{section}\n{heading}".lstrip()
            before = first_row if is_row else ""
            for sentence in [line] if is_row else split_sentences(line):
                yield Sentence(sentence, index, before, around if is_row else heading)
                before = sentence
            first_row = (first_row or (line if _may_be_heads(line) else "")) if is_row else ""
        if is_heading or (SEPARATOR in following and not is_row):  # what stands above a table may be quoted, too
            heading = split_sentences(line)[-1].lstrip("# ")
            section = f"{section}\n{heading}".lstrip() if is_open else section
        is_open = is_open and is_heading


def _may_be_heads(row: str) -> bool:
    return not regex.search(r"\d|[:：]", row)


def _is_heading(line: str, following: str) -> bool:
    if line.startswith("#") or not following:
        return line.startswith("#")
    return width(line) <= _MAX_HEADING and not _NO_HEADING.search(line)
