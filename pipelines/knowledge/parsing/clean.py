"""Text as people mean it, whatever a file contains."""

import re
import unicodedata

from pipelines.text.scripts import join

_SPACES = re.compile(r"[^\S\n]+")
_INVISIBLE = dict.fromkeys(
    [code for code in range(0x20) if chr(code) not in "\t\n"]
    + [*range(0x7F, 0xA0), 0xAD, 0x200B, 0x200E, 0x200F, *range(0x202A, 0x202F), 0x2060, 0xFEFF, 0xFFFD, 0xFFFE, 0xFFFF]
    + [*range(0xD800, 0xE000)]
)
_LIGATURES = str.maketrans({"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"})


def clean(text: str) -> str:
    """NFC, one kind of space, ligatures spelled out, no control, direction or zero-width characters."""
    visible = text.translate(_INVISIBLE | _LIGATURES)
    return _SPACES.sub(" ", unicodedata.normalize("NFC", visible)).strip()


def join_lines(first: str, second: str) -> str:
    """Two lines of one paragraph: a hyphenated word is made whole, no space between Chinese characters."""
    if first.endswith(("-", "‐", "\u00ad")) and first[-2:-1].isalpha() and second[:1].islower():
        return first[:-1] + second
    return join(first, second)
