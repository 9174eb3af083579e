"""A video opens no other file and no address, whatever it says."""

import contextlib
import ctypes
import io
import os
import socket
import struct
import sys
from pathlib import Path

import av
import pytest

from pipelines.contracts.errors import UnusableMedia
from pipelines.media.video import CONTAINERS
from tests.pipelines.media.test_video import encode, noise, read


def _alias(path: Path) -> bytes:
    """A Macintosh alias record, as far as FFmpeg reads one, whose absolute path is `path`."""
    text = str(path).encode()
    text += b"\0" * (len(text) % 2)
    fixed = bytes(10) + bytes(28) + bytes(12) + bytes(64) + bytes(16) + bytes(4) + bytes(16)
    return fixed + struct.pack(">HH", 2, len(text)) + text + struct.pack(">HH", 0xFFFF, 0)


def _mov_with_external_data(path: Path) -> bytes:
    """A film whose video track says that its data lie in another file."""
    data = bytearray(encode([noise(i) for i in range(5)], form="mov").getvalue())
    video = data.index(b"vmhd")
    at = data.index(b"dref", video) - 4
    (old_size,) = struct.unpack(">I", data[at : at + 4])
    alias = _alias(path)
    entry = struct.pack(">I4sI", 12 + len(alias), b"alis", 0) + alias
    dref = struct.pack(">I4sII", 16 + len(entry), b"dref", 0, 1) + entry
    data[at : at + old_size] = dref
    for name in (b"dinf", b"minf", b"mdia", b"trak", b"moov"):
        box = data.rindex(name, 0, at) - 4
        (size,) = struct.unpack(">I", data[box : box + 4])
        data[box : box + 4] = struct.pack(">I", size + len(dref) - old_size)
    return bytes(data)


class Opened:
    """Reports whether a file was opened, by anyone in any way (inotify)."""

    def __init__(self, path: Path):
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._libc.inotify_init1(os.O_NONBLOCK)
        assert self._libc.inotify_add_watch(self._fd, os.fsencode(path), 0x20) >= 0  # IN_OPEN

    def __call__(self) -> bool:
        try:
            return bool(os.read(self._fd, 4096))
        except BlockingIOError:
            return False

    def __del__(self):
        os.close(self._fd)


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "secret.mp4"
    path.write_bytes(encode([noise(i) for i in range(5)]).getvalue())
    return path


def read_whatever(data: bytes):
    for container in sorted(CONTAINERS):
        with contextlib.suppress(UnusableMedia):
            read(io.BytesIO(data), container)


@pytest.mark.skipif(sys.platform != "linux", reason="inotify")
def test_no_other_file_is_opened(tmp_path, secret):
    """Playlists, scripts and references that FFmpeg does follow when it is let."""
    concat = f"ffconcat version 1.0\nfile '{secret}'\n".encode()
    reference = _mov_with_external_data(secret)
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{secret}\n#EXT-X-ENDLIST\n".encode()
    opened = Opened(secret)
    hostile = tmp_path / "hostile"
    for data, options in ((concat, {"safe": "0"}), (reference, {"enable_drefs": "1", "use_absolute_path": "1"})):
        hostile.write_bytes(data)
        with av.open(str(hostile), options=options) as let:
            list(let.demux())
        assert opened()
    for data in (concat, reference, playlist):
        read_whatever(data)
        assert not opened()


def test_no_address_is_opened():
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/x.ts"
        read_whatever(f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{url}\n#EXT-X-ENDLIST\n".encode())
        read_whatever(f"ffconcat version 1.0\nfile {url}\n".encode())
        with pytest.raises(BlockingIOError):
            server.accept()


def test_attachments_of_matroska_are_left_alone():
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as out:
        video = out.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        out.add_attachment("../../evil.png", "image/png", b"\x89PNG\r\n\x1a\n" + bytes(200))
        image = av.VideoFrame.from_ndarray(noise(1)).reformat(format="yuv420p")
        image.pts = 0
        out.mux(video.encode(image))
        out.mux(video.encode(None))
    file.seek(0)
    _, frames = read(file, "matroska")
    assert len(frames) == 1
