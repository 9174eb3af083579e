"""The audio tracks of a video, copied into an MP4 while its frames are written."""

import contextlib
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, cast

from pipelines.media._ffmpeg import Clock, ClockRules

if TYPE_CHECKING:
    import av

    _Piece = tuple[Fraction, list[av.Packet[Any]]]

MAX_TRACKS = 32
"""More than any film has; each may need an encoder's memory."""

_COPIED = frozenset({"aac", "mp3", "opus", "flac"})
"""What browsers play from an MP4; anything else is re-encoded."""

_HEADERLESS = frozenset({"mp3"})
"""An MP4 needs the header of the others; broadcasts do not send AAC's, so theirs is re-encoded."""

_AAC_RATE_HZ = 48_000
_MIN_RATE_HZ, _MAX_RATE_HZ = 4_000, 384_000
_GAP_S = Fraction(1, 10)
_LABELS = ("language", "title")


def find_audio(container: "av.container.InputContainer") -> "list[av.AudioStream]":
    """The audio tracks that can be kept."""
    return [
        track
        for track in container.streams.audio
        if track.codec_context is not None and track.channels and _MIN_RATE_HZ <= track.rate <= _MAX_RATE_HZ
    ]


class AudioTracks:
    """Audio on its way from one file into another, each track with its language and title.

    It has its own demuxer: in a file, audio need not lie near its images, and if it had to wait for them it would
    fill memory.

    Attributes:
        delay_frames: frames by which the video begins after time 0, because some of its audio begins earlier.
    """

    def __init__(
        self,
        source: "av.container.InputContainer",
        output: "av.container.OutputContainer",
        *,
        video_start_s: Fraction,
        fps: Fraction,
        clock_rules: ClockRules,
    ) -> None:
        """Add the tracks to `output`.

        Args:
            source: the audio's alone, with an audio track.
            output: the MP4, before its first packet.
            video_start_s: when the first image is shown, on the source's clock.
            fps: of the output.
            clock_rules: of the source.
        """
        from av.stream import Discard

        tracks = find_audio(source)
        for stream in source.streams:
            if stream not in tracks:
                stream.discard = Discard.all
        self._source, self._output = source, output
        starts_s = [track.start_time * (track.time_base or 0) for track in tracks if track.start_time is not None]
        self.delay_frames = max(0, math.ceil((video_start_s - min(starts_s, default=video_start_s)) * fps))
        shift_s = self.delay_frames / fps - video_start_s
        self._tracks = {track.index: _added(track, output, shift_s, clock_rules) for track in tracks}
        self._pieces = self._read()
        self._next = next(self._pieces, None)

    def mux_until(self, time_s: Fraction | None) -> None:
        """Write what is heard before `time_s` of the output; `None` writes the rest."""
        import av

        while self._next is not None and (time_s is None or self._next[0] < time_s):
            with contextlib.suppress(av.error.InvalidDataError):  # damaged packets are skipped
                self._output.mux(self._next[1])
            self._next = next(self._pieces, None)

    def close(self) -> None:
        """Free the demuxer."""
        self._source.close()

    def _read(self) -> "Iterator[_Piece]":
        import av

        with contextlib.suppress(av.FFmpegError):  # a damaged file ends there
            for packet in cast("Iterator[av.Packet[av.AudioStream]]", self._source.demux(*find_audio(self._source))):
                yield from self._tracks[packet.stream.index].pieces(packet)
        for track in self._tracks.values():
            yield from track.rest()


class _Track(ABC):
    """One track on its way."""

    def __init__(self, track: "av.AudioStream", target: "av.AudioStream", shift_s: Fraction, rules: ClockRules) -> None:
        self._target, self._shift_s = target, shift_s
        self._clock = Clock(track.time_base, Fraction(1024, track.rate), rules)

    @abstractmethod
    def pieces(self, packet: "av.Packet[av.AudioStream]") -> "Iterator[_Piece]":
        """What a packet of the source becomes, and when it is heard in the output."""

    def rest(self) -> "Iterator[_Piece]":
        """What is still held at the end."""
        yield from ()


