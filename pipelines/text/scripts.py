"""Which scripts are written without spaces, and what follows from it.

`HAN` and `UNSPACED` are what stands inside a character class of `regex` (Apache-2.0), which unlike `re` knows the
properties of Unicode:

regex.compile(rf"[{UNSPACED}]{{2,}}")
"""

import regex

HAN = r"\p{Han}"
"""Chinese characters, including those that Japanese and Korean borrow."""

UNSPACED = r"\p{East_Asian_Width=Wide}\p{East_Asian_Width=Fullwidth}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
"""Characters between which no space is written, their punctuation included: Chinese, Japanese, Thai and the like.

Korean is among them: it has spaces, but its words take endings, so that they too are best compared by characters.
"""

_UNSPACED = regex.compile(f"[{UNSPACED}]")
_LETTER = regex.compile(r"\p{L}")
_LATIN_LETTER = regex.compile(r"\p{Latin}")


def is_unspaced(character: str) -> bool:
    """Whether the character is one of `UNSPACED`."""
    return _UNSPACED.match(character) is not None


def is_latin(text: str) -> bool:
    """Whether at least half of the text's letters are Latin; False if it has none."""
    letters = len(_LETTER.findall(text))
    return letters > 0 and 2 * len(_LATIN_LETTER.findall(text)) >= letters


def width(text: str) -> int:
    """Columns of the text in a fixed-width font: two for a wide character."""
    return len(text) + len(_UNSPACED.findall(text))


def join(first: str, second: str) -> str:
    """Two pieces of running text as one, with a space between them unless their script is written without."""
    if not first or not second:
        return first or second
    return first + ("" if is_unspaced(first[-1]) or is_unspaced(second[0]) else " ") + second
