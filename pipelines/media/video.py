"""Video from and to file objects: upright RGB frames in, H.264 in MP4 with the audio of the source out.

Decoding and encoding are FFmpeg's, by PyAV (BSD-3-Clause; its wheel carries x264, GPL-2). A `VideoReader` gives frames
at a constant rate, because trackers, interpolators and browsers all want one: if the source's rate varies, frames are
repeated or dropped, so that every frame stays within half a frame's time of where it was. Nothing here holds more
than a few frames, however long the video.

HDR is tone-mapped. If the size or the shape of the pixels changes on the way, the frames that follow are fitted into
the first one's size, with black borders.

What it does not do: interlaced fields are not separated, alpha is ignored, and a turn on the way is not followed.
"""

import contextlib
import math
from collections.abc import Iterator
from fractions import Fraction
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, Self

import numpy as np

from pipelines.contracts.errors import TooLong, TooManyPixels, UnsupportedMedia, UnusableMedia
from pipelines.media import Rgb
from pipelines.media._audio_track import MAX_TRACKS, AudioTracks, find_audio
from pipelines.media._ffmpeg import Clock, ClockRules, Handle, demux
from pipelines.media._geometry import Orientation, PixelAspect, centered, fit_within, square_pixels
from pipelines.media._tone_mapping import SAMPLES, ToneMapper, is_hdr

if TYPE_CHECKING:
    import av

CONTAINERS = frozenset({"mov", "matroska", "avi", "mpegts", "mpeg", "flv", "ogg", "asf", "gif"})
"""FFmpeg's names of the containers that are read. None of them needs a second file."""

_THREADS = 2
_MAX_SIDE = 16_384  # H.264's limit
_MAX_GAP_S = 10
_FULL_HD = 1920 * 1088  # pixels
_UNSPECIFIED, _BT2020_MATRIX = 2, 9  # AVCOL_SPC_UNSPECIFIED, AVCOL_SPC_BT2020_NCL
_FULL_RANGE = np.clip(np.rint((np.arange(256) - 16) * (255 / 219)), 0, 255).astype(np.uint8)
"""Gray of 16 to 235, as video has it, in 0 to 255."""


class _Decoded(NamedTuple):
    """A frame, when it is shown, and the width of its pixels by their height."""

    time_s: Fraction
    frame: "av.VideoFrame"
    aspect: Fraction | None


