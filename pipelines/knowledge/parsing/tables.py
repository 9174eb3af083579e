"""Tables as text: one line a row, each cell behind the head of its column.

    Region: Bergen | Q1: 12 | Q2: 30

This is the one form in which a table of any format reaches the passages, so that each row can be found, quoted and
understood by itself. Cells are parted by `SEPARATOR`, heads from their cells by ": "; empty cells are left out, and no
cell holds a "|". A cell without a head stands alone, and so do all cells of a table without a head row:
"Bergen | 12 | 30". A row with one cell, or the same text in all of them, is that text: a caption within the table.

Where the format does not say which rows are heads, the first row is taken for one if it names what is below it rather
than being more of the same: "Q1" and "2023" above amounts do, "12 kg" above "14 kg" does not. A table of two columns
may as well be a list of names and values: it has a head only if its values are alike.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import regex

from pipelines.text.scripts import width

SEPARATOR = " | "
_MAX_HEAD_WIDTH = 80
_MIN_NAMED = 2 / 3
_ALIKE = 0.75
_NUMBER = regex.compile(r"\d+(?:[.,'’]\d+)*")
_NUMERAL = regex.compile("[一二三四五六七八九十百千万亿两]+")
_LETTERS = regex.compile(r"\p{L}[\p{L}\p{M}\s]*")
_YEAR = regex.compile(r"(?:1[5-9]|20)\d\d")

Rows = list[list[str]]


@dataclass(frozen=True)
class Cell:
    """A cell at its place, in any unit."""

    text: str
    left: float
    right: float


class Table(NamedTuple):
    """A table: what stands above its heads, its heads, each a row, and all rows below them."""

    captions: list[str]
    heads: Rows
    body: Rows

    @classmethod
    def read(cls, rows: Sequence[Sequence[str]], heads: int | None = None) -> "Table":
        """A table from its cells.

        Args:
            rows: a cell that spans several has its text in each of them.
            heads: how many of the first rows name the columns; `None` if the format does not say.
        """
        grid = _tidied(rows)
        captions = []
        while len(grid) > 1 and heads != 1 and _is_caption(grid[0]):
            captions.append(grid.pop(0)[0])
            heads = heads and heads - 1
        if heads is None or heads >= len(grid):
            heads = _guess_heads(grid)
        return cls(captions, grid[:heads], grid[heads:])

    def lines(self) -> Iterator[str]:
        """The rows in the form that this module describes."""
        yield from self.captions
        names = [
            " ".join(dict.fromkeys(filter(None, column))).rstrip(":：") for column in zip(*self.heads, strict=True)
        ]
        for cells in self.body:
            if _is_caption(cells):
                yield cells[0]
            elif cells not in self.heads:  # else they are the heads again, at the top of a page
                yield SEPARATOR.join(filter(None, _behind(names, cells) if names else cells))


def lines(rows: Sequence[Sequence[str]], heads: int | None = None) -> Iterator[str]:
    """The rows of a table in the form that this module describes; see `Table.read`."""
    return Table.read(rows, heads).lines()


def in_columns(rows: Sequence[Sequence[Cell]]) -> Rows:
    """Cells that stand in lines as the rows of a table, each in the column that it is in or nearest to."""
    columns = find_columns(rows)
    grid = []
    for row in rows:
        texts = [""] * len(columns)
        for cell, column in zip(row, _places(row, columns), strict=True):
            texts[column] = f"{texts[column]} {cell.text}".lstrip()
        grid.append(texts)
    return grid


def are_in_columns(rows: Sequence[Sequence[Cell]]) -> bool:
    """Whether cells stand below each other: none reaches into another column."""
    columns = find_columns(rows)
    for row in rows:
        for cell, column in zip(row, _places(row, columns), strict=True):
            left, right = columns[column]
            columns[column] = min(left, cell.left), max(right, cell.right)
    return all(first[1] < second[0] for first, second in pairwise(columns))


def find_columns(rows: Sequence[Sequence[Cell]]) -> list[tuple[float, float]]:
    """From where to where the columns reach, by the rows that have a cell in each."""
    most = max(map(len, rows), default=0)
    full = [row for row in rows if len(row) == most]
    return [(min(row[i].left for row in full), max(row[i].right for row in full)) for i in range(most)]


def _places(row: Sequence[Cell], columns: Sequence[tuple[float, float]]) -> list[int]:
    """The column of each cell of a row."""
    if len(row) == len(columns):
        return list(range(len(row)))
    distances = ([_distance(cell, column) for column in columns] for cell in row)
    return [apart.index(min(apart)) for apart in distances]


def _distance(cell: Cell, column: tuple[float, float]) -> tuple[float, float]:
    """How far a cell is from a column, and its middle from the column's."""
    left, right = column
    return max(left - cell.right, cell.left - right, 0.0), abs(left + right - cell.left - cell.right)


