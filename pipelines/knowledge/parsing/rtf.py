"""Rich Text Format (RTF 1.9.1): paragraphs, headings, lists and tables in document order.

Text is in the code page of its font unless it is Unicode. What is deleted or hidden is left out, and so are fields'
codes. Text boxes, footnotes, comments, headers and footers come after the text. The format has neither pages nor
encryption.
"""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

from pipelines.contracts.errors import UnusableMedia
from pipelines.knowledge.parsing import tables
from pipelines.knowledge.parsing.documents import DAMAGED, Parsed, ReadLimits
from pipelines.knowledge.parsing.layout import is_page_number

_TOKEN = re.compile(
    rb"\\([a-zA-Z]{1,32})(-?\d{1,10})? ?|\\'([0-9a-fA-F]{2})|\\([^a-zA-Z])|([{}])|([^\\{}\r\n]+)|[\r\n]+", re.DOTALL
)
_CHARSETS = {
    77: "mac_roman", 128: "cp932", 129: "cp949", 130: "johab", 134: "gb18030", 136: "cp950", 161: "cp1253",
    162: "cp1254", 163: "cp1258", 177: "cp1255", 178: "cp1256", 186: "cp1257", 204: "cp1251",
    222: "cp874", 238: "cp1250",
}  # fmt: skip
_CHARACTERS = {
    "tab": "\t", "line": "\n", "emdash": "—", "endash": "–", "emspace": " ", "enspace": " ", "lquote": "‘",
    "rquote": "’", "ldblquote": "“", "rdblquote": "”", "bullet": "•", "nestcell": " ", "nestrow": "; ",
}  # fmt: skip
_SYMBOLS = {"~": " ", "_": "-", "\\": "\\", "{": "{", "}": "}"}
_ASIDE = {
    "footnote",
    "annotation",
    "header",
    "headerl",
    "headerr",
    "headerf",
    "footer",
    "footerl",
    "footerr",
    "footerf",
    "shptxt",
}
_ENTERED = {"shpinst", "fldrslt", "result"}
_SKIPPED = {
    "colortbl", "info", "pict", "fldinst", "sp", "shprslt", "nonesttables", "stylesheet", "fonttbl", "xe", "tc", "rxe",
    "listtext", "pntext", "objdata", "template", "revtbl", "filetbl",
}  # fmt: skip


@dataclass(frozen=True)
class _State:
    """What a group inherits from the one around it and what ends with it."""

    target: str = "body"  # "body", "aside", or the name of a destination whose text is not part of the document
    codec: str = ""
    fallbacks: int = 1  # characters that stand for one of Unicode, for programs that know none
    is_hidden: bool = False
    may_skip: bool = False  # after \*: an unknown destination is left out


class _Flow:
    """Text that is read in one go: the body, or what stands beside it."""

    def __init__(self) -> None:
        self.blocks: list[tuple[str, str]] = []
        self.text: list[str] = []
        self.kind = "text"
        self.is_item = False
        self.is_in_table = False
        self.is_head_row = False
        self._cells: list[str] = []
        self._rows: list[list[str]] = []
        self._heads = 0

    def end_cell(self) -> None:
        self._cells.append(self._take())

    def end_row(self) -> None:
        self._heads += self.is_head_row and self._heads == len(self._rows)
        self._rows.append(self._cells)
        self._cells = []
        self.is_head_row = False

    def end_paragraph(self) -> None:
        if self.is_in_table:
            self.text.append("\n")
            return
        self.end_table()
        if text := self._take().strip():
            self.blocks.append((self.kind, f"- {text}" if self.is_item and self.kind == "text" else text))
        self.is_item = False

    def end_table(self) -> None:
        self.blocks += (("row", line) for line in tables.lines(self._rows, self._heads or None))
        self._rows, self._heads = [], 0

    def _take(self) -> str:
        # Characters beyond 16 bits come as two halves.
        text = "".join(self.text).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        self.text.clear()
        return text


def parse(file: BinaryIO, limits: ReadLimits) -> Iterator[Parsed]:
    """The one page of an RTF file, and what it holds that is not read.

    Raises:
        UnusableMedia: it ends before its text does.
    """
    reader = _Reader()
    reader.read(file.read())
    body = reader.body.blocks
    yield None, [*body, *(one for one in dict.fromkeys(reader.aside.blocks) if not is_page_number(one[1]))]
    yield from reader.unread


