"""The audio track of a video, copied into an MP4 while its frames are written."""

import contextlib
import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from pipelines.media._ffmpeg import Clock, ClockRules

if TYPE_CHECKING:
    import av

    _Pieces = Iterator[tuple[Fraction, list[av.Packet[Any]]]]

_COPIED = frozenset({"aac", "mp3", "opus", "flac"})
"""What browsers play from an MP4; anything else is re-encoded."""

_HEADERLESS = frozenset({"mp3"})
"""An MP4 needs the header of the others; broadcasts do not send AAC's, so theirs is re-encoded."""

_AAC_RATE_HZ = 48_000
_MIN_RATE_HZ, _MAX_RATE_HZ = 4_000, 384_000
_GAP_S = Fraction(1, 10)


def find_audio(container: "av.container.InputContainer") -> "av.AudioStream | None":
    """The best audio track that can be kept."""
    tracks = [
        track
        for track in container.streams.audio
        if track.codec_context is not None and track.channels and _MIN_RATE_HZ <= track.rate <= _MAX_RATE_HZ
    ]
    best = container.streams.best("audio")
    return best if best in tracks else next(iter(tracks), None)


class AudioTrack:
    """Audio on its way from one file into another.

    It has its own demuxer: in a file, audio need not lie near its images, and if it had to wait for them it would
    fill memory.

    Attributes:
        delay_frames: frames by which the video begins after time 0, because its audio begins earlier.
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
        """Add the track to `output`.

        Args:
            source: this track's alone, with an audio track.
            output: the MP4, before its first packet.
            video_start_s: when the first image is shown, on the source's clock.
            fps: of the output.
            clock_rules: of the source.
        """
        from av.stream import Discard

        track = find_audio(source)
        if track is None or track.time_base is None:
            raise ValueError("no audio track")
        for stream in source.streams:
            if stream is not track:
                stream.discard = Discard.all
        self._source, self._output = source, output
        start_s = video_start_s if track.start_time is None else track.start_time * track.time_base
        self.delay_frames = max(0, math.ceil((video_start_s - start_s) * fps))
        self._shift_s = self.delay_frames / fps - video_start_s
        self._clock = Clock(track.time_base, Fraction(1024, track.rate), clock_rules)
        name = track.codec_context.codec.canonical_name
        if name in _COPIED and (track.codec_context.extradata or name in _HEADERLESS):
            self._pieces = self._copied(track, output.add_stream_from_template(track))
        else:
            layout = "mono" if track.channels == 1 else "stereo"
            target = output.add_stream("aac", _AAC_RATE_HZ, layout=layout)
            self._pieces = self._encoded(track, target)
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

    def _copied(self, track: "av.AudioStream", target: "av.AudioStream") -> "_Pieces":
        last: int | None = None
        for packet in self._packets(track):
            if not packet.size:
                continue
            time_s = self._clock.seconds(packet.pts) + self._shift_s
            packet.duration = round((packet.duration or 0) * packet.time_base * track.rate)
            packet.time_base = Fraction(1, track.rate)  # the MP4's own, so that rounding cannot make times fall
            stamp = round(time_s * track.rate)
            last = stamp if last is None else max(stamp, last + 1)
            packet.pts = packet.dts = last
            packet.stream = target
            yield time_s, [packet]

    def _encoded(self, track: "av.AudioStream", target: "av.AudioStream") -> "_Pieces":
        import av

        def resampler() -> av.AudioResampler:
            return av.AudioResampler("fltp", target.layout.name, _AAC_RATE_HZ)

        end_s, convert, source = None, resampler(), None
        for frame in self._decoded(track):
            arrives_as = (frame.format.name, frame.layout.name, frame.sample_rate)
            if source not in (None, arrives_as):  # broadcasts may change their format midway
                yield end_s or Fraction(0), _encode_all(target, convert.resample(None))
                convert = resampler()
            source = arrives_as
            time_s = self._clock.seconds(frame.pts) + self._shift_s
            if end_s is not None:
                if time_s < end_s - _GAP_S:
                    continue  # more audio than time: it would fall behind the images
                if time_s < end_s + _GAP_S:
                    time_s = end_s  # containers round timestamps; samples are contiguous
            end_s = time_s + Fraction(frame.samples, frame.sample_rate)
            frame.time_base = Fraction(1, frame.sample_rate)
            frame.pts = round(time_s * frame.sample_rate)
            yield time_s, _encode_all(target, convert.resample(frame))
        yield end_s or Fraction(0), _encode_all(target, convert.resample(None)) + target.encode(None)

    def _decoded(self, track: "av.AudioStream") -> "Iterator[av.AudioFrame]":
        import av

        for packet in self._packets(track):
            with contextlib.suppress(av.FFmpegError):  # damaged packets are skipped
                yield from packet.decode()

    def _packets(self, track: "av.AudioStream") -> "Iterator[av.Packet[av.AudioStream]]":
        import av

        with contextlib.suppress(av.FFmpegError):  # a damaged file ends there
            yield from self._source.demux(track)


def _encode_all(target: "av.AudioStream", frames: "Sequence[av.AudioFrame]") -> "list[av.Packet[Any]]":
    return [packet for frame in frames for packet in target.encode(frame)]
