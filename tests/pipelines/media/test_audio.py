"""Audio in and out: what goes in comes out, in time, in constant memory, and nothing else is opened."""

import io
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args

import av
import numpy as np
import pytest

from pipelines.contracts.errors import EmptyAudio, InvalidInput, NotFound, UnusableMedia
from pipelines.media.audio import AudioFormat, AudioReader, encode_audio, pcm_blocks

CONTAINERS = {"mp3": "mp3", "opus": "ogg", "aac": "aac", "flac": "flac", "wav": "wav"}


def sweep(seconds: float, rate: int) -> np.ndarray:
    """A tone that rises from 200 to 1,200 Hz and swells twice a second: any shift or loss shows."""
    t = np.arange(round(seconds * rate)) / rate
    swell = 0.3 + 0.2 * np.sin(2 * np.pi * 2 * t)
    return (swell * np.sin(2 * np.pi * (200 * t + 500 * t * t / seconds))).astype(np.float32)


def cut(audio: np.ndarray, size: int) -> Iterator[np.ndarray]:
    for i in range(0, audio.size, size):
        yield audio[i : i + size]


def read(data: bytes, container: str, rate: int = 16_000) -> np.ndarray:
    with AudioReader(io.BytesIO(data), container) as reader:
        return np.concatenate(list(reader.blocks(rate)))


def wav(data: bytes, rate: int, channels: int, bits: int, tag: int = 1) -> bytes:
    frame = channels * bits // 8
    form = struct.pack("<HHIIHH", tag, channels, rate, rate * frame % 2**32, frame, bits)
    chunks = b"WAVEfmt \x10\0\0\0" + form + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(chunks)) + chunks


def correlation(a: np.ndarray, b: np.ndarray, max_shift: int) -> float:
    """Correlation of `b` with `a` at the best shift of 0 to `max_shift` samples."""
    size = 2 ** (a.size + b.size).bit_length()
    match = np.fft.irfft(np.fft.rfft(a, size) * np.conj(np.fft.rfft(b, size)))
    shifted = a[int(np.argmax(match[:max_shift])) :]
    shared = min(shifted.size, b.size)
    return float(np.corrcoef(shifted[:shared], b[:shared])[0, 1])


@pytest.mark.parametrize("form", sorted(CONTAINERS))
@pytest.mark.parametrize("rate", [22_050, 24_000])
def test_what_is_encoded_is_what_is_read(form: AudioFormat, rate: int) -> None:
    seconds = 3.217
    data = b"".join(encode_audio(cut(sweep(seconds, rate), 5_000), rate, form))
    audio = read(data, CONTAINERS[form])
    error_ms = 1000 * (audio.size / 16_000 - seconds)
    like = correlation(audio, sweep(seconds, 16_000), 1_200)
    kbit_s = 8 * len(data) / seconds / 1000
    print(f"{form} from {rate} Hz: {error_ms:+.1f} ms, correlation {like:.4f}, {kbit_s:.0f} kbit/s")
    assert 0 <= error_ms + 0.1 <= 50.1
    assert like > 0.98
    assert audio.dtype == np.float32
    assert np.abs(audio).max() <= 1


def test_pcm_is_24_khz_16_bits() -> None:
    data = b"".join(encode_audio(cut(sweep(2, 22_050), 700), 22_050, "pcm"))
    assert abs(len(data) / 2 / 24_000 - 2) < 0.001
    assert correlation(np.frombuffer(data, "<i2") / 32768, sweep(2, 24_000), 200) > 0.99


@pytest.mark.parametrize("form", get_args(AudioFormat))
def test_bytes_leave_before_the_last_block_is_made(form: AudioFormat) -> None:
    made: list[int] = []

    def blocks() -> Iterator[np.ndarray]:
        for i, block in enumerate(cut(sweep(4, 22_050), 11_025)):
            made.append(i)
            yield block

    stream = encode_audio(blocks(), 22_050, form)
    assert next(stream)
    assert len(made) <= 2
    stream.close()


def test_mp3_is_a_plain_stream_of_frames() -> None:
    data = b"".join(encode_audio(cut(sweep(2, 22_050), 3_000), 22_050, "mp3"))
    assert data[0] == 0xFF
    assert data[1] & 0xE0 == 0xE0
    assert b"Xing" not in data
    assert b"Info" not in data
    assert len(data) % 288 == 0  # every frame of 96 kbit/s at 48 kHz is as long: players know the length at once