def _tidied(rows: Sequence[Sequence[str]]) -> Rows:
    """Rows of one length with their texts on one line, without empty rows and columns."""
    longest = max(map(len, rows), default=0)
    flat = [[_flat(cell) for cell in row] + [""] * (longest - len(row)) for row in rows]
    used = [column for column in range(longest) if any(row[column] for row in flat)]
    return [[row[column] for column in used] for row in flat if any(row)]


def _flat(cell: str) -> str:
    return " ".join(cell.replace(SEPARATOR, "; ").replace("|", "/").split())


def _is_caption(cells: list[str]) -> bool:
    return len(cells) > 1 and set(filter(None, cells)) == {cells[0]} and any(map(str.isalpha, cells[0]))


def _behind(names: Sequence[str], cells: Sequence[str]) -> list[str]:
    return [f"{name}: {cell}" if name and cell else cell for name, cell in zip(names, cells, strict=True)]


def _guess_heads(grid: Rows) -> int:
    if len(grid) < 2 or not _names_columns(grid[0], grid[1:]):
        return 0
    spans = any(first and first == second for first, second in pairwise(grid[0]))
    return 2 if spans and len(grid) > 2 else 1


def _names_columns(head: list[str], body: Rows) -> bool:
    """Whether a first row names the columns of the rows below it."""
    named = sum(map(bool, head))
    if len(head) < 2 or named < _MIN_NAMED * len(head) or any(width(cell) > _MAX_HEAD_WIDTH for cell in head):
        return False
    numbers = [int(cell) for cell in head if cell.isdecimal() and len(cell) < 6]
    counts_up = len(numbers) > 1 and {abs(second - first) for first, second in pairwise(numbers)} == {1}
    alike = differs = 0
    for cell, column in zip(head, zip(*body, strict=True), strict=True):
        usual, share = _usual_shape(column)
        shape = _shape(cell)
        alike += not counts_up and (shape == "0" or (shape == usual and shape != "a"))
        differs += "a" != usual != shape and share >= _ALIKE
    if alike and alike >= differs:
        return False
    return len(head) > 2 or (differs > 0 and len(body) > 1)


def _usual_shape(column: Sequence[str]) -> tuple[str, float]:
    """The most frequent shape in a column, and its share of the cells that are filled.

    Chinese numerals are numbers here, but not in a head: "一季度" names a quarter.
    """
    shapes = Counter(_shape(_NUMERAL.sub("0", cell)) for cell in column if cell)
    if not shapes:
        return "a", 0.0
    shape, count = shapes.most_common(1)[0]
    return shape, count / shapes.total()


def _shape(cell: str) -> str:
    """What a cell looks like: "12 kg" and "1,400 kg" are "0a", "Bergen" is "a", "Q1" is "a0"."""
    if _YEAR.fullmatch(cell):
        return "year"
    return "".join(_LETTERS.sub("a", _NUMBER.sub("0", cell)).split())
