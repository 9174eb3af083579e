"""Text files in any common encoding: plain text and Markdown; HTML and comma-separated values by their own parsers.

What a text is, only its characters say. Paragraphs, headings and tables are found as far as the layout shows: cells are
parted by "|", tabs, or two or more spaces in columns that stand below each other.
"""

import re
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from typing import BinaryIO

from pipelines.contracts.errors import UnsupportedMedia
from pipelines.knowledge.parsing import delimited, hypertext, tables
from pipelines.knowledge.parsing.clean import join_lines
from pipelines.knowledge.parsing.documents import Parsed, ReadLimits
from pipelines.knowledge.parsing.tables import Cell
from pipelines.text.encodings import decode
from pipelines.text.scripts import width

_SENTENCE_END = tuple(".!?:;…。！？：；”’」』）)]")
_LIST_ITEM = re.compile(r"\s*(?:[-*•·]|\(?\d{1,3}[.)、]|[一二三四五六七八九十]+、)\s*\S")
_MARKDOWN = re.compile(
    r"^#{1,6} \S|^(?:```|~~~)|^[ \t]*+\|?[ \t]*+:?-{3,}:?[ \t]*+\||\[[^\]\n]{1,200}\]\([^)\s]{1,200}\)", re.MULTILINE
)
_MARKDOWN_HEADING = re.compile(r"#{1,6}\s+(\S.*)")
_FENCE = re.compile(r"\s*(?:```|~~~)")
_UNDERLINE = re.compile(r"={3,}|-{3,}")
_MARKS = (
    (re.compile(r"^\s{0,3}(?:>\s?)+"), ""),
    (re.compile(r"!\[([^\]]{0,200})\]\([^)]{0,500}\)"), r"\1"),  # a picture
    (re.compile(r"\[([^\]]{1,200})\]\(<?((?:https?|mailto):[^)\s>]{1,500})[^)]{0,200}\)"), r"\1 (\2)"),
    (re.compile(r"\[([^\]]{1,200})\]\([^)]{0,500}\)"), r"\1"),
    (re.compile(r"(\*\*|__|~~)(?=\S)(.{1,500}?)(?<=\S)\1"), r"\2"),
    (re.compile(r"(?<![\w*])\*(?=\S)([^*]{1,500})(?<=\S)\*(?![\w*])"), r"\1"),
    (re.compile(r"(?<![\w_])_(?=\S)([^_]{1,500})(?<=\S)_(?![\w_])"), r"\1"),
    (re.compile(r"`([^`]{1,500})`"), r"\1"),
    (re.compile(r"<!--.{0,500}?-->|</?[a-zA-Z][^<>]{0,200}>"), ""),
    (re.compile(r"\\([\\`*_{}\[\]()#+.!-])"), r"\1"),
)
_DRAWN = str.maketrans(
    dict.fromkeys("│┃║", "|") | dict.fromkeys("─━═", "-") | dict.fromkeys("┌┬┐├┼┤└┴┘╔╦╗╠╬╣╚╩╝┏┳┓┣╋┫┗┻┛", "+")
)
_RULE = re.compile(r"[\s|:+=-]+")
_MAX_ROW = 1_000  # characters of a line in which two spaces may part cells
_BAR = re.compile(r"(?<!\\)\|")

Blocks = Iterator[tuple[str, str]]


def parse(file: BinaryIO, limits: ReadLimits) -> Iterator[Parsed]:
    """The one page of a text file.

    Raises:
        UnsupportedMedia: the bytes are not text.
    """
    data = file.read()
    text = decode(data)
    if text is None:
        raise UnsupportedMedia("The file is not text.")
    if hypertext.is_hypertext(text):
        yield from hypertext.parse(hypertext.decode(data) or text)
    elif records := delimited.read(text):
        yield None, [("row", line) for line in tables.lines(records, delimited.count_heads(records))]
    else:
        yield None, list(_blocks(text))


def _blocks(text: str) -> Blocks:
    is_markdown = _MARKDOWN.search(text) is not None
    paragraph: list[str] = []
    is_code = False
    for line in [*text.translate(_DRAWN).splitlines(), ""]:
        if is_markdown and _FENCE.match(line):
            yield from _paragraph(paragraph, is_markdown=is_markdown)
            paragraph, is_code = [], not is_code
        elif is_code and line.strip():
            yield "text", line.strip()
        elif line.strip():
            paragraph.append(line.rstrip())
        else:
            yield from _paragraph(paragraph, is_markdown=is_markdown)
            paragraph = []