def test_any_float_can_be_encoded_but_nothing_cannot() -> None:
    wild = np.array([np.nan, np.inf, -np.inf, 1e30, 0.5] * 4_000, np.float32)
    assert np.isfinite(read(b"".join(encode_audio([wild], 22_050, "mp3")), "mp3")).all()
    with pytest.raises(EmptyAudio):
        list(encode_audio([np.zeros(0, np.float32)], 22_050, "mp3"))


def test_blocks_last_one_second() -> None:
    data = wav((sweep(3.5, 44_100) * 30_000).astype("<i2").tobytes(), 44_100, 1, 16)
    with AudioReader(io.BytesIO(data), "wav") as reader:
        assert reader.duration_s == pytest.approx(3.5)
        assert [block.size for block in reader.blocks()] == [16_000, 16_000, 16_000, 8_000]


@pytest.mark.parametrize("channels", [2, 3, 6, 12])
def test_channels_are_mixed_down(channels: int) -> None:
    audio = np.repeat((sweep(1, 16_000) * 30_000).astype("<i2")[:, None], channels, axis=1)
    mono = read(wav(audio.tobytes(), 16_000, channels, 16), "wav")
    assert mono.size == 16_000
    assert np.abs(mono - sweep(1, 16_000) * 30_000 / 32768).max() < 0.002  # equal channels keep their loudness


def test_nan_in_a_file_becomes_audio_within_one() -> None:
    wild = np.array([np.nan, np.inf, -np.inf, 1e30, -3, 0.25] * 4_000, "<f4")
    audio = read(wav(wild.tobytes(), 16_000, 1, 32, tag=3), "wav")
    assert audio.size == wild.size
    assert np.abs(audio).max() <= 1


def test_sample_rate_may_change_on_the_way() -> None:
    other = io.BytesIO()
    with av.open(other, "w", format="adts") as file:
        stream = file.add_stream("aac", rate=44_100, layout="stereo")
        frame = av.AudioFrame.from_ndarray(np.stack([sweep(2, 44_100)] * 2), format="fltp", layout="stereo")
        frame.sample_rate = 44_100
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    first = b"".join(encode_audio([sweep(2, 48_000)], 48_000, "aac"))
    assert read(first + other.getvalue(), "aac").size / 16_000 == pytest.approx(4, abs=0.12)


@pytest.mark.parametrize("form", sorted(CONTAINERS))
def test_truncated_audio_gives_what_there_is(form: AudioFormat) -> None:
    data = b"".join(encode_audio(cut(sweep(6, 48_000), 4_800), 48_000, form))
    audio = read(data[: len(data) // 2], CONTAINERS[form])
    assert 2.0 < audio.size / 16_000 < 3.6


def test_damage_in_the_middle_is_skipped() -> None:
    data = bytearray(b"".join(encode_audio(cut(sweep(6, 48_000), 4_800), 48_000, "mp3")))
    middle = len(data) // 2
    data[middle : middle + 3_000] = np.random.default_rng(0).bytes(3_000)
    assert read(bytes(data), "mp3").size / 16_000 == pytest.approx(6, abs=0.6)


def mp4(codec: str) -> bytes:
    """One second of audio or images."""
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as file:
        if codec == "aac":
            stream = file.add_stream("aac", rate=48_000, layout="mono")
            frame = av.AudioFrame.from_ndarray(sweep(1, 48_000)[None], format="fltp", layout="mono")
            frame.sample_rate = 48_000
        else:
            stream = file.add_stream(codec, rate=25, width=64, height=64, pix_fmt="yuv420p")
            frame = av.VideoFrame(64, 64, "yuv420p")
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "container"),
    [
        (b"", "wav"),
        (b"", "mov"),
        (b"just some words\n" * 500, "mp3"),
        (b"just some words\n" * 500, "flac"),
        (b"\x1aE\xdf\xa3" + bytes(500), "matroska"),
        (mp4("mpeg4"), "mov"),
        (mp4("aac")[:-600], "mov"),
        (wav(bytes(8_000), 1, 1, 16), "wav"),
        (wav(bytes(8_000), 4_000_000_000, 1, 16), "wav"),
        (wav(bytes(66 * 100), 16_000, 33, 16), "wav"),
    ],
    ids=[
        "empty wav",
        "empty mov",
        "text mp3",
        "text flac",
        "zeros",
        "no audio track",
        "no index",
        "1 Hz",
        "4 GHz",
        "33 channels",
    ],
)
def test_what_cannot_be_used_is_reported(data: bytes, container: str) -> None:
    with pytest.raises(UnusableMedia) as caught:
        read(data, container)
    assert not isinstance(caught.value, EmptyAudio)
    assert caught.value.message.endswith(".")


