"""The one file of a multipart form (RFC 7578), written through to the object store as it comes.

A form may also hold a small second file, as the mask of an image, which is kept in memory. Parsed by `multipart` (MIT).
What a file is, only its bytes say: this module looks at none of them.
"""

import hashlib
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, suppress
from dataclasses import dataclass
from urllib.parse import unquote

from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from deployments.storage import ObjectStore
from pipelines.contracts.errors import InputTooLarge, InvalidInput, UnusableMedia

HEAD_BYTES = 8192
"""How much of the file's start is handed back."""

MAX_OVERHEAD_BYTES = 64 * 1024
"""All that a form may hold besides the file: other fields, headers, boundaries, what precedes and follows them."""

MAX_SECOND_FILE_BYTES = 4_000_000
"""Of the small second file."""

MAX_PARTS = 100
MAX_HEADERS = 16
MAX_HEADER_BYTES = 8192
MAX_NAME = 255

_BOUNDARY = re.compile(r"[ -~]{1,200}")
_EXTENDED_NAME = re.compile(  # RFC 5987 and its two character sets; not inside a quoted value
    r"""(?:"(?:\\.|[^"\\])*+"|[^"])*?;\s*filename\*\s*=\s*"?(utf-8|iso-8859-1)'[^'"]*'([^;"\s]*)""", re.IGNORECASE
)
_HAN = re.compile(r"[\u4e00-\u9fff]")
_HAN_RUN = re.compile(r"[\u4e00-\u9fff]{2}")
_LETTER_AND_HAN = re.compile(r"[A-Za-z][\u4e00-\u9fff]|[\u4e00-\u9fff][A-Za-z]")
_LEVEL_1 = b"\xb0\xa1", b"\xd7\xf9"
"""The 3,755 most frequent characters of GB 2312, in the order of pinyin."""
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True)
class Received:
    """What came with a form.

    Attributes:
        name: the file's name without folders, up to 255 characters; empty if none was given.
        size: its bytes, at least 1.
        head: the first 8 KiB of them.
        sha256: of all of them, in hex.
        fields: the other fields, as text; the last of those with one name.
        second: the bytes of the second file; empty if there is none.
    """

    name: str
    size: int
    head: bytes
    sha256: str
    fields: dict[str, str]
    second: bytes = b""


async def receive_file(
    stream: AsyncIterator[bytes],
    content_type_header: str,
    *,
    field: str,
    second_field: str = "",
    store: ObjectStore,
    key: str,
    max_bytes: int,
) -> Received:
    """Find the part named `field` in a form, and write its bytes to the store while they come.

    On any error, and if the caller is cancelled, no object is left.

    Args:
        stream: the body, in chunks of any size; the next one is read once the last one is written.
        content_type_header: its type, with the boundary.
        field: name of the part, which may be written as a list of one (`image[]`); a part without a file name is
            accepted too.
        second_field: name of the part of the second file, if the form may have one.
        store: where to.
        key: under which key.
        max_bytes: cap of the file itself.

    Raises:
        InvalidInput: not a multipart form, a damaged or truncated one, too many parts, `field` missing or repeated.
        InputTooLarge: more than `max_bytes` in the file, `MAX_SECOND_FILE_BYTES` in the second one, or
            `MAX_OVERHEAD_BYTES` besides them.
        UnusableMedia: the file is empty.
        StorageFull, Overloaded: see `ObjectStore.put_stream`.
    """
    form = _Form(_boundary(content_type_header), field, second_field)

    async def bytes_of_file() -> AsyncGenerator[bytes, None]:
        async for chunk in stream:
            for piece in form.feed(chunk):
                yield piece
        form.finish()

    async with aclosing(bytes_of_file()) as chunks:
        size = await store.put_stream(key, chunks, max_bytes=max_bytes, content_type="application/octet-stream")
    return Received(form.name, size, bytes(form.head), form.digest.hexdigest(), form.fields, bytes(form.second))


