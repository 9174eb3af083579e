"""Audio from files and to files, in blocks, so that memory does not grow with its length.

FFmpeg decodes, resamples and encodes, by PyAV. A file is read as the one container that the caller detected by its
bytes: a playlist or script that names another file or an address opens nothing. Times are counted from the first
sample; an audio track that starts late in a video is not shifted.
"""

from collections.abc import Iterable, Iterator
from itertools import chain, groupby
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Literal, NamedTuple, Self, cast

import numpy as np

from pipelines.contracts.errors import EmptyAudio, InvalidInput, UnusableMedia
from pipelines.media import Waveform
from pipelines.media._ffmpeg import demux

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer

SPEECH_RATE_HZ = 16_000
BLOCK_S = 1.0
# A header can claim a rate of 1 Hz, which would turn one packet into hours of audio.
MIN_RATE_HZ = 2_000
MAX_RATE_HZ = 768_000
_READ_BYTES = 1 << 17

AudioFormat = Literal["mp3", "opus", "aac", "flac", "wav", "pcm"]


class _Encoding(NamedTuple):
    """How a format is written. `rate_hz` None keeps the audio's own rate."""

    muxer: str
    codec: str
    rate_hz: int | None
    bit_rate: int | None
    options: dict[str, str]


# MP3 at 48 kHz: its unavoidable delay is counted in samples, so it is 24 ms there and 50 ms at 22 kHz. No Xing header:
# a stream's length is not known when its first bytes leave. PCM is 24 kHz, as OpenAI's clients expect.
_ENCODINGS: dict[AudioFormat, _Encoding] = {
    "mp3": _Encoding("mp3", "libmp3lame", 48_000, 96_000, {"write_xing": "0", "id3v2_version": "0"}),
    "opus": _Encoding("ogg", "libopus", 48_000, 48_000, {"page_duration": "200000"}),
    "aac": _Encoding("adts", "aac", 48_000, 96_000, {}),
    "flac": _Encoding("flac", "flac", None, None, {}),
    "wav": _Encoding("wav", "pcm_s16le", None, None, {}),
    "pcm": _Encoding("s16le", "pcm_s16le", 24_000, None, {}),
}


class AudioReader:
    """The first audio track of a file. Use it as a context manager, or `close()` it.

    Args:
        file: seekable and readable; stays open, and its own exceptions pass through.
        container: FFmpeg's name of the demuxer ("wav", "mp3", "ogg", "mov", "matroska", …), as found by the bytes.

    Attributes:
        duration_s: the length that the file states or its size suggests; `None` if unknown.

    Raises:
        UnusableMedia: damaged, not this container, without an audio track, or in an unsupported codec.
    """

    def __init__(self, file: BinaryIO, container: str) -> None:
        import av

        self._container = demux(file, container)
        try:
            self._stream = _audio_track(self._container)
        except UnusableMedia:
            self.close()
            raise
        length = self._container.duration
        self.duration_s: float | None = length / av.time_base if length is not None and length > 0 else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Free the decoder."""
        self._container.close()

    def blocks(self, sample_rate_hz: int = SPEECH_RATE_HZ) -> Iterator[Waveform]:
        """The audio from its start, once: decoded, mixed down to mono, resampled.

        Damaged packets are skipped; if the file breaks off, the audio ends there.

        Yields:
            Blocks of one second, the last one shorter; float32 (samples,), -1 to 1.

        Raises:
            UnusableMedia: nothing could be decoded, or its sample rate is absurd.
            EmptyAudio: an audio track without a sample.
        """
        yield from _in_blocks(_resampled(self._frames(), sample_rate_hz), sample_rate_hz)

    def _frames(self) -> Iterator["AudioFrame"]:
        import av

        packets = self._container.demux(self._stream)
        decoded = damaged = False
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                break
            except av.error.FFmpegError:  # the file breaks off here
                damaged = True
                break
            try:
                frames = self._stream.decode(packet)
            except av.error.FFmpegError:  # one damaged packet; the next may be whole
                damaged = True
                continue
            decoded = decoded or bool(frames)
            yield from frames
        if not decoded and (damaged or not self._stream.codec_context.sample_rate):
            raise UnusableMedia("The audio cannot be decoded.")


def pcm_blocks(file: BinaryIO, sample_rate_hz: int) -> Iterator[Waveform]:
    """Headerless audio, signed 16 bits little-endian mono, in blocks for speech recognition.

    Args:
        file: read from its current position to its end; an odd last byte is ignored.
        sample_rate_hz: of the file, 2,000 to 768,000.

    Yields:
        Blocks of one second, the last one shorter, at 16 kHz; float32 (samples,), -1 to 1.

    Raises:
        InvalidInput: a sample rate outside its range.
        EmptyAudio: less than one sample.
    """
    if not MIN_RATE_HZ <= sample_rate_hz <= MAX_RATE_HZ:
        raise InvalidInput(f"sample_rate must be {MIN_RATE_HZ:,} to {MAX_RATE_HZ:,}.", "sample_rate")
    yield from _in_blocks(_resampled(_pcm_frames(file, sample_rate_hz), SPEECH_RATE_HZ), SPEECH_RATE_HZ)


def encode_audio(blocks: Iterable[Waveform], sample_rate_hz: int, format: AudioFormat = "mp3") -> Iterator[bytes]:
    """Encode audio while it is being made.

    Args:
        blocks: consecutive, of any size, mono float32 (samples,); beyond ±1 is clipped.
        sample_rate_hz: of the blocks.
        format: "mp3" (96 kbit/s), "opus" in Ogg (48 kbit/s), "aac" in ADTS (96 kbit/s), "flac", "wav" (16 bits, its
            length left open as in every streamed WAV), or "pcm" (headerless 16 bits little-endian at 24 kHz).

    Yields:
        Consecutive bytes of one file, as soon as a block has filled them.

    Raises:
        EmptyAudio: the blocks hold no sample.
    """
    import av

    encoding = _ENCODINGS[format]
    out = _Outbox()
    count = 0
    with av.open(out, "w", format=encoding.muxer, container_options={"flush_packets": "1"} | encoding.options) as file:
        rate_hz = encoding.rate_hz or sample_rate_hz
        stream = cast("AudioStream", file.add_stream(encoding.codec, rate=rate_hz, layout="mono"))
        if encoding.bit_rate:
            stream.bit_rate = encoding.bit_rate
        for block in blocks:
            if not block.size:
                continue
            frame = av.AudioFrame.from_ndarray(_within_one(block)[np.newaxis], format="fltp", layout="mono")
            frame.sample_rate = sample_rate_hz
            frame.pts = count
            count += block.size
            file.mux(stream.encode(frame))
            if data := out.take():
                yield data
        if not count:
            raise EmptyAudio("There is no audio to encode.")
        file.mux(stream.encode(None))
    if data := out.take():
        yield data


class _Outbox:
    """What the muxer writes to. It cannot seek, so the muxer never returns to bytes that have left."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def write(self, data: bytes) -> int:
        self._bytes += data
        return len(data)

    def take(self) -> bytes:
        data = bytes(self._bytes)
        self._bytes.clear()
        return data


