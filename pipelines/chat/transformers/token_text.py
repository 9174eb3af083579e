"""Tokens to text while they are made: whole characters only, nothing of a stop string."""

from collections.abc import Callable, Sequence

_CUT = "\ufffd"
_MOST_CUT = 16  # a character cut off by the end of the tokens is never this many; more is no text at all
_MOST_TOKENS = 64


class TokenText:
    """The text of one answer.

    Args:
        decode: some tokens to text; what is cut off in a character becomes U+FFFD.
        stop: the text ends before the first of these.
    """

    def __init__(self, decode: Callable[[list[int]], str], stop: Sequence[str] = ()) -> None:
        self._decode = decode
        self._stop = tuple(filter(None, stop))
        self._tokens: list[int] = []  # those after the whole character before the last, and those since
        self._whole = 0  # how many of them came before the last whole character
        self._known = 0  # how many characters of their text are known
        self._held = ""
        self.stopped = False

    def push(self, token: int) -> str:
        """What one more token makes known; "" while a character or a stop string may yet go on."""
        self._tokens.append(token)
        self._held += self._new_text()
        found = [at for stop in self._stop if (at := self._held.find(stop)) >= 0]
        if found:
            self.stopped = True
            return self._release(min(found))
        return self._release(len(self._held) - self._begun())

    def finish(self) -> str:
        """What was held back, once no token follows; half a character is dropped."""
        return self._release(len(self._held))

    def _new_text(self) -> str:
        # Tokens are decoded together with some that came before: alone, a word would lose the space before it.
        text = self._decode(self._tokens)
        is_whole = not text.endswith(_CUT) or len(self._tokens) > _MOST_TOKENS
        end = len(text) if is_whole else max(len(text.rstrip(_CUT)), len(text) - _MOST_CUT)
        new = text[self._known : end]
        self._known = max(self._known, end)
        if is_whole and new:
            self._tokens = self._tokens[self._whole :]
            self._whole = len(self._tokens)
            self._known = len(self._decode(self._tokens))
        return new

    def _begun(self) -> int:
        """How many of the last characters may be the beginning of a stop string."""
        longest = min(max(map(len, self._stop), default=1) - 1, len(self._held))
        return next((n for n in range(longest, 0, -1) if any(s.startswith(self._held[-n:]) for s in self._stop)), 0)

    def _release(self, end: int) -> str:
        text, self._held = self._held[:end], self._held[end:]
        return text
