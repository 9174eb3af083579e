"""Text from bytes: UTF-8, UTF-16 and UTF-32 with or without a mark, Chinese, Japanese, Korean and Latin code pages.

No file says what its legacy encoding is: charset-normalizer judges how much each reading looks like a language. A few
words can fit two encodings equally; then the one higher in `_LEGACY` wins.
"""

import codecs
import re

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_WIDE = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
_LEGACY = ("gb18030", "big5", "cp1252", "cp932", "euc_jp", "cp949", "cp1251", "koi8_r", "cp1250", "cp1253", "cp1254")
_CONTROL = r"[\x00-\x08\x0e-\x19\x1c-\x1f\x7f]"
_CONTROL_BYTE = re.compile(_CONTROL.encode())
_CONTROL_CHARACTER = re.compile(_CONTROL)
_ORDINARY = re.compile(
    r"[\t\n\r\x20-\x7e\u00a0-\u024f\u0370-\u06ff\u0900-\u097f\u0e00-\u0e7f\u2010-\u2027\u3000-\u30ff\u4e00-\u9fff"
    r"\uac00-\ud7a3\uff00-\uff65]"
)
_FREQUENT = re.compile(r"[\t\n\r\x20-\x7e\u3001\u3002\uff0c]")
_SAMPLE_BYTES = 1 << 16
_MAX_CONTROL_SHARE = 0.01
_MIN_ORDINARY_SHARE = 0.95
_GOOD_PER_BAD = 10


def has_no_controls(head: bytes) -> bool:
    """Whether bytes hold none that text never has: then they are text, whatever word they begin with."""
    return _CONTROL_BYTE.search(head) is None


def is_text(head: bytes) -> bool:
    """Whether the first bytes of a file may be those of a text."""
    controls = len(_CONTROL_BYTE.findall(head))
    return (
        controls <= _MAX_CONTROL_SHARE * len(head)
        or any(head.startswith(mark) for mark, _ in _MARKS)
        or _wide_encoding(head) is not None
    )


def decode(data: bytes) -> str | None:
    """The text of a whole file; `None` if the bytes are not text."""
    encoding, start = _encoding(data)
    if encoding is None:
        return None
    text = data[start:].decode(encoding, errors="replace")
    is_binary = len(_CONTROL_CHARACTER.findall(text)) > _MAX_CONTROL_SHARE * len(text)
    return None if is_binary else text


def _encoding(data: bytes) -> tuple[str | None, int]:
    """The encoding, and where the text begins."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return encoding, len(mark)
    if not has_no_controls(data[:_SAMPLE_BYTES]) and (wide := _wide_encoding(data[:_SAMPLE_BYTES])):
        return wide, 0
    return "utf-8" if _is_utf8(data) else _legacy_encoding(data), 0


def _wide_encoding(sample: bytes) -> str | None:
    """UTF-16 or UTF-32 without a mark: half or more of Latin text is NUL bytes, on one side or the other."""
    best, most = None, -1
    for encoding in _WIDE:
        text = sample.decode(encoding, errors="ignore")
        frequent = len(_FREQUENT.findall(text))
        if text and len(_ORDINARY.findall(text)) >= _MIN_ORDINARY_SHARE * len(text) and frequent > most:
            best, most = encoding, frequent
    return best


def _is_utf8(data: bytes) -> bool:
    """Whether it is UTF-8, even if cut within a character or with a byte gone wrong."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("utf-8", errors="replace")
        bad = text.count("\ufffd")
        good = sum(character > "\x7f" for character in text) - bad
        return good >= _GOOD_PER_BAD * bad
    return True


def _legacy_encoding(data: bytes) -> str | None:
    from charset_normalizer import from_bytes

    matches = list(from_bytes(data, cp_isolation=list(_LEGACY)))
    if not matches:
        return None
    best = matches[0]
    ties = {
        encoding
        for match in matches
        if match.chaos <= best.chaos + 0.03 and match.coherence >= best.coherence
        for encoding in match.could_be_from_charset
    }
    return next((encoding for encoding in _LEGACY if encoding in ties), best.encoding)
