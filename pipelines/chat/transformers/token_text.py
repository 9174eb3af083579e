"""Streaming detokenization: whole characters only, and no part of a stop string."""

from collections.abc import Callable, Sequence

_CUT = "\ufffd"
MAX_CUT = 16  # no character cut off by the last token becomes this many U+FFFD: more of them are not text
MAX_TOKENS = 64  # decoded together: bytes that never become a character are shown after these


class TokenText:
    """The text of one answer.

    Args:
        decode: tokens to text; an incomplete character becomes U+FFFD.
        stop: the text ends before the first of these strings.
    """

    def __init__(self, decode: Callable[[list[int]], str], stop: Sequence[str] = ()) -> None:
        self._decode = decode
        self._stop = tuple(filter(None, stop))
        self._tokens: list[int] = []  # from the last but one whole character on
        self._whole = 0  # how many of them precede the last whole character
        self._known = 0  # how many characters of their text were returned or held
        self._held = ""
        self.stopped = False

    def push(self, token: int) -> str:
        """The text that one more token completes; "" while a character or a stop string may still continue."""
        self._tokens.append(token)
        self._held += self._new_text()
        found = [at for stop in self._stop if (at := self._held.find(stop)) >= 0]
        if found:
            self.stopped = True
            return self._release(min(found))
        return self._release(len(self._held) - self._begun_stop())

    def finish(self) -> str:
        """The text held back, once no token follows; an incomplete character is dropped."""
        return self._release(len(self._held))

    def _new_text(self) -> str:
        # Tokens are decoded together with some before them: alone, a word would lose the space in front of it.
        text = self._decode(self._tokens)
        is_whole = not text.endswith(_CUT) or len(self._tokens) > MAX_TOKENS
        end = len(text) if is_whole else max(len(text.rstrip(_CUT)), len(text) - MAX_CUT)
        new = text[self._known : end]
        self._known = max(self._known, end)
        if is_whole and new:
            self._tokens = self._tokens[self._whole :]
            self._whole = len(self._tokens)
            self._known = len(self._decode(self._tokens))
        return new

    def _begun_stop(self) -> int:
        """How many of the last characters may begin a stop string."""
        size = min(max(map(len, self._stop), default=1) - 1, len(self._held))
        return next((n for n in range(size, 0, -1) if any(s.startswith(self._held[-n:]) for s in self._stop)), 0)

    def _release(self, end: int) -> str:
        text, self._held = self._held[:end], self._held[end:]
        return text
