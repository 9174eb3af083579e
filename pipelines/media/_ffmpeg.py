"""FFmpeg over file objects: several readers of one file, demuxers that open no other file, clocks without jumps."""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, BinaryIO, Self

from pipelines.contracts.errors import UnusableMedia
from pipelines.media.kinds import behind_tags

if TYPE_CHECKING:
    from av.container import InputContainer

_READ_BYTES = 1 << 17
_BROADCAST = frozenset({"mpegts", "mpeg"})


class Handle:
    """One user's own position in a file that others use too.

    PyAV closes what it opens, and writes no end to a file that is `closed`: both mean the handle, never the file.
    """

    name = "media"

    def __init__(self, file: BinaryIO, start: int = 0) -> None:
        """`start` is where in the file this user's begins."""
        self._file = file
        self._start = start
        self._position = 0
        self.closed = False

    def seekable(self) -> bool:
        """Always: PyAV asks."""
        return True

    def tell(self) -> int:
        """Position in bytes."""
        return self._position

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move, as `io.IOBase.seek` does."""
        self._file.seek(self._start + self._position)
        self._position = self._file.seek(offset + (self._start if whence == 0 else 0), whence) - self._start
        return self._position

    def read(self, size: int) -> bytes:
        """Read at most `size` bytes."""
        self._file.seek(self._start + self._position)
        data = self._file.read(size)
        self._position += len(data)
        return data

    def write(self, data: bytes) -> int:
        """Write all of `data`."""
        self._file.seek(self._start + self._position)
        written = self._file.write(data)
        self._position += written
        return written

    def close(self) -> None:
        """Close this handle alone."""
        self.closed = True


def demux(file: BinaryIO, container: str, decoder_pixels: int | None = None) -> "InputContainer":
    """Open for reading, so that neither a protocol nor FFmpeg's own callback can open another file or address.

    Args:
        file: readable and seekable; stays open.
        container: FFmpeg's name of the demuxer; never left to FFmpeg to guess.
        decoder_pixels: of the largest frame that decoders may allocate.

    Raises:
        UnusableMedia: damaged, incomplete, or not this container.
    """
    import av

    options = {"protocol_whitelist": "none"}
    if decoder_pixels is not None:
        options["max_pixels"] = str(decoder_pixels)
    try:
        return av.open(
            Handle(file, behind_tags(file)),  # most demuxers know nothing of ID3
            "r",
            format=container,
            options=options,
            metadata_errors="replace",
            buffer_size=_READ_BYTES,
            io_open=_refuse,
        )
    except av.FFmpegError:
        raise UnusableMedia("The file is damaged, incomplete or mislabeled.") from None


def _refuse(url: str, flags: int, options: dict[str, str]) -> BinaryIO:
    raise UnusableMedia("The file refers to another file.")


@dataclass(frozen=True)
class ClockRules:
    """Which timestamps of a file are believed.

    Attributes:
        max_step_s: a longer step forward is damage, or a broadcast clock that was reset.
        max_step_back_s: likewise backwards; shorter ones count as no step. `None`: all do.
    """

    max_step_s: float
    max_step_back_s: float | None

    @classmethod
    def of(cls, container: str, duration_s: float | None) -> Self:
        """Broadcast streams may restart their clock; in other files no step is longer than the whole."""
        if container in _BROADCAST:
            return cls(10, 1)
        return cls(min(max(10, duration_s or math.inf), 3600), None)


class Clock:
    """Seconds of a stream's timestamps: never backwards, without jumps."""

    def __init__(self, time_base: Fraction | None, step_s: Fraction, rules: ClockRules) -> None:
        """`step_s` is from one frame or packet to the next, if they have no timestamps."""
        self._time_base = time_base or Fraction(1, 90_000)  # FFmpeg's default
        self._step_s = step_s
        self._rules = rules
        self._shift = Fraction(0)
        self._last: Fraction | None = None

    def seconds(self, timestamp: int | None) -> Fraction:
        """Time of the next frame or packet, whose timestamp this is."""
        expected = Fraction(0) if self._last is None else self._last + self._step_s
        time = expected if timestamp is None else timestamp * self._time_base + self._shift
        if self._last is not None:
            step = time - self._last
            if step > self._rules.max_step_s or step < -(self._rules.max_step_back_s or math.inf):
                self._shift += expected - time
                time = expected
            time = max(time, self._last)
        self._last = time
        return time
