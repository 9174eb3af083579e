"""How long work tells how far it is, and learns that nobody waits for it any more."""

from typing import Protocol


class Progress(Protocol):
    """Called by an engine between frames, tiles, steps or segments.

    Args:
        fraction: part done, 0 to 1; `None` where the total is not known.
        stage: what is being done, in a word or two ("tracking", "encoding").

    Raises:
        Cancelled: the caller went away. The engine lets it pass through and leaves nothing behind.
    """

    def __call__(self, fraction: float | None, stage: str, /) -> None:
        """Report, and stop if nobody waits."""


def no_progress(fraction: float | None, stage: str, /) -> None:
    """Progress that nobody watches and nobody cancels."""
