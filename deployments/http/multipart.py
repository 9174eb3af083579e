"""The one file of a multipart form (RFC 7578), written through to the object store as it comes.

Parsed by `python-multipart`. What the file is, its bytes must tell: this module looks at none of them.
"""

import hashlib
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from deployments.storage import ObjectStore
from pipelines.contracts.errors import InputTooLarge, InvalidInput, UnusableMedia

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

HEAD_BYTES = 8192
"""How much of the file's start is handed back."""

OVERHEAD_BYTES = 64 * 1024
"""All that a form may hold beside the file: other fields, headers, boundaries, what stands before and after."""

MAX_PARTS = 100
MAX_HEADERS = 16
MAX_HEADER_BYTES = 8192
MAX_NAME = 255

_BOUNDARY = re.compile(rb"[ -~]{1,200}")
_DISPOSITION = re.compile(r"form-data\s*(;.*)?", re.IGNORECASE | re.DOTALL)
_PARAMETER = re.compile(r""";\s*([\w!#$%&'*+.^`|~-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;"]*))""", re.ASCII | re.DOTALL)
_EXTENDED = re.compile(r"(utf-8|iso-8859-1)'[^']*'(.*)", re.IGNORECASE)  # RFC 5987: these two character sets
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True)
class Received:
    """What came with a form.

    Attributes:
        name: the file's name without folders, up to 255 characters; empty where none was given.
        size: its bytes, at least 1.
        head: the first 8 KiB of them.
        sha256: of all of them, in hex.
        fields: the other fields, as text; the last of those with one name.
    """

    name: str
    size: int
    head: bytes
    sha256: str
    fields: dict[str, str]


async def receive_file(
    stream: AsyncIterator[bytes], content_type_header: str, *, field: str, store: ObjectStore, key: str, max_bytes: int
) -> Received:
    """Find the part named `field` in a form, and write its bytes to the store while they come.

    Whatever goes wrong, and when the caller is cancelled, no object is left.

    Args:
        stream: the body, in pieces of any size; no more is asked of it before a piece is written.
        content_type_header: its type, with the boundary.
        field: name of the part; a part without a file name is taken as well.
        store: where to.
        key: under which key.
        max_bytes: cap of the file itself.

    Raises:
        InvalidInput: no multipart form, a damaged or cut-off one, too many parts, `field` missing or there twice.
        InputTooLarge: more than `max_bytes` in the file, or than `OVERHEAD_BYTES` beside it.
        UnusableMedia: the file is empty.
        StorageFull, Overloaded: see `ObjectStore.put_stream`.
    """
    form = _Form(_boundary(content_type_header), field)

    async def bytes_of_file() -> AsyncGenerator[bytes, None]:
        async for chunk in stream:
            for piece in form.feed(chunk):
                yield piece
        form.finish()

    async with aclosing(bytes_of_file()) as chunks:
        size = await store.put_stream(key, chunks, max_bytes=max_bytes, content_type="application/octet-stream")
    return Received(form.name, size, bytes(form.head), form.digest.hexdigest(), form.fields)


class _Form:
    """A form being parsed: takes its bytes, gives those of the file."""

    def __init__(self, boundary: bytes, field: str) -> None:
        self.name = ""
        self.head = bytearray()
        self.digest = hashlib.sha256()
        self.fields: dict[str, str] = {}
        self._field = field
        self._found = False
        self._ended = False
        self._parts = 0
        self._overhead = 0
        self._size = 0
        self._pieces: list[bytes] = []
        self._header_name = bytearray()
        self._header_value = bytearray()
        self._disposition: str | None = None
        self._part_name = ""
        self._in_file = False
        self._text = bytearray()
        callbacks: MultipartCallbacks = {
            "on_part_begin": self._part_begins,
            "on_header_field": lambda data, start, end: self._header_name.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._header_value.extend(data[start:end]),
            "on_header_end": self._header_ends,
            "on_headers_finished": self._headers_end,
            "on_part_data": self._part_data,
            "on_part_end": self._part_ends,
            "on_end": self._end,
        }
        self._parser = MultipartParser(
            boundary, callbacks, max_header_count=MAX_HEADERS, max_header_size=MAX_HEADER_BYTES
        )

    def feed(self, chunk: bytes) -> list[bytes]:
        """Parse a piece of the body; returns what of the file is in it."""
        self._pieces = []
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise InvalidInput("The body is not a well-formed multipart/form-data form.") from error
        found = sum(map(len, self._pieces))
        self._size += found
        self._overhead += len(chunk) - found
        if self._overhead > OVERHEAD_BYTES:
            raise InputTooLarge(f"The form holds more than {OVERHEAD_BYTES:,} bytes beside its file.")
        return self._pieces

    def finish(self) -> None:
        """Check that the form is whole."""
        if not self._ended:
            raise InvalidInput("The body is cut off: the form's closing boundary is missing.")
        if not self._found:
            raise InvalidInput(f"The form has no field {self._field!r}: send the file under that name.", self._field)
        if not self._size:
            raise UnusableMedia("The file is empty.")

    def _part_begins(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise InvalidInput(f"The form has more than {MAX_PARTS} parts.")
        self._disposition = None
        self._text.clear()

    def _header_ends(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = _decoded(self._header_value)
        self._header_name.clear()
        self._header_value.clear()

    def _headers_end(self) -> None:
        parameters = _parameters(self._disposition or "")
        if "name" not in parameters:
            raise InvalidInput("A part of the form has no name.")
        self._part_name = parameters["name"]
        self._in_file = self._part_name == self._field
        if self._in_file and self._found:
            raise InvalidInput(f"The form has the field {self._field!r} twice: send one file.", self._field)
        if self._in_file:
            self._found = True
            self.name = _file_name(parameters)

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        piece = data[start:end]
        if not self._in_file:
            self._text += piece
            return
        self.digest.update(piece)
        self.head += piece[: HEAD_BYTES - len(self.head)]
        self._pieces.append(piece)

    def _part_ends(self) -> None:
        if not self._in_file:
            self.fields[self._part_name] = self._text.decode(errors="replace")

    def _end(self) -> None:
        self._ended = True


def _boundary(content_type: str) -> bytes:
    try:
        kind, options = parse_options_header(content_type)
    except UnicodeEncodeError:
        kind, options = b"", {}
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not _BOUNDARY.fullmatch(boundary):
        raise InvalidInput("Send the file as a multipart/form-data form, with its boundary in Content-Type.")
    return boundary


def _decoded(value: bytearray) -> str:
    """Browsers and curl send raw UTF-8; old clients Latin-1."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _parameters(disposition: str) -> dict[str, str]:
    found = _DISPOSITION.fullmatch(disposition.strip())
    return {
        name.lower(): re.sub(r'\\(["\\])', r"\1", quoted) or plain.strip()
        for name, quoted, plain in _PARAMETER.findall(found[1] or "" if found else "")
    }


def _file_name(parameters: dict[str, str]) -> str:
    """The name that the client gave (RFC 6266: the extended one first), fit to be shown, and never a path."""
    extended = _EXTENDED.fullmatch(parameters.get("filename*", ""))
    name = unquote(extended[2], extended[1]) if extended else parameters.get("filename", "")
    name = _UNPRINTABLE.sub("", re.split(r"[/\\]", name)[-1]).strip()[:MAX_NAME]
    return "" if name in (".", "..") else name
