"""Formats are detected by their bytes: real files written by the libraries that own the formats."""

import io
import random
import struct
import zipfile
from fractions import Fraction
from typing import BinaryIO

import av
import numpy as np
import pytest
from PIL import Image

from pipelines.media.audio import AudioReader
from pipelines.media.kinds import HEAD_BYTES, behind_tags, sniff


def image_bytes(format: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(file, format)
    return file.getvalue()


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_images(format: str) -> None:
    kind = sniff(image_bytes(format)[:HEAD_BYTES])
    assert kind is not None
    assert kind.name == format.lower()
    assert kind.families == {"image", "document"}, "any image may be a scan"


NOISE = np.random.default_rng(0).integers(-9000, 9000, (1, 4800), np.int16)


def audio_bytes(format: str, codec: str, rate: int = 48_000) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format=format) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(NOISE, format="s16", layout="mono")
        frame.sample_rate = rate
        resampler = av.AudioResampler(stream.format.name, "mono", rate, frame_size=stream.codec_context.frame_size or 0)
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    return file.getvalue()


@pytest.mark.parametrize(
    ("format", "codec", "container"),
    [
        ("wav", "pcm_s16le", "wav"),
        ("mp3", "libmp3lame", "mp3"),
        ("flac", "flac", "flac"),
        ("ogg", "libopus", "ogg"),
        ("ipod", "aac", "mov"),
        ("webm", "libopus", "matroska"),
        ("adts", "aac", "aac"),
        ("aiff", "pcm_s16be", "aiff"),
        ("mpegts", "aac", "mpegts"),
    ],
)
def test_audio(format: str, codec: str, container: str) -> None:
    kind = sniff(audio_bytes(format, codec)[:HEAD_BYTES])
    assert kind is not None
    assert kind.container == container
    assert "audio" in kind.families


@pytest.mark.parametrize(
    ("format", "codec", "container"),
    [
        ("mp4", "libx264", "mov"),
        ("mov", "libx264", "mov"),
        ("matroska", "libx264", "matroska"),
        ("webm", "libvpx-vp9", "matroska"),
        ("avi", "mpeg4", "avi"),
        ("mpegts", "mpeg2video", "mpegts"),
        ("mpeg", "mpeg2video", "mpeg"),
        ("flv", "flv", "flv"),
        ("asf", "msmpeg4v3", "asf"),
    ],
)
def test_video(format: str, codec: str, container: str) -> None:
    file = io.BytesIO()
    with av.open(file, "w", format=format) as output:
        stream = output.add_stream(codec, rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(3):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8))))
        output.mux(stream.encode(None))
    kind = sniff(file.getvalue()[:HEAD_BYTES])
    assert kind is not None
    assert kind.container == container
    assert "video" in kind.families


def docx_bytes() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
    return file.getvalue()


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"%PDF-1.7\n", "pdf"),
        (b"\n\n%PDF-1.4\n", "pdf"),
        (docx_bytes(), "zip"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504), "doc"),
        (b"{\\rtf1 hello}", "rtf"),
        ("Hello, 世界".encode(), "txt"),
        ("Hello".encode("utf-16"), "txt"),
        ("Knowledge graphs are structured.\n".encode("utf-16-le"), "txt"),
        ("Knowledge graphs are structured.\n".encode("utf-16-be"), "txt"),
        ("知识图谱是一种结构化的方式。\n".encode("utf-16-le"), "txt"),
        ("知识图谱是一种结构化的方式。\n".encode("utf-16-be"), "txt"),
        ("Knowledge graphs.\n".encode("utf-32-le"), "txt"),
        (b"The free encyclopedia was founded in 2001.", "txt"),
        (b"caffeine keeps rowers awake", "txt"),
        (b"ID3 tags stand before the sound", "txt"),
        (b"GIF89a is a format of images", "txt"),
        (b"The header is %PDF-1.7 in most files.", "txt"),
        (b"A log\n" * 500 + b"\0\0", "txt"),
        (b"\xef\xbb\xbf" + docx_bytes(), "zip"),
        ("中文".encode("gb18030"), "txt"),
    ],
)
def test_documents(head: bytes, name: str) -> None:
    kind = sniff(head)
    assert kind is not None
    assert kind.name == name
    assert kind.families == {"document"}


@pytest.mark.parametrize(
    "head",
    [
        b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
    ],
)
def test_scripts_that_name_files_are_only_ever_text(head: bytes) -> None:
    kind = sniff(head)
    assert kind is not None
    assert kind.families == {"document"}