class _Reader:
    def __init__(self) -> None:
        self.body, self.aside = _Flow(), _Flow()
        self.unread: list[str] = []
        self._state = _State()
        self._stack: list[_State] = []
        self._codec = "cp1252"
        self._codecs: dict[int, str] = {}  # by font
        self._headings: set[int] = set()  # styles
        self._font = self._style = 0
        self._bytes = bytearray()
        self._fallbacks = 0

    def read(self, data: bytes) -> None:
        position = 0
        while position < len(data) and (token := _TOKEN.match(data, position)):
            position = token.end()
            word, number, code, symbol, brace, text = token.groups()
            if code:
                self._add_bytes(bytes.fromhex(code.decode()))
            elif text:
                self._add_bytes(text)
            elif word == b"bin":
                position += max(int(number or 0), 0)
            elif word:
                self._control(word.decode().lower(), None if number is None else int(number))
            elif symbol:
                self._symbol(symbol.decode("latin-1"))
            elif brace and not self._brace(brace):
                break
        if self._stack:
            raise UnusableMedia(f"{DAMAGED[:-1]}: its end is missing.")
        for flow in (self.body, self.aside):
            flow.is_in_table = False
            flow.end_paragraph()

    @property
    def _flow(self) -> _Flow | None:
        if self._state.is_hidden:
            return None
        return {"body": self.body, "aside": self.aside}.get(self._state.target)

    def _add_bytes(self, data: bytes) -> None:
        kept = data[self._fallbacks :]
        self._fallbacks -= len(data) - len(kept)
        self._bytes += kept

    def _add(self, text: str) -> None:
        self._flush()
        if self._flow:
            self._flow.text.append(text)

    def _flush(self) -> None:
        """Decode the bytes that have come; two of them may make one character."""
        text = self._bytes.decode(self._state.codec or self._codec, "replace")
        self._bytes.clear()
        if self._state.target == "stylesheet" and text.lower().startswith(("heading", "title")):
            self._headings.add(self._style)
        elif text and self._flow:
            self._flow.text.append(text)

    def _brace(self, brace: bytes) -> bool:
        """Begin or end a group; False once the document has ended."""
        self._flush()
        self._fallbacks = 0
        if brace == b"{":
            self._stack.append(self._state)
            self._style = 0
            return True
        ended = self._state
        self._state = self._stack.pop() if self._stack else ended
        if ended.target == "aside" != self._state.target:
            self.aside.is_in_table = False
            self.aside.end_paragraph()
        return bool(self._stack)

    def _symbol(self, symbol: str) -> None:
        if symbol == "*":
            self._state = replace(self._state, may_skip=True)
        elif symbol in _SYMBOLS:
            self._add(_SYMBOLS[symbol])
        elif symbol in "\r\n":
            self._control("par", None)

    def _control(self, word: str, number: int | None) -> None:
        if word == "u" and number is not None:
            self._add(chr(number % 0x10000))
            self._fallbacks = self._state.fallbacks
            return
        self._flush()
        self._fallbacks = 0
        if word in _CHARACTERS:
            self._add(_CHARACTERS[word])
        elif word in _ASIDE or word in _SKIPPED or word in _ENTERED or self._state.may_skip:
            self._enter(word)
        elif self._flow:
            self._layout(self._flow, word, number)
        self._format(word, number)

    def _enter(self, word: str) -> None:
        """Begin a destination."""
        if word == "pict" and self._flow:
            self.unread.append("picture")
        elif word == "objdata" and self._flow:
            self.unread.append("embedded file")
        elif word in {"listtext", "pntext"} and self._flow:
            self._flow.is_item = True
        target = self._state.target
        if word in _ASIDE:
            target = "aside" if self._flow else target
        elif word not in _ENTERED:
            target = word
        self._state = replace(self._state, target=target, may_skip=False)

    def _layout(self, flow: _Flow, word: str, number: int | None) -> None:
        """Paragraphs, rows and what they are."""
        match word:
            case "par" | "sect" | "page":
                flow.end_paragraph()
            case "cell":
                flow.end_cell()
            case "row":
                flow.end_row()
            case "pard":
                flow.kind, flow.is_item, flow.is_in_table = "text", False, False
            case "intbl":
                flow.is_in_table = True
            case "trhdr":
                flow.is_head_row = True
            case "outlinelevel" if number != 9:  # which is running text
                flow.kind = "heading"
            case "s" if number in self._headings:
                flow.kind = "heading"

    def _format(self, word: str, number: int | None) -> None:
        """How what follows is encoded, and whether it shows."""
        value = number or 0
        match word:
            case "ansicpg":
                self._codec = _known(f"cp{value}")
            case "f" if self._state.target == "fonttbl":
                self._font = value
            case "f":
                self._state = replace(self._state, codec=self._codecs.get(value, ""))
            case "fcharset" if value in _CHARSETS:
                self._codecs[self._font] = _CHARSETS[value]
            case "s" if self._state.target == "stylesheet":
                self._style = value
            case "outlinelevel" if self._state.target == "stylesheet" and value != 9:
                self._headings.add(self._style)
            case "uc":
                self._state = replace(self._state, fallbacks=value)
            case "v" | "deleted":
                self._state = replace(self._state, is_hidden=number != 0)
            case "plain":
                self._state = replace(self._state, is_hidden=False, codec="")


def _known(codec: str) -> str:
    try:
        codecs.lookup(codec)
    except LookupError:
        return "cp1252"
    return "gb18030" if codec == "cp936" else codec
