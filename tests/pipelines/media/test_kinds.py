"""Formats are detected by their bytes: real files written by the libraries that own the formats."""

import io
import random
import zipfile
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from pipelines.media.kinds import HEAD_BYTES, sniff


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


def audio_bytes(format: str, codec: str, rate: int = 48_000) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format=format) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4800), np.int16), format="s16", layout="mono")
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


def test_unknown_bytes_are_unknown() -> None:
    assert sniff(bytes(range(256)) * 4) is None
    for seed in range(20):
        assert sniff(random.Random(seed).randbytes(HEAD_BYTES)) is None