class _Copied(_Track):
    def __init__(self, track: "av.AudioStream", target: "av.AudioStream", shift_s: Fraction, rules: ClockRules) -> None:
        super().__init__(track, target, shift_s, rules)
        self._rate, self._last = track.rate, -math.inf

    def pieces(self, packet: "av.Packet[av.AudioStream]") -> "Iterator[_Piece]":
        if not packet.size:
            return
        time_s = self._clock.seconds(packet.pts) + self._shift_s
        packet.duration = round((packet.duration or 0) * packet.time_base * self._rate)
        packet.time_base = Fraction(1, self._rate)  # the MP4's own, so that rounding cannot make times fall
        self._last = max(round(time_s * self._rate), self._last + 1)
        packet.pts = packet.dts = int(self._last)
        packet.stream = self._target
        yield time_s, [packet]


class _Encoded(_Track):
    def __init__(self, track: "av.AudioStream", target: "av.AudioStream", shift_s: Fraction, rules: ClockRules) -> None:
        super().__init__(track, target, shift_s, rules)
        self._end_s: Fraction | None = None
        self._arrives_as: tuple[str, str, int] | None = None
        self._resampler = self._new_resampler()

    def pieces(self, packet: "av.Packet[av.AudioStream]") -> "Iterator[_Piece]":
        import av

        with contextlib.suppress(av.FFmpegError):  # damaged packets are skipped
            for frame in packet.decode():
                yield from self._encoded(frame)

    def rest(self) -> "Iterator[_Piece]":
        held = _encode_all(self._target, self._resampler.resample(None))
        yield self._end_s or Fraction(0), held + self._target.encode(None)

    def _encoded(self, frame: "av.AudioFrame") -> "Iterator[_Piece]":
        arrives_as = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._arrives_as not in (None, arrives_as):  # broadcasts may change their format midway
            yield self._end_s or Fraction(0), _encode_all(self._target, self._resampler.resample(None))
            self._resampler = self._new_resampler()
        self._arrives_as = arrives_as
        time_s = self._clock.seconds(frame.pts) + self._shift_s
        if self._end_s is not None:
            if time_s < self._end_s - _GAP_S:
                return  # more audio than time: it would fall behind the images
            if time_s < self._end_s + _GAP_S:
                time_s = self._end_s  # containers round timestamps; samples are contiguous
        self._end_s = time_s + Fraction(frame.samples, frame.sample_rate)
        frame.time_base = Fraction(1, frame.sample_rate)
        frame.pts = round(time_s * frame.sample_rate)
        yield time_s, _encode_all(self._target, self._resampler.resample(frame))

    def _new_resampler(self) -> "av.AudioResampler":
        import av

        return av.AudioResampler("fltp", self._target.layout.name, _AAC_RATE_HZ)


def _added(
    track: "av.AudioStream", output: "av.container.OutputContainer", shift_s: Fraction, rules: ClockRules
) -> _Track:
    """The track's way into the output: copied if browsers can play it from an MP4, otherwise encoded as AAC."""
    name = track.codec_context.codec.canonical_name
    way: type[_Track]
    if name in _COPIED and (track.codec_context.extradata or name in _HEADERLESS):
        way, target = _Copied, output.add_stream_from_template(track)
    else:
        layout = "mono" if track.channels == 1 else "stereo"
        way, target = _Encoded, output.add_stream("aac", _AAC_RATE_HZ, layout=layout)
    target.metadata.update({name: track.metadata[name] for name in _LABELS if name in track.metadata})
    target.disposition = track.disposition
    return way(track, target, shift_s, rules)


def _encode_all(target: "av.AudioStream", frames: "Sequence[av.AudioFrame]") -> "list[av.Packet[Any]]":
    return [packet for frame in frames for packet in target.encode(frame)]