class VideoReader:
    """Decodes one video file, once, from start to end.

    Attributes:
        fps: frames per second of `frames()`, constant.
        width: of a frame in pixels, upright and with square pixels.
        height: likewise.
        duration_s: as the file states it, or `None`.
        frame_count: how many frames to expect by that duration, or `None`. A damaged file may have fewer.
        has_audio: whether there is any audio track that can be kept.
        start_s: when the first frame is shown, on the file's clock.
        clock_rules: which of the file's timestamps are believed.
    """

    def __init__(
        self,
        file: BinaryIO,
        container: str,
        *,
        max_pixels: int,
        max_s: float = math.inf,
        max_frames: float = math.inf,
    ) -> None:
        """Read the header and the first frame.

        Args:
            file: readable and seekable; stays open. Meanwhile only a `VideoWriter` that takes the audio from this
                reader may use it, too.
            container: one of `CONTAINERS`, as detected from the file's bytes.
            max_pixels: of one frame.
            max_s: seconds of video.
            max_frames: of `frames()`.

        Raises:
            UnsupportedMedia: another container.
            UnusableMedia: damaged, incomplete, with too many audio tracks, or without a video track or a single frame.
            TooManyPixels: frames of more than `max_pixels`, or too wide or too high for H.264.
            TooLong: it states more than `max_s` seconds or `max_frames` frames.
        """
        if container not in CONTAINERS:
            raise UnsupportedMedia("Unsupported video format.")
        self._file = file
        self._container_name = container
        self._max_pixels = max_pixels
        self._max_s = max_s
        self._max_frames = max_frames
        # The decoder's own limit counts padded sizes: twice as much guards memory; each frame is checked exactly.
        self._decoder_pixels = 2 * max_pixels + 65_536
        self._container = demux(file, container, self._decoder_pixels)
        try:
            self._start()
        except BaseException:
            self._container.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Free the decoder. The file stays open."""
        self._container.close()

    def open_again(self) -> "av.container.InputContainer":
        """Open a second demuxer of the same file, with its own position, for the audio."""
        return demux(self._file, self._container_name, self._decoder_pixels)

    def frames(self) -> Iterator[Rgb]:
        """Read the frames, once.

        Yields:
            RGB uint8 (height, width, 3), a new array each, `fps` of them per second of video.

        Raises:
            TooManyPixels: the frames grow beyond the limit midway.
            TooLong: the video is longer than it states, and than the limits; or nothing changes for over 10 seconds.
        """
        shown = 0
        held: _Decoded | None = None
        end_s = Fraction(0)
        for decoded in self._timed():
            due = math.floor((decoded.time_s - self.start_s) * self.fps + Fraction(1, 2))
            if held is not None and decoded.time_s - held.time_s > _MAX_GAP_S:
                raise TooLong(f"The video has a gap of more than {_MAX_GAP_S} seconds between two frames.")
            self._check_length(due)
            while held is not None and shown < due:
                yield self._rgb(held)
                shown += 1
            held = decoded
            end_s = decoded.time_s - self.start_s + self._shown_for(decoded.frame)
        due = max(shown + 1, math.floor(end_s * self.fps + Fraction(1, 2)))
        self._check_length(due)
        while held is not None and shown < due:
            yield self._rgb(held)
            shown += 1

    def _start(self) -> None:
        """Read the header and the first frame, whose size and orientation hold for all."""
        from av.stream import Discard

        self._stream = self._find_video()
        self.fps = _frame_rate(self._stream)
        self.duration_s = self._duration()
        self.frame_count = None if self.duration_s is None else max(1, round(self.duration_s * self.fps))
        self._check_length(self.frame_count or 0)
        self.clock_rules = ClockRules.of(self._container_name, self.duration_s)
        tracks = find_audio(self._container)
        if len(tracks) > MAX_TRACKS:
            raise UnusableMedia(f"The video has {len(tracks):,} audio tracks; the limit is {MAX_TRACKS}.")
        self.has_audio = bool(tracks)
        for stream in self._container.streams:
            if stream is not self._stream:
                stream.discard = Discard.all
        self._decoded = self._decode()
        self._first = next(self._decoded, None)
        if self._first is None:
            raise UnusableMedia("The video has no decodable frame.")
        self.start_s, frame, aspect = self._first
        size = square_pixels(frame.width, frame.height, aspect, self._max_pixels)
        self._orientation = Orientation(frame)
        self.width, self.height = self._orientation.size(*size)
        self._tone_mapper: ToneMapper | None = None

    def _timed(self) -> Iterator[_Decoded]:
        if self._first is not None:
            first, self._first = self._first, None
            yield first
        yield from self._decoded

    def _shown_for(self, frame: "av.VideoFrame") -> Fraction:
        duration = Fraction(frame.duration or 0) * (frame.time_base or 0)
        return duration if 0 < duration <= self.clock_rules.max_step_s else 1 / self.fps

    def _find_video(self) -> "av.VideoStream":
        from av.stream import Disposition

        tracks = [s for s in self._container.streams.video if not s.disposition & Disposition.attached_pic]
        if not tracks:
            raise UnusableMedia("The file has no video track.")
        best = self._container.streams.best("video")
        stream = best if best in tracks else tracks[0]
        context = stream.codec_context
        if context is None:
            raise UnusableMedia("The video is in an unsupported codec.")
        self._check_size(context.width, context.height)
        context.thread_type = "AUTO"
        context.thread_count = _THREADS
        context.options = {"max_pixels": str(self._decoder_pixels)}
        return stream

    def _check_size(self, width: int, height: int) -> None:
        if width * height > self._max_pixels:
            raise TooManyPixels(f"Video frames of {width}×{height} exceed the limit of {self._max_pixels:,} pixels.")
        if max(width, height) > _MAX_SIDE:
            raise TooManyPixels(f"Video frames of {width}×{height} exceed the limit of {_MAX_SIDE:,} pixels per side.")

    def _check_length(self, frames: int) -> None:
        if frames > self._max_s * self.fps:
            raise TooLong(f"The video exceeds the limit of {self._max_s:,.0f} seconds.")
        if frames > self._max_frames:
            raise TooLong(f"The video exceeds the limit of {self._max_frames:,.0f} frames.")

    def _decode(self) -> Iterator[_Decoded]:
        """The frames; damaged packets are skipped."""
        import av

        codec = self._stream.codec_context
        aspect = PixelAspect(self._stream)
        clock = Clock(self._stream.time_base, 1 / self.fps, self.clock_rules)
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except av.FFmpegError:
                return  # the file ends here
            if packet is None:
                return
            try:
                frames = packet.decode()
            except av.FFmpegError:
                self._check_size(codec.width, codec.height)
                continue
            if frames:
                aspect.follow(packet)
            for frame in frames:
                self._check_size(frame.width, frame.height)
                yield _Decoded(clock.seconds(frame.pts), frame, aspect.of(frame))

    def _rgb(self, decoded: _Decoded) -> Rgb:
        from av.video.reformatter import ColorRange

        frame = decoded.frame
        shape = square_pixels(frame.width, frame.height, decoded.aspect, self._max_pixels)
        size = fit_within(*shape, self._orientation.size(self.width, self.height))
        converted = self._mapped(frame, size) if is_hdr(frame) else _converted(frame, "rgb24", size)
        rgb = np.asarray(converted.to_ndarray(), np.uint8)
        if frame.format.name.startswith("gray") and frame.color_range == ColorRange.MPEG:
            rgb = _FULL_RANGE[rgb]  # FFmpeg treats gray as full range, whatever its tag
        return centered(self._orientation.upright(rgb), self.width, self.height)

    def _mapped(self, frame: "av.VideoFrame", size: tuple[int, int]) -> "av.VideoFrame":
        samples = _converted(frame, SAMPLES, size)
        if self._tone_mapper is None or not self._tone_mapper.fits(samples):
            self._tone_mapper = ToneMapper(samples)
        return _converted(self._tone_mapper.map(samples), "rgb24", size)

    def _duration(self) -> float | None:
        if self._stream.duration:
            return float(self._stream.duration * (self._stream.time_base or 0))
        if self._container.duration:
            return self._container.duration / 1_000_000
        return None


def _converted(frame: "av.VideoFrame", samples: str, size: tuple[int, int]) -> "av.VideoFrame":
    """The frame in another pixel format, RGB in full range, and size."""
    from av.video.reformatter import ColorRange, Colorspace, Interpolation

    matrix: int | None = None
    if frame.colorspace == _UNSPECIFIED:
        untagged = Colorspace.ITU709 if frame.height > 576 else Colorspace.ITU601
        matrix = _BT2020_MATRIX if is_hdr(frame) else untagged
    return frame.reformat(
        width=size[0],
        height=size[1],
        format=samples,
        src_colorspace=matrix,
        dst_color_range=ColorRange.JPEG,
        interpolation=Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT,
        threads=_THREADS,
    )


def _frame_rate(stream: "av.VideoStream") -> Fraction:
    """The rate at which frames are shown: the grid of the timestamps, unless it is far finer than the frame rate."""
    average, grid = stream.average_rate, stream.guessed_rate
    rate = grid or average or Fraction(25)
    if average and rate > 60 and rate > average * Fraction(3, 2):
        rate = average
    return min(max(Fraction(rate), Fraction(1)), Fraction(240)).limit_denominator(10_000)


def count_frames(file: BinaryIO) -> int:
    """How many frames an MP4 of `VideoWriter` has, by its header."""
    import av

    file.seek(0)
    with av.open(file) as container:
        return container.streams.video[0].frames


class VideoWriter:
    """Encodes one MP4: H.264, yuv420p, BT.709, index at the front; audio is added as the frames arrive.

    A context manager: leaving it finishes the file, or empties it if there was an exception. Odd sizes are made
    even by repeating the last row or column.
    """

    def __init__(
        self, file: BinaryIO, *, fps: Fraction | float, width: int, height: int, audio_from: VideoReader | None = None
    ) -> None:
        """Start the file.

        Args:
            file: readable, writable and seekable; stays open.
            fps: frames per second.
            width: of every frame, in pixels.
            height: likewise.
            audio_from: its audio tracks are kept, in sync with its video: copied if browsers can play them from an
                MP4, otherwise re-encoded as AAC.
        """
        import av

        self._file = file
        self._shape = (height, width, 3)
        self._padding = ((0, height % 2), (0, width % 2), (0, 0))
        self._fps = Fraction(fps).limit_denominator(10_000)
        self._handle = Handle(file)
        self._container = av.open(
            self._handle,
            "w",
            format="mp4",
            container_options={"movflags": "+faststart"},
            io_open=lambda url, flags, options: Handle(file),  # faststart reads what has been written
        )
        self._stream = self._add_video(width + width % 2, height + height % 2)
        self._count = 0
        self._audio: AudioTracks | None = None
        if audio_from is not None and audio_from.has_audio:
            self._audio = AudioTracks(
                audio_from.open_again(),
                self._container,
                video_start_s=audio_from.start_s,
                fps=self._fps,
                clock_rules=audio_from.clock_rules,
            )
            self._count = self._audio.delay_frames

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if error is None:
            self.close()
        else:
            self._abandon()

    def write(self, frame: Rgb) -> None:
        """Append one frame, RGB uint8 (height, width, 3).

        Raises:
            ValueError: a frame of another size.
            UnusableMedia: the audio of the source is damaged and cannot be kept.
        """
        import av
        from av.video.reformatter import ColorRange, Colorspace, Interpolation

        if frame.shape != self._shape:
            raise ValueError(f"frame of shape {frame.shape} in a video of {self._shape}")
        if any(after for _, after in self._padding):
            frame = np.pad(frame, self._padding, mode="edge")
        image = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24").reformat(
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
            interpolation=Interpolation.BICUBIC | Interpolation.ACCURATE_RND,
            threads=_THREADS,
        )
        image.pts = self._count
        image.time_base = 1 / self._fps
        self._count += 1
        with self._blaming_audio():
            self._container.mux(self._stream.encode(image))
            if self._audio is not None:
                self._audio.mux_until(self._count / self._fps)

    def close(self) -> None:
        """Finish the file.

        Raises:
            UnusableMedia: the audio of the source is damaged and cannot be kept.
        """
        try:
            with self._blaming_audio():
                self._container.mux(self._stream.encode(None))
                if self._audio is not None:
                    self._audio.mux_until(None)
                self._container.close()
        except BaseException:
            self._abandon()
            raise
        self._handle.close()
        if self._audio is not None:
            self._audio.close()

    def _abandon(self) -> None:
        self._handle.close()  # so that PyAV does not write the end of the file
        self._container.close()
        if self._audio is not None:
            self._audio.close()
        self._file.seek(0)
        self._file.truncate()

    @contextlib.contextmanager
    def _blaming_audio(self) -> Iterator[None]:
        """Blame the source's audio for what the MP4 rejects: the images are our own."""
        import av

        try:
            yield
        except (av.error.InvalidDataError, av.error.ArgumentError):
            if self._audio is None:
                raise
            raise UnusableMedia("The video's audio track is damaged and cannot be kept.") from None

    def _add_video(self, width: int, height: int) -> "av.VideoStream":
        from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc

        options = {"crf": "18", "preset": "veryfast"}
        if width * height > _FULL_HD:  # x264 holds some 50 MB for each frame of 4K that it looks ahead
            options["x264-params"] = "rc-lookahead=2:sync-lookahead=0"
        stream = self._container.add_stream("libx264", rate=self._fps, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        context = stream.codec_context
        context.time_base = 1 / self._fps
        context.thread_type = "FRAME"
        context.thread_count = _THREADS
        context.color_range = ColorRange.MPEG
        context.colorspace = Colorspace.ITU709
        context.color_primaries = ColorPrimaries.BT709
        context.color_trc = ColorTrc.BT709
        return stream
