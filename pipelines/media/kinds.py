"""A file's format by its first bytes, never by its name or what the sender claims.

FFmpeg is always given the demuxer that is found here: left to guess, it also accepts playlists and scripts, which name
other files and addresses to open.
"""

import re
from dataclasses import dataclass
from typing import BinaryIO, Literal

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
    (b"II+\x00", _image("tiff")),
    (b"MM\x00+", _image("tiff")),
    (b"fLaC", _audio("flac", "flac")),
    (b"#!AMR", _audio("amr", "amr")),
    (b"caff", _audio("caf", "caf")),
    (b".snd", _audio("au", "au")),
    (b"\x0b\x77", _audio("ac3", "ac3")),
    (b"\x77\x0b", _audio("ac3", "ac3")),
    (b"riff\x2e\x91\xcf\x11", _audio("w64", "w64")),
    (b"wvpk", _audio("wavpack", "wv")),
    (b"TTA1", _audio("tta", "tta")),
    (b"MAC ", _audio("ape", "ape")),
    (b"Creative Voice File", _audio("voc", "voc")),
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

_FTYP_IMAGES = {brand: _image("avif") for brand in (b"avif", b"avis", b"avio")} | {
    brand: _image("heic")
    for brand in (
        b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"heif",
        b"mif1", b"mif2", b"miaf", b"msf1",
    )
}  # fmt: skip

_MOV_ATOMS = frozenset(
    {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"junk", b"pict", b"udta", b"uuid", b"styp"}
)
_MAX_TAGS = 4
_TAG_HEADER_BYTES = 32
_BMP_HEADERS = frozenset(size.to_bytes(4, "little") for size in (12, 40, 52, 56, 64, 108, 124))
_TS_PACKET_BYTES = 188
_TS_PACKETS = re.compile(rb"(?s)" + b"|".join(rb"G(?:.{%d}G){4}" % (size - 1) for size in (188, 192, 204)))
_PS_PACK = re.compile(rb"(?s)\x00\x00\x01\xba[\x20-\x2f\x40-\x7f].*\x00\x00\x01[\xbb\xbd\xc0-\xef]")
_SYNC = re.compile(rb"\xff[\xe2-\xff]")

_MP3 = _audio("mp3", "mp3")
_AAC = _audio("aac", "aac")
_MPEGTS = _video("mpegts", "mpegts")
_MPEG = _video("mpeg", "mpeg")

_KBPS = {  # by version 1 and layer
    (True, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (True, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (False, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Bit rates of MPEG audio frames by their number; 0 is left open."""
_PDF_HEADER_WITHIN = 1024
_PDF_LINE = re.compile(rb"^[^\w\n]{0,16}%PDF-\d", re.MULTILINE)


def tag_bytes(head: bytes) -> int:
    """Length of the ID3v2 or APE tag that these bytes begin with; 0 if they begin with none."""
    if head[:3] == b"ID3" and len(head) >= 10 and max(head[6:10]) < 0x80:
        footer = 10 if head[5] & 0x10 else 0
        return 10 + footer + (head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9])
    if head[:8] == b"APETAGEX" and len(head) >= 32:
        return 32 + int.from_bytes(head[12:16], "little")
    return 0


def behind_tags(file: BinaryIO) -> int:
    """Where the recording begins in a file: behind its tags, of which there may be a few."""
    start = 0
    for _ in range(_MAX_TAGS):
        file.seek(start)
        start += tag_bytes(file.read(_TAG_HEADER_BYTES))
    return start


def sniff(head: bytes, behind: bytes = b"") -> Kind | None:
    """Detect a file's format.

    Args:
        head: its first bytes, up to `HEAD_BYTES`.
        behind: likewise, behind the tags that it begins with, if the head does not reach so far.

    Returns:
        The kind; `None` for bytes that are neither a known format nor text.
    """
    if has_no_controls(head):  # "caffeine", "The free …" and "ID3 tags" begin as media do
        return _by_text(head)
    if size := tag_bytes(head):
        tagged = sniff(behind or head[size:])
        return tagged if tagged is not None and "audio" in tagged.families else _MP3
    for prefix, kind in _PREFIXES:
        if head.startswith(prefix):
            return kind
    return _by_header(head) or _by_frames(head) or _by_frames_within(head) or _by_text(head)


def _by_header(head: bytes) -> Kind | None:
    """Formats that are named by their header or first box."""
    box, name = head[4:8], head[8:12]
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64"):
        return _RIFF.get(name)
    if head[:4] == b"FORM":
        return _FORM.get(name)
    if box == b"ftyp" and name in _FTYP_IMAGES:
        return _FTYP_IMAGES[name]
    if box in _MOV_ATOMS:
        return _video("mp4", "mov")
    # Two letters may begin any text: a bitmap is known by the size of its header.
    if head[:2] == b"BM" and head[14:18] in _BMP_HEADERS:
        return _image("bmp")
    return None


def _by_frames(head: bytes) -> Kind | None:
    """Formats that are a sequence of frames, each with a sync word."""
    if head[:3] == b"ID3":
        return _MP3
    if len(head) > 1 and head[0] == 0xFF:
        if head[1] & 0xF6 == 0xF0:
            return _AAC
        if head[1] & 0xE0 == 0xE0 and head[1] & 0x06 in (0x02, 0x04):  # layer III or II; 0xFFFE begins UTF-16
            return _MP3
    for start, step in ((0, _TS_PACKET_BYTES), (4, _TS_PACKET_BYTES + 4)):
        syncs = head[start : start + 3 * step + 1 : step]
        if len(syncs) == 4 and set(syncs) == {0x47}:
            return _MPEGTS
    return None


def _by_frames_within(head: bytes) -> Kind | None:
    """The same, if the recording does not begin with a frame: whole frames or packets further on."""
    if _TS_PACKETS.search(head):
        return _MPEGTS
    if _PS_PACK.search(head):
        return _MPEG
    for found in _SYNC.finditer(head):
        for kind, length in ((_AAC, _adts_bytes), (_MP3, _mpeg_audio_bytes)):
            at, count = found.start(), 0
            while count < 3 and (step := length(head[at : at + 7])):
                at, count = at + step, count + 1
            if count == 3:
                return kind
    return None


def _adts_bytes(header: bytes) -> int:
    """Length of the AAC frame with this header; 0 if it is none."""
    if len(header) < 7 or header[0] != 0xFF or header[1] & 0xF6 != 0xF0:
        return 0
    return (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5


def _mpeg_audio_bytes(header: bytes) -> int:
    """Likewise of the MPEG audio frame, layer II or III."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return 0
    version, layer, number, rate = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3), header[2] >> 4, header[2] >> 2 & 3
    if version == 1 or layer not in (2, 3) or number in (0, 15) or rate == 3:
        return 0
    kbps = _KBPS[version == 3, layer][number]
    rate_hz = (44_100, 48_000, 32_000)[rate] >> {3: 0, 2: 1, 0: 2}[version]
    samples = 576 if layer == 3 and version != 3 else 1152
    return samples // 8 * kbps * 1000 // rate_hz + (header[2] >> 1 & 1)


def _by_text(head: bytes) -> Kind | None:
    """Documents that are text or begin with text."""
    start = head[:_PDF_HEADER_WITHIN]
    # A text may speak of "%PDF-" within a line.
    if _PDF_LINE.search(start) or (b"%PDF-" in start and not has_no_controls(head)):
        return _document("pdf")
    if head.lstrip().startswith(b"{\\rtf"):
        return _document("rtf")
    if b"PK\x03\x04" in start:  # behind a mark or a header that was left on
        return _document("zip")
    return _document("txt") if is_text(head) else None