def _audio_track(container: "InputContainer") -> "AudioStream":
    stream = next(iter(container.streams.audio), None)
    if stream is None:
        raise UnusableMedia("The file has no audio track.")
    if stream.codec_context is None:
        raise UnusableMedia("The audio is in an unsupported codec.")
    return stream


def _pcm_frames(file: BinaryIO, sample_rate_hz: int) -> Iterator["AudioFrame"]:
    import av

    rest = b""
    while data := file.read(_READ_BYTES):
        data = rest + data
        whole = len(data) // 2 * 2
        rest = data[whole:]
        if not whole:
            continue
        samples = np.frombuffer(data[:whole], "<i2").astype(np.int16)
        frame = av.AudioFrame.from_ndarray(samples[np.newaxis], format="s16", layout="mono")
        frame.sample_rate = sample_rate_hz
        yield frame


def _resampled(frames: Iterable["AudioFrame"], sample_rate_hz: int) -> Iterator[Waveform]:
    """Mono float32 at one rate; a stream may change its format midway, as chained Ogg and HE-AAC do."""
    import av

    for (rate_hz, _, _), run in groupby(frames, lambda it: (it.sample_rate, it.format.name, it.layout.name)):
        if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
            raise UnusableMedia(f"Invalid sample rate: {rate_hz:,} Hz.")
        # Without the limit, swresample adds channels up beyond 1 if it works in floating point.
        options = {"rematrix_maxval": "1"}
        resampler = av.AudioResampler(format="fltp", layout="mono", rate=sample_rate_hz, options=options)
        for frame in chain(run, [None]):  # at None the resampler returns what it still holds
            if frame is not None:
                frame.pts = None  # times are counted in samples
            try:
                resampled = resampler.resample(frame)
            except av.error.FFmpegError as error:
                raise UnusableMedia("The audio channels cannot be mixed down to mono.") from error
            for out in resampled:
                yield _within_one(out.to_ndarray()[0])


def _within_one(samples: Waveform) -> Waveform:
    """Floating-point files may hold anything, and encoders take NaN badly."""
    return np.clip(np.nan_to_num(samples.astype(np.float32), nan=0.0), -1.0, 1.0)


def _in_blocks(pieces: Iterable[Waveform], sample_rate_hz: int) -> Iterator[Waveform]:
    size = round(BLOCK_S * sample_rate_hz)
    held: list[Waveform] = []
    held_samples = 0
    any_yielded = False
    for piece in pieces:
        held.append(piece)
        held_samples += piece.size
        while held_samples >= size:
            joined = np.concatenate(held)
            held, held_samples = [joined[size:]], joined.size - size
            any_yielded = True
            yield joined[:size]
    if held_samples:
        yield np.concatenate(held)
    elif not any_yielded:
        raise EmptyAudio("The file contains no audio.")
