"""HEIC photos as phones write them (ISO/IEC 23008-12): HEVC images in boxes, in one piece or as a grid of tiles."""

import io
import struct

import av
import numpy as np


def heic(rgb: np.ndarray, *, turns: int = 0, rows: int = 1, columns: int = 1) -> bytes:
    """An image (H, W, 3), to be shown turned left by `turns` quarters; each tile has even sides."""
    height, width = rgb.shape[0] // rows, rgb.shape[1] // columns
    tiles = [
        _hevc(rgb[row * height : (row + 1) * height, column * width : (column + 1) * width])
        for row in range(rows)
        for column in range(columns)
    ]
    grid = struct.pack(">4BHH", 0, 0, rows - 1, columns - 1, rgb.shape[1], rgb.shape[0])
    items = [(b"grid", grid), *((b"hvc1", data) for _, data in tiles)]
    properties = _box(
        b"ipco",
        tiles[0][0],
        _full(b"ispe", struct.pack(">II", width, height)),
        _full(b"ispe", struct.pack(">II", rgb.shape[1], rgb.shape[0])),
        _box(b"irot", bytes([turns])),
        _box(b"colr", b"nclx", struct.pack(">3HB", 1, 13, 6, 0x80)),
    )
    used = [(3, 0x84), *[(0x81, 2, 5)] * len(tiles)]  # by number; 0x80: the reader must know it
    numbers = range(1, len(items) + 1)
    associations = [struct.pack(">HB", i, len(of)) + bytes(of) for i, of in zip(numbers, used, strict=True)]
    entries = [
        _full(b"infe", struct.pack(">HH", i, 0) + kind + b"\0", version=2)
        for i, (kind, _) in zip(numbers, items, strict=True)
    ]
    parts = b"".join(struct.pack(">H", i) for i in numbers[1:])
    start = _box(b"ftyp", b"heic", bytes(4), b"mif1heic")

    def meta(at: int) -> bytes:
        places = []
        for i, (_, data) in zip(numbers, items, strict=True):
            places.append(struct.pack(">3HII", i, 0, 1, at, len(data)))
            at += len(data)
        return _full(
            b"meta",
            _full(b"hdlr", bytes(4) + b"pict" + bytes(13)),
            _full(b"pitm", struct.pack(">H", 1)),
            _full(b"iloc", b"\x44\x00", struct.pack(">H", len(items)), *places),
            _full(b"iinf", struct.pack(">H", len(items)), *entries),
            _full(b"iref", _box(b"dimg", struct.pack(">HH", 1, len(tiles)), parts)),
            _box(b"iprp", properties, _full(b"ipma", struct.pack(">I", len(items)), *associations)),
        )

    first = len(start) + len(meta(0)) + 8
    return start + meta(first) + _box(b"mdat", *(data for _, data in items))


def _hevc(rgb: np.ndarray) -> tuple[bytes, bytes]:
    """The decoder's configuration box and the coded image."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as out:
        stream = out.add_stream("libx265", rate=1, options={"x265-params": "log-level=none:keyint=1:crf=4"})
        stream.height, stream.width = rgb.shape[:2]
        stream.pix_fmt = "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb))
        out.mux(stream.encode(frame.reformat(format="yuv420p", dst_colorspace=5, dst_color_range=2)))
        out.mux(stream.encode(None))
    written = file.getvalue()
    at = written.index(b"hvcC") - 4
    configuration = written[at : at + int.from_bytes(written[at : at + 4], "big")]
    with av.open(io.BytesIO(written), "r") as source:
        return configuration, bytes(next(source.demux(source.streams.video[0])))


def _box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I", 8 + len(body)) + kind + body


def _full(kind: bytes, *parts: bytes, version: int = 0) -> bytes:
    return _box(kind, bytes([version, 0, 0, 0]), *parts)