def test_m4a_is_read() -> None:
    assert read(mp4("aac"), "mov").size / 16_000 == pytest.approx(1, abs=0.05)


def test_a_header_alone_is_empty() -> None:
    with pytest.raises(EmptyAudio):
        read(wav(b"", 16_000, 1, 16), "wav")


def test_no_other_file_is_opened(tmp_path: Path) -> None:
    secret = tmp_path / "secret.wav"
    secret.write_bytes(wav(bytes(32_000), 16_000, 1, 16))
    script = f"ffconcat version 1.0\nfile {secret}\n".encode()
    with av.open(io.BytesIO(script), format="concat", container_options={"safe": "0"}) as file:
        assert sum(frame.samples for frame in file.decode(audio=0)) == 16_000  # FFmpeg itself would
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1.0,\n{secret}\n#EXT-X-ENDLIST\n".encode()
    for data, container in [(script, "concat"), (playlist, "hls"), (script, "wav"), (playlist, "mp3")]:
        with pytest.raises(UnusableMedia):
            read(data, container)


def test_what_the_file_object_raises_comes_through() -> None:
    class Gone(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 100_000:
                raise NotFound("The upload is gone.")
            return super().read(size)

    data = wav(bytes(32_000 * 20), 16_000, 1, 16)
    with pytest.raises(NotFound), AudioReader(Gone(data), "wav") as reader:
        list(reader.blocks())


class Endless(io.RawIOBase):
    """A WAV file of many minutes that exists nowhere."""

    def __init__(self, seconds: int) -> None:
        self._header = wav(b"", 16_000, 1, 16)[:-4] + struct.pack("<I", seconds * 32_000)
        self._size = len(self._header) + seconds * 32_000
        self._at = 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        size = max(min(size, self._size - self._at), 0)
        data = (self._header[self._at :] + bytes(size))[:size]
        self._at += size
        return data


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_memory_does_not_grow_with_length() -> None:
    def transcode(seconds: int) -> float:
        with AudioReader(Endless(seconds), "wav") as reader:
            total = sum(len(data) for data in encode_audio(reader.blocks(), 16_000, "wav"))
        assert total > 0
        return resident_bytes() / 1e6

    short = transcode(10)
    long = transcode(600)
    print(f"10 s: {short:.1f} MB, 10 min: {long:.1f} MB")
    assert long - short < 5


def test_headerless_pcm() -> None:
    data = (sweep(2.5, 8_000) * 30_000).astype("<i2").tobytes() + b"\x01"

    class Dribble(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(min(size or 777, 777))

    for file in (io.BytesIO(data), Dribble(data)):
        audio = np.concatenate(list(pcm_blocks(file, 8_000)))
        assert audio.size == pytest.approx(40_000, abs=2)
        assert correlation(audio, sweep(2.5, 16_000), 20) > 0.999
    for empty in (b"", b"\x01"):
        with pytest.raises(EmptyAudio):
            list(pcm_blocks(io.BytesIO(empty), 8_000))
    for rate in (0, -1, 1_999, 10**9):
        with pytest.raises(InvalidInput) as caught:
            list(pcm_blocks(io.BytesIO(data), rate))
        assert caught.value.param == "sample_rate"


def test_real_speech_keeps_its_length(sample: Callable[[str], Path]) -> None:
    with sample("jfk.flac").open("rb") as file, AudioReader(file, "flac") as reader:
        assert reader.duration_s == pytest.approx(11)
        assert sum(block.size for block in reader.blocks()) == 176_000
