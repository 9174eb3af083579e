"""Tables as comma-separated values (RFC 4180), also by semicolons: recognized by their records, which are all alike."""

import csv
import io
import re
from collections import Counter

_SAMPLE_CHARACTERS = 1 << 16
_ALIKE = 0.95
_HINT = re.compile(r"sep=([,;])\r?\n")
_SENTENCE_END = tuple(".!?:。！？：")
_LARGE_FIGURE = re.compile(r"[^,]*\d,\d{3}\b[^,]*")


def read(text: str) -> list[list[str]] | None:
    """The records of a table; `None` if the text is none."""
    if hint := _HINT.match(text):
        return _records(text[hint.end() :], hint[1])
    sample = text[:_SAMPLE_CHARACTERS]
    for delimiter in ",;":
        rows = _records(sample, delimiter)
        if _is_table(rows if sample == text else rows[:-1]) and not _has_only_figures(sample, delimiter):
            return _records(text, delimiter)
    return None


def count_heads(records: list[list[str]]) -> int | None:
    """How many of the first records are heads, which is what a table begins with unless it looks otherwise."""
    return None if any(map(str.isdecimal, "".join(records[0]))) else 1


def _records(text: str, delimiter: str) -> list[list[str]]:
    csv.field_size_limit(len(text) + 1)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    return [row for row in rows if any(map(str.strip, row))]


def _is_table(rows: list[list[str]]) -> bool:
    """Whether there are records of one length, and no signs of prose: a space after commas, ends of sentences."""
    if len(rows) < 2:
        return False
    length, count = Counter(map(len, rows)).most_common(1)[0]
    cells = [cell for row in rows for cell in row[1:]]
    is_spaced = 2 * sum(cell.startswith(" ") for cell in cells) > len(cells)
    are_sentences = 2 * sum(row[-1].rstrip().endswith(_SENTENCE_END) for row in rows) > len(rows)
    return length > 1 and count >= _ALIKE * len(rows) and not is_spaced and not are_sentences


def _has_only_figures(text: str, delimiter: str) -> bool:
    """Whether the only comma of each line stands within a number: "48,200 books"."""
    return delimiter == "," and all(_LARGE_FIGURE.fullmatch(line) for line in text.splitlines() if line.strip())
