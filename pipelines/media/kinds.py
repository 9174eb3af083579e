"""A file's format by its first bytes, never by its name or what the sender claims.

FFmpeg is always given the demuxer that is found here: left to guess, it also accepts playlists and scripts, which name
other files and addresses to open.
"""

import re
from dataclasses import dataclass
from typing import Literal

from pipelines.text.encodings import has_no_controls, is_text

HEAD_BYTES = 8192
"""How many first bytes `sniff` looks at."""

Family = Literal["image", "audio", "video", "document"]


@dataclass(frozen=True)
class Kind:
    """A file format.

    Attributes:
        name: short name ("png", "mp4", "pdf").
        families: what it can hold: most containers may hold audio, video or both, and any image may be a scan.
        container: FFmpeg's demuxer for audio and video.
    """

    name: str
    families: frozenset[Family]
    container: str = ""


def _image(name: str) -> Kind:
    return Kind(name, frozenset({"image", "document"}))


def _audio(name: str, container: str) -> Kind:
    return Kind(name, frozenset({"audio"}), container)


def _video(name: str, container: str) -> Kind:
    return Kind(name, frozenset({"audio", "video"}), container)


def _document(name: str) -> Kind:
    return Kind(name, frozenset({"document"}))


_PREFIXES: tuple[tuple[bytes, Kind], ...] = (
    (b"\x89PNG\r\n\x1a\n", _image("png")),
    (b"\xff\xd8\xff", _image("jpeg")),
    (b"GIF87a", _image("gif")),
    (b"GIF89a", _image("gif")),
    (b"II*\x00", _image("tiff")),
    (b"MM\x00*", _image("tiff")),
    (b"fLaC", _audio("flac", "flac")),
    (b"#!AMR", _audio("amr", "amr")),
    (b"caff", _audio("caf", "caf")),
    (b".snd", _audio("au", "au")),
    (b"\x0b\x77", _audio("ac3", "ac3")),
    (b"OggS", _video("ogg", "ogg")),
    (b"\x1a\x45\xdf\xa3", _video("matroska", "matroska")),
    (b"\x00\x00\x01\xba", _video("mpeg", "mpeg")),
    (b"FLV\x01", _video("flv", "flv")),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", _video("asf", "asf")),
    (b"PK\x03\x04", _document("zip")),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", _document("doc")),
)

_RIFF = {
    b"WEBP": _image("webp"),
    b"WAVE": _audio("wav", "wav"),
    b"AVI ": _video("avi", "avi"),
}

_FORM = {b"AIFF": _audio("aiff", "aiff"), b"AIFC": _audio("aiff", "aiff")}

_FTYP_IMAGES = {
    b"avif": _image("avif"),
    b"avis": _image("avif"),
    b"heic": _image("heic"),
    b"heix": _image("heic"),
    b"mif1": _image("heic"),
    b"msf1": _image("heic"),
}

_MOV_ATOMS = frozenset({b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"})
_TS_PACKET_BYTES = 188
_PDF_HEADER_WITHIN = 1024
_PDF_LINE = re.compile(rb"^\W*%PDF-\d", re.MULTILINE)


def sniff(head: bytes) -> Kind | None:
    """Detect a file's format.

    Args:
        head: its first bytes, up to `HEAD_BYTES`.

    Returns:
        The kind; `None` for bytes that are neither a known format nor text.
    """
    if has_no_controls(head):  # "caffeine", "The free …" and "ID3 tags" begin as media do
        return _by_text(head)
    for prefix, kind in _PREFIXES:
        if head.startswith(prefix):
            return kind
    return _by_header(head) or _by_frames(head) or _by_text(head)


def _by_header(head: bytes) -> Kind | None:
    """Formats that are named by their header or first box."""
    box, name = head[4:8], head[8:12]
    if head[:4] in (b"RIFF", b"RF64"):
        return _RIFF.get(name)
    if head[:4] == b"FORM":
        return _FORM.get(name)
    if box == b"ftyp" and name in _FTYP_IMAGES:
        return _FTYP_IMAGES[name]
    if box in _MOV_ATOMS:
        return _video("mp4", "mov")
    # Two letters may begin any text: a bitmap is known by the size of its header.
    if head[:2] == b"BM" and head[14:18] in (b"\x28\0\0\0", b"\x7c\0\0\0", b"\x6c\0\0\0", b"\x0c\0\0\0"):
        return _image("bmp")
    return None


def _by_frames(head: bytes) -> Kind | None:
    """Formats that are a sequence of frames, each with a sync word."""
    if head[:3] == b"ID3":
        return _audio("mp3", "mp3")
    if len(head) > 1 and head[0] == 0xFF:
        if head[1] & 0xF6 == 0xF0:
            return _audio("aac", "aac")
        if head[1] & 0xE0 == 0xE0 and head[1] & 0x06 in (0x02, 0x04):  # layer III or II; 0xFFFE begins UTF-16
            return _audio("mp3", "mp3")
    for start, step in ((0, _TS_PACKET_BYTES), (4, _TS_PACKET_BYTES + 4)):
        syncs = head[start : start + 3 * step + 1 : step]
        if len(syncs) == 4 and set(syncs) == {0x47}:
            return _video("mpegts", "mpegts")
    return None


def _by_text(head: bytes) -> Kind | None:
    """Documents that are text or begin with text."""
    # A text may speak of "%PDF-" within a line.
    if b"%PDF-" in head[:_PDF_HEADER_WITHIN] and (_PDF_LINE.search(head) or not has_no_controls(head)):
        return _document("pdf")
    if head.lstrip().startswith(b"{\\rtf"):
        return _document("rtf")
    return _document("txt") if is_text(head) else None