class _Form:
    """A form being parsed: takes chunks of its body, gives the bytes of its file."""

    def __init__(self, boundary: str, field: str, second_field: str) -> None:
        self.name = ""
        self.head = bytearray()
        self.digest = hashlib.sha256()
        self.fields: dict[str, str] = {}
        self.second = bytearray()
        self._field = field
        self._second_field = second_field
        self._delimiter = f"--{boundary}".encode()
        self._opening = b""
        self._parser = PushMultipartParser(
            boundary, header_charset="latin-1", max_header_count=MAX_HEADERS, max_header_size=MAX_HEADER_BYTES
        )
        self._parts = 0
        self._overhead = 0
        self._found = False
        self._part_name = ""
        self._text = bytearray()

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Parse the next chunk of the body; gives what it holds of the file."""
        if not chunk:
            return
        self._check_opening(chunk)
        self._overhead += len(chunk)
        try:
            for event in self._parser.parse(chunk):
                if isinstance(event, MultipartSegment):
                    self._begin_part(event)
                elif event is None:
                    self._end_part()
                elif self._part_name == self._field:
                    self._overhead -= len(event)
                    self.digest.update(event)
                    self.head += event[: HEAD_BYTES - len(self.head)]
                    yield event
                elif self._part_name == self._second_field:
                    self._overhead -= len(event)
                    self._keep_second(event)
                else:
                    self._text += event
        except MultipartError as error:
            raise InvalidInput("The body is not a well-formed multipart/form-data form.") from error
        if self._overhead > MAX_OVERHEAD_BYTES:
            raise InputTooLarge(f"The form exceeds {MAX_OVERHEAD_BYTES:,} bytes besides its file.")

    def finish(self) -> None:
        """Check that the form is complete."""
        try:
            self._parser.close()
        except MultipartError as error:
            raise InvalidInput("The body is truncated: the form's closing boundary is missing.") from error
        if not self._found:
            raise InvalidInput(f"The form has no field {self._field!r}: send the file under that name.", self._field)
        if not self.head:
            raise UnusableMedia("The file is empty.")

    def _check_opening(self, chunk: bytes) -> None:
        """A form begins with its boundary; the parser would skip any text in front of it."""
        if len(self._opening) < len(self._delimiter):
            self._opening = (self._opening + chunk).lstrip(b"\r\n")[: len(self._delimiter)]
            if not self._delimiter.startswith(self._opening):
                raise InvalidInput("The body is not a well-formed multipart/form-data form.")

    def _keep_second(self, data: bytes | bytearray) -> None:
        self.second += data
        if len(self.second) > MAX_SECOND_FILE_BYTES:
            raise InputTooLarge(f"The {self._second_field} exceeds {MAX_SECOND_FILE_BYTES:,} bytes.")

    def _begin_part(self, part: MultipartSegment) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise InvalidInput(f"The form has more than {MAX_PARTS} parts.")
        self._part_name = _decoded(part.name)
        if not self._part_name:
            raise InvalidInput("A part of the form has no name.")
        self._text.clear()
        if self._part_name == self._second_field:
            self.second.clear()
        if self._part_name.removesuffix("[]") == self._field:
            self._part_name = self._field
            if self._found:
                raise InvalidInput(f"The form has the field {self._field!r} twice: send one file.", self._field)
            self._found = True
            self.name = _file_name(part)

    def _end_part(self) -> None:
        if self._part_name not in (self._field, self._second_field):
            self.fields[self._part_name] = self._text.decode(errors="replace")


def _boundary(content_type: str) -> str:
    kind, options = parse_options_header(content_type)
    boundary: str = options.get("boundary", "")
    if kind != "multipart/form-data" or not _BOUNDARY.fullmatch(boundary):
        raise InvalidInput("Send the file as a multipart/form-data form, with its boundary in Content-Type.")
    return boundary


def _decoded(latin1: str) -> str:
    """A header's text: browsers and curl send raw UTF-8, old clients the code page of their system."""
    raw = latin1.encode("latin-1")
    with suppress(UnicodeDecodeError):
        return raw.decode()
    with suppress(UnicodeDecodeError):
        chinese = raw.decode("gb18030")
        if _is_chinese(chinese, latin1):
            return chinese
    with suppress(UnicodeDecodeError):
        return raw.decode("cp1252")
    return latin1


def _is_chinese(name: str, latin1: str) -> bool:
    """Whether a name that GB18030 can read is meant so, and not in Latin letters: "Prüfung" reads as "Pr黤ung" there.

    Latin letters beyond ASCII stand one or two at a time between others, and read as rare characters.
    """
    characters = _HAN.findall(name)
    are_letters = all(character.isalpha() for character in latin1 if character > "\x7f")
    is_latin = are_letters and not _HAN_RUN.search(name) and _LETTER_AND_HAN.search(name)
    frequent = sum(_LEVEL_1[0] <= character.encode("gb18030") <= _LEVEL_1[1] for character in characters)
    return not is_latin and 2 * frequent >= max(len(characters), 1)


def _file_name(part: MultipartSegment) -> str:
    """The name that the client gave (RFC 6266: the extended one first), safe to display, and never a path."""
    extended = _EXTENDED_NAME.match(part["Content-Disposition"])
    name = unquote(extended[2], extended[1]) if extended else _decoded(part.filename or "")
    name = _UNPRINTABLE.sub("", re.split(r"[/\\]", name)[-1]).strip()[:MAX_NAME]
    return "" if name in (".", "..") else name
