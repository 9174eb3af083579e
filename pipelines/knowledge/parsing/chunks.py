"""Cuts a document into chunks, which are embedded, searched and quoted.

A chunk is 120 to 200 tokens of whole sentences: what MiniLM reads in one go and a person at a glance. It begins with
its heading, so that it can be understood alone. A table's rows, each of which names its columns (see `tables`), are not
cut; one that alone is too long is cut between its cells, and each part begins with the first of them.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce

import regex

from pipelines.knowledge.parsing.clean import join_lines
from pipelines.knowledge.parsing.documents import Block, Document
from pipelines.knowledge.parsing.tables import SEPARATOR
from pipelines.text.scripts import UNSPACED, is_unspaced, join
from pipelines.text.sentences import split_sentences

TARGET_TOKENS = 160
MAX_TOKENS = 200
_OVERLAP_TOKENS = 40
_HEADING_TOKENS = 60
_MAX_WORD = 80
_UNSPACED = regex.compile(f"[{UNSPACED}]")


@dataclass(frozen=True)
class Chunk:
    """`page` counts from 1 (`None` if the format has no pages), `position` from 0 in the document."""

    page: int | None
    text: str
    position: int


def split(document: Document) -> list[Chunk]:
    """Cut a document into chunks, in reading order.

    Each chunk has at most `MAX_TOKENS`; neighbors share one sentence.
    """
    builder = _Builder()
    for page, block in _across_pages(document):
        builder.add(page, block)
    return builder.finish()


def count_tokens(text: str) -> int:
    """About how many tokens a model reads: one per Chinese character, one per six letters of a word or part of them."""
    words, wide = (text, 0) if text.isascii() else _UNSPACED.subn(" ", text)
    return int(wide) + sum((len(word) + 5) // 6 for word in words.split())


def _across_pages(document: Document) -> Iterator[tuple[int | None, Block]]:
    """All blocks with their pages; a sentence that crosses the end of a page stands whole on its first page."""
    held: tuple[int | None, Block] | None = None
    for page in document.pages:
        for index, block in enumerate(page.blocks):
            if held and not index and _runs_on(held[1], block):
                # Only the sentence crosses: the rest of the paragraph stays on its page.
                first, rest = _first_sentence(block.text)
                yield held[0], Block("text", join_lines(held[1].text, first))
                held = (page.number, Block("text", rest)) if rest else None
                continue
            if held:
                yield held
            held = page.number, block
    if held:
        yield held


def _runs_on(block: Block, following: Block) -> bool:
    if block.kind != "text" or following.kind != "text" or block.text.startswith("- "):
        return False
    is_open = not re.search(r"[.!?:;。！？：；…][\"'”’」』）)\]]*$", block.text)
    return is_open and (following.text[0].islower() or (is_unspaced(following.text[0]) and is_unspaced(block.text[-1])))


def _sentences(text: str) -> list[str]:
    return [sentence for line in text.split("\n") for sentence in split_sentences(line)]


def _first_sentence(text: str) -> tuple[str, str]:
    first = _sentences(text)[0]
    return first, text[text.index(first) + len(first) :].strip()


class _Builder:
    """Gathers blocks into chunks; a heading or a new page ends one."""

    def __init__(self) -> None:
        self._chunks: list[Chunk] = []
        self._page: int | None = None
        self._headings: list[str] = []
        self._is_heading_fresh = False
        self._lines: list[list[str]] = []  # paragraphs of sentences, each row a paragraph
        self._size = 0  # tokens of headings and lines
        self._has_own = False  # more than what was repeated from before

    def add(self, page: int | None, block: Block) -> None:
        is_heading = block.kind == "heading" and count_tokens(block.text) <= _HEADING_TOKENS
        if page != self._page or is_heading:
            self._flush()
            self._page = page
        if is_heading:
            self._add_heading(block.text)
            return
        self._is_heading_fresh = False
        if block.kind == "row":
            self._add_row(block.text)
            return
        for index, sentence in enumerate(part for whole in _sentences(block.text) for part in _bounded(whole)):
            self._add_sentence(sentence, begins=index == 0)

    def finish(self) -> list[Chunk]:
        self._flush()
        if self._is_heading_fresh:
            self._emit([*self._headings])
        return self._chunks

    def _add_heading(self, text: str) -> None:
        if not self._is_heading_fresh:
            self._headings = []
        elif count_tokens(" ".join([*self._headings, text])) > _HEADING_TOKENS:
            # Line after line that only looks like headings is text.
            self._emit(self._headings)
            self._headings = []
        self._headings.append(text)
        self._is_heading_fresh = True
        self._size = sum(map(count_tokens, self._headings))

    def _add_row(self, text: str) -> None:
        for part in _bounded_row(text):
            if self._size + count_tokens(part) > MAX_TOKENS and self._has_own:
                self._flush()
            self._append(part, begins=True)
            self._has_own = True

    def _add_sentence(self, sentence: str, *, begins: bool) -> None:
        own = count_tokens(sentence)
        if self._has_own and (self._size + own > MAX_TOKENS or self._size >= TARGET_TOKENS):
            last = self._lines[-1][-1]
            self._flush()
            if count_tokens(last) <= min(_OVERLAP_TOKENS, MAX_TOKENS - own - self._size):
                self._append(last, begins=True)
        self._append(sentence, begins=begins)
        self._has_own = True

    def _append(self, part: str, *, begins: bool) -> None:
        if begins or not self._lines:
            self._lines.append([])
        self._lines[-1].append(part)
        self._size += count_tokens(part)

    def _flush(self) -> None:
        if self._has_own:
            self._emit([*self._headings, *(reduce(join, line) for line in self._lines)])
        self._lines = []
        self._size = sum(map(count_tokens, self._headings))
        self._has_own = False

    def _emit(self, lines: list[str]) -> None:
        self._chunks.append(Chunk(self._page, "\n".join(lines), len(self._chunks)))


def _bounded(sentence: str) -> Iterator[str]:
    """A sentence in parts that fit a chunk: cut at spaces or Chinese commas, or anywhere if there are none."""
    limit = MAX_TOKENS - _HEADING_TOKENS
    if count_tokens(sentence) <= limit:
        yield sentence
        return
    part, size = "", 0
    for match in re.finditer(rf"[^\s，、]{{0,{_MAX_WORD}}}(?:[，、]|\s+|(?=.)|$)", sentence):
        own = count_tokens(match[0])
        if size + own > limit:
            yield part.strip()
            part, size = "", 0
        part += match[0]
        size += own
    if part.strip():
        yield part.strip()


def _bounded_row(row: str) -> Iterator[str]:
    """A table row in parts that fit a chunk, each with the row's first cell unless that alone is long."""
    limit = MAX_TOKENS - _HEADING_TOKENS
    if count_tokens(row) <= limit:
        yield row
        return
    first, *cells = [part for cell in row.split(SEPARATOR) for part in _bounded(cell)]
    label = [first] if count_tokens(first) <= _HEADING_TOKENS else []
    part = [first]
    for cell in cells:
        if part != label and count_tokens(SEPARATOR.join([*part, cell])) > limit:
            yield SEPARATOR.join(part)
            part = [*label]
        part.append(cell)
    yield SEPARATOR.join(part)
