"""How long-running work reports its progress, and learns that its caller has left."""

from typing import Protocol


class Progress(Protocol):
    """Called by an engine between frames, tiles, steps or segments.

    Args:
        fraction: part done, 0 to 1; `None` if the total is not known.
        stage: what is being done, in a word or two ("tracking", "encoding").

    Raises:
        Cancelled: the caller has left. The engine lets it pass and leaves nothing behind.
    """

    def __call__(self, fraction: float | None, stage: str, /) -> None:
        """Report, and stop if nobody is waiting."""


def no_progress(fraction: float | None, stage: str, /) -> None:
    """Progress that nobody watches or cancels."""