def id3(size: int) -> bytes:
    return b"ID3\x04\0\0" + bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0)) + b"\x01" * size


def ape(size: int) -> bytes:
    return b"APETAGEX" + struct.pack("<4I8x", 2000, size, 0, 0xA0000000) + bytes(size)


def heard_samples(file: BinaryIO) -> int:
    """By the reader that takes the format found."""
    file.seek(behind_tags(file))
    behind = file.read(HEAD_BYTES)
    file.seek(0)
    kind = sniff(file.read(HEAD_BYTES), behind)
    assert kind is not None
    with AudioReader(file, kind.container) as reader:
        return sum(block.size for block in reader.blocks(48_000))


JUNK = np.random.default_rng(5).bytes(1500)
WRITTEN = {
    "wav": "pcm_s16le", "mp3": "libmp3lame", "mp2": "mp2", "flac": "flac", "ogg": "libopus", "ipod": "aac",
    "adts": "aac", "aiff": "pcm_s16be", "ac3": "ac3", "eac3": "eac3", "mpegts": "aac", "webm": "libopus",
    "w64": "pcm_s16le", "mpeg": "mp2", "tta": "tta", "wv": "wavpack", "voc": "pcm_u8",
}  # fmt: skip


@pytest.mark.parametrize("format", WRITTEN)
@pytest.mark.parametrize(
    "tag", [b"", id3(100), id3(300_000), id3(50) + id3(20_000), ape(64), id3(20) + ape(9000)], ids=len
)
def test_a_tag_is_no_format(format: str, tag: bytes) -> None:
    audio = audio_bytes(format, WRITTEN[format])
    assert heard_samples(io.BytesIO(tag + audio)) == pytest.approx(4800, abs=2200)


@pytest.mark.parametrize("head", [b"", b"\xff", bytes(3000), JUNK, JUNK + b"\xff\xfb\x90" + JUNK], ids=len)
@pytest.mark.parametrize("format", ["mp3", "mp2", "adts", "mpegts", "mpeg"])
def test_a_stream_may_begin_anywhere(format: str, head: bytes) -> None:
    audio = audio_bytes(format, WRITTEN[format])
    assert heard_samples(io.BytesIO(head + audio)) == pytest.approx(4800, abs=2200)
    assert heard_samples(io.BytesIO(head + audio[300:])) == pytest.approx(4800, abs=3400)


def test_waves_of_every_order_and_size() -> None:
    data = audio_bytes("wav", "pcm_s16le")
    samples = np.arange(4800, dtype=">i2").tobytes()
    sizes = struct.pack("<IQQQI", 28, len(data), len(data) - 44, 4800, 0)
    big_endian = struct.pack(
        ">4sI4s4sIHHIIHH4sI", b"RIFX", 9636, b"WAVE", b"fmt ", 16, 1, 1, 48_000, 96_000, 2, 16, b"data", 9600
    )
    for file in (
        big_endian + samples,
        b"BW64\xff\xff\xff\xffWAVEds64" + sizes + data[12:],
        b"RF64\xff\xff\xff\xffWAVEds64" + sizes + data[12:],
        data[:12] + b"JUNK" + struct.pack("<I", 9000) + bytes(9000) + data[12:],
    ):
        assert heard_samples(io.BytesIO(file)) == 4800


@pytest.mark.parametrize("atom", [b"wide", b"free", b"junk", b"uuid", b"styp", b"udta", b"skip"])
def test_quicktime_without_its_brand(atom: bytes) -> None:
    data = audio_bytes("ipod", "aac")
    assert data[4:8] == b"ftyp"
    assert heard_samples(io.BytesIO(data[:4] + atom + data[8:])) == pytest.approx(4800, abs=2200)


def test_big_tiff() -> None:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(file, "TIFF", big_tiff=True)
    kind = sniff(file.getvalue())
    assert kind is not None
    assert (kind.name, "image" in kind.families) == ("tiff", True)


@pytest.mark.parametrize(
    "behind", [b"%PDF-1.7\n", b"#EXTM3U\nfile:///etc/passwd\n", docx_bytes(), image_bytes("PNG"), b""]
)
def test_behind_a_tag_there_is_only_audio(behind: bytes) -> None:
    for tag in (id3(100), ape(64)):
        kind = sniff(tag + behind)
        assert kind is not None
        assert (kind.container, kind.families) == ("mp3", {"audio"})


def test_unknown_bytes_are_unknown() -> None:
    assert sniff(bytes(range(256)) * 4) is None
    for seed in range(20):
        assert sniff(random.Random(seed).randbytes(HEAD_BYTES)) is None