def _paragraph(lines: list[str], *, is_markdown: bool) -> Blocks:
    """Lines between blank lines: headings, tables, or text whose line ends may only be wrapping."""
    if is_markdown:
        lines = [_without_marks(line) for line in lines]
    if len(lines) > 1 and _UNDERLINE.fullmatch(lines[1].strip()) and _kind(lines[0]) == "text":
        yield "heading", lines[0].strip()
        lines = lines[2:]
    elif len(lines) == 1 and _is_heading(lines[0]):
        yield "heading", lines[0].strip()
        return
    for kind, group in groupby(zip(_kinds(lines), lines, strict=True), itemgetter(0)):
        run = [line for _, line in group]
        if kind == "heading":
            yield from (("heading", found[1].rstrip("# ")) for line in run if (found := _MARKDOWN_HEADING.match(line)))
        elif kind == "table":
            yield from (("row", line) for line in tables.lines(_rows(run), _heads(run)))
        else:
            yield from _text([line for line in run if not _RULE.fullmatch(line)])


def _without_marks(line: str) -> str:
    for pattern, replacement in _MARKS:
        line = pattern.sub(replacement, line)
    return line


def _kinds(lines: list[str]) -> list[str]:
    """What each line is: "heading", "table" or "text"."""
    kinds = [_kind(line) for line in lines]
    for kind, group in groupby(range(len(lines)), lambda index: kinds[index]):
        run = list(group)
        if kind == "spaced":
            written = [cells for index in run if len(cells := _spaced(lines[index])) > 1]
            is_table = len(written) > 1 and tables.are_in_columns(written)
            kinds[run[0] : run[-1] + 1] = ["table" if is_table else "text"] * len(run)
    return kinds


def _kind(line: str) -> str:
    if _MARKDOWN_HEADING.match(line):
        return "heading"
    if _RULE.fullmatch(line):
        return "table" if "|" in line or "+" in line else "spaced"
    if _BAR.search(line) or "\t" in line.strip():
        return "table"
    is_spaced = len(line) <= _MAX_ROW and len(_spaced(line)) > 1 and not _LIST_ITEM.match(line)
    return "spaced" if is_spaced else "text"


def _heads(lines: list[str]) -> int | None:
    """How many rows stand above the first rule within a table."""
    is_rule = [_RULE.fullmatch(line) is not None for line in lines]
    first = is_rule.index(False) if False in is_rule else len(lines)
    return is_rule.index(True, first) - first if True in is_rule[first:-1] else None


def _rows(lines: list[str]) -> list[list[str]]:
    written = [line for line in lines if not _RULE.fullmatch(line)]
    if any(map(_BAR.search, written)):
        return [[cell.replace("\\|", "|") for cell in _BAR.split(_without_frame(line))] for line in written]
    if any("\t" in line.strip() for line in written):
        # One tab is one cell further on, unless lines are only brought to their columns by several.
        exact = [line.split("\t") for line in written]
        return exact if len(set(map(len, exact))) == 1 else [re.split(r"\t+", line.strip()) for line in written]
    return tables.in_columns([_spaced(line) for line in written])


def _without_frame(line: str) -> str:
    line = line.strip()
    return line[line.startswith("|") : len(line) - line.endswith("|")]


def _spaced(line: str) -> list[Cell]:
    """The pieces of a line between gaps of two or more spaces, at their places in a fixed-width font."""
    pieces = re.finditer(r"\S+(?: \S+)*", line)
    return [Cell(piece[0], width(line[: piece.start()]), width(line[: piece.end()])) for piece in pieces]


def _text(lines: list[str]) -> Blocks:
    longest = max(map(width, lines), default=0)
    held = previous = ""
    for line in lines:
        if held and _continues(previous, line, longest):
            held, previous = join_lines(held, line.strip()), line
            continue
        if held:
            yield "text", held
        held = previous = line.strip()
    if held:
        yield "text", held


def _continues(line: str, following: str, longest: int) -> bool:
    """Whether the line end is only where the text was wrapped: a full line, no sentence end, no list item next."""
    return (
        40 <= longest <= 160
        and width(line) >= 0.7 * longest
        and not line.endswith(_SENTENCE_END)
        and not _LIST_ITEM.match(following)
    )


def _is_heading(line: str) -> bool:
    text = line.strip()
    return (
        width(text) <= 80
        and text[0].isalnum()
        and not text.endswith((*_SENTENCE_END, ",", "，"))
        and not re.search(r"\||\t", text)
    )
