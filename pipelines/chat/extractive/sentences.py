"""Passages to sentences, each with the context that it stands in.

Text of documents comes with headings, table rows, list items and lines that were wrapped by a text editor: a sentence
is what a reader would quote.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from pipelines.chat.extractive.words import HAN
from pipelines.knowledge.base import Passage

_ABBREVIATIONS = frozenset(
    """mr mrs ms dr prof st no nos fig figs sec ch vol pp p ed eds inc ltd co corp dept approx est etc vs e.g i.e cf al
    jan feb mar apr jun jul aug sep sept oct nov dec u.s u.k gen col sgt rev hon jr sr tel art""".split()  # noqa: SIM905
)
_ENGLISH_END = re.compile(r"(?<![.!?])[.!?]+[\"'”’)\]]*(?=\s+[\"'“‘(\[]?[A-Z0-9])")
_CHINESE_END = re.compile(rf"(?:[。！？]|…+|(?<=[{HAN}])[!?])+[”’」』）)]*")
_CLOSED = re.compile(r"[.!?。！？…:：;；][\"'”’)\]」』）]*$")
_BULLET = re.compile("[-*•·▪‣●]")
_ITEM = re.compile(r"(?:[-*•·▪‣●]|\(?\d{1,2}[.)、]|\(?[a-z][.)]|[（(][一二三四五六七八九十]+[)）])\s*")
_YEAR = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)年?")
_CHAPTER = re.compile(r"chapter|section|part|appendix|第")
_LEANING = re.compile(
    r"(?:it|its|they|their|them|he|his|she|her|this|these|those|that|such|both|of these|of them)\b"
    r"|the (?:former|latter)\b|[该其它他她此这]",
    re.IGNORECASE,
)
_WRAPPED_WIDTH = 50
_MOST_CHARACTERS = 20_000  # of one passage: a table row may be as long as its author liked


@dataclass(frozen=True)
class Sentence:
    """A quotable piece of a passage.

    Attributes:
        text: verbatim, runs of white space as one space.
        passage: index of its passage; the best one where overlapping passages share the sentence.
        position: its place among the sentences of that passage.
        before: the sentence before it in the same paragraph, or "".
        heading: the heading or table head above it, or "".
    """

    text: str
    passage: int
    position: int
    before: str
    heading: str

    @property
    def quote(self) -> str:
        """What to quote: with the sentence before it where it leans on that ("It ...")."""
        if not (self.before and _LEANING.match(self.text)):
            return self.text
        return self.before + ("" if re.match(f"[{HAN}]", self.text) else " ") + self.text


def split_sentences(text: str) -> list[str]:
    """One paragraph to its sentences, English or Chinese; nothing but outer white space is lost."""
    pieces: list[str] = []
    start = 0
    for end in sorted({*_english_ends(text), *(match.end() for match in _CHINESE_END.finditer(text))}):
        pieces.append(text[start:end].strip())
        start = end
    pieces.append(text[start:].strip())
    return [piece for piece in pieces if piece]


def read_passages(passages: Sequence[Passage]) -> list[Sentence]:
    """All sentences of the passages, once each where passages overlap."""
    found: dict[tuple[str, str], Sentence] = {}
    for index, passage in enumerate(passages):
        for sentence in _read(passage.text[:_MOST_CHARACTERS], index):
            known = found.setdefault((passage.document, sentence.text), sentence)
            if not known.before and sentence.before:  # the overlap of two passages: the other one has the context
                found[passage.document, sentence.text] = replace(known, before=sentence.before)
    return list(found.values())


def _english_ends(text: str) -> Iterator[int]:
    start = 0
    for match in _ENGLISH_END.finditer(text):
        if not (match.group().startswith(".") and _is_abbreviated(text[start : match.start()])):
            start = match.end()
            yield start


def _is_abbreviated(before: str) -> bool:
    """Whether a full stop after `before` belongs to its last word: "Dr", an initial, the number of a list item."""
    word = re.split(r"\s", before)[-1].lower().lstrip("(\"'“‘[")
    is_initial = re.fullmatch(r"[a-z](?:\.[a-z])*", word) is not None and word not in {"a.m", "p.m", "i"}
    return word in _ABBREVIATIONS or is_initial or re.fullmatch(r"\s*\d{1,2}", before) is not None


def _read(text: str, index: int) -> Iterator[Sentence]:
    heading, position = "", 0
    blocks = _blocks(text)
    for number, block in enumerate(blocks):
        if _is_heading(block, blocks[number + 1 : number + 2]):
            heading = block.lstrip("# ")
            continue
        before = ""
        for piece in split_sentences(block):
            yield Sentence(piece, index, position, before, heading)
            before, position = piece, position + 1


def _blocks(text: str) -> list[str]:
    """Lines to paragraphs, headings, rows and items: a line that a text editor wrapped goes on in the next."""
    blocks: list[str] = []
    open_line = ""  # the last line of the last block while the block may go on
    for line in (" ".join(raw.split()) for raw in text.replace("\t", " | ").splitlines()):
        if open_line and line and _goes_on(open_line, line):
            blocks[-1] += ("" if re.match(f"[{HAN}]", line) else " ") + line
        elif line:
            blocks.append(line)
        open_line = line
    return blocks


def _goes_on(line: str, following: str) -> bool:
    if "|" in line or "|" in following or _ITEM.match(following) or line.startswith("#"):
        return False
    return following[0].islower() or (_width(line) >= _WRAPPED_WIDTH and not _CLOSED.search(line))


def _is_heading(block: str, following: list[str]) -> bool:
    if block.startswith("#"):
        return True
    if not following or _CLOSED.search(block) or _BULLET.match(block) or _width(block) > 90:
        return False
    figures = re.search(r"\d", _YEAR.sub("", block))
    if "|" in block:  # the head of a table has no figures, or only years
        return "|" in following[0] and not figures
    if _YEAR.search(block) and not _CLOSED.search(following[0]):
        return False
    return not re.search(r"[:：]|\S\s+\S*\d", _YEAR.sub("", block)) or bool(_CHAPTER.match(block.lower()))


def _width(text: str) -> int:
    return len(text) + len(re.findall(f"[{HAN}]", text))
