"""Still images: every supported format, and whatever else clients send."""

import io
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps

from pipelines.contracts.errors import SensoriumError, TooManyPixels, UnsupportedMedia, UnusableMedia
from pipelines.media.image import DecodedImage, enlarged_exif, fit, read_image, write_png
from pipelines.media.kinds import HEAD_BYTES, sniff
from tests.heif import heic

ORIENTATION, MAKER, X_RESOLUTION, EXIF_DIRECTORY, PIXEL_WIDTH = 0x0112, 0x010F, 0x011A, 0x8769, 0xA002
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def read(data: bytes, max_pixels: int = 1_000_000) -> DecodedImage:
    return read_image(io.BytesIO(data), max_pixels=max_pixels)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def scene(width: int = 37, height: int = 24) -> Image.Image:
    """Smooth and asymmetric, so that a rotated or mirrored one differs."""
    y, x = np.mgrid[:height, :width]
    return Image.fromarray(np.dstack([x * 6, y * 9, (x + 2 * y) * 2]).astype(np.uint8))


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, bits: int, color: int, rows: bytes, *extra: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(extra) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def png_16_bit(samples: NDArray[np.uint16], color: int, *extra: bytes) -> bytes:
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    return png(samples.shape[1], samples.shape[0], 16, color, rows, *extra)


@pytest.mark.parametrize(
    ("kind", "options", "tolerance"),
    [
        ("PNG", {}, 0),
        ("BMP", {}, 0),
        ("TIFF", {"compression": "tiff_lzw"}, 0),
        ("WEBP", {"lossless": True}, 0),
        ("JPEG", {"quality": 95, "subsampling": 0}, 12),
        ("AVIF", {"quality": 95}, 16),
        ("GIF", {}, 40),
    ],
)
def test_reads_every_supported_format(kind: str, options: dict[str, object], tolerance: int) -> None:
    decoded = read(encoded(scene(), kind, **options))
    assert decoded.pixels.dtype == np.uint8
    difference = np.abs(decoded.pixels.astype(int) - np.asarray(scene()).astype(int))
    assert difference.max() <= tolerance


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr"])
def test_reads_every_mode(mode: str) -> None:
    kind = {"CMYK": "JPEG", "YCbCr": "JPEG"}.get(mode, "PNG")
    image = scene().convert(mode)
    decoded = read(encoded(image, kind, **({"quality": 98} if kind == "JPEG" else {})))
    assert np.abs(decoded.rgb8().astype(int) - np.asarray(image.convert("RGB")).astype(int)).max() <= 30
    assert (decoded.alpha is not None) == (mode in {"LA", "RGBA"})


def test_palette_and_color_keys_become_alpha() -> None:
    palette = Image.new("P", (2, 1))
    palette.putpalette([255, 0, 0, 0, 0, 255])
    palette.putdata([0, 1])
    decoded = read(encoded(palette, "PNG", transparency=bytes([128, 255])))
    assert decoded.pixels.tolist() == [[[255, 0, 0], [0, 0, 255]]]
    assert decoded.alpha is not None
    assert decoded.alpha.tolist() == [[128, 255]]
    assert decoded.rgb8().tolist() == [[[255, 127, 127], [0, 0, 255]]]

    keyed = read(png(2, 1, 8, 2, b"\0" + bytes([9, 9, 9, 8, 8, 8]), chunk(b"tRNS", struct.pack(">HHH", 9, 9, 9))))
    assert keyed.alpha is not None
    assert keyed.alpha.tolist() == [[0, 255]]


@pytest.mark.parametrize(("color", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_16_bits_stay_16_bits(color: int, channels: int) -> None:
    samples = np.random.default_rng(color).integers(0, 65536, (5, 7, channels)).astype(np.uint16)
    decoded = read(png_16_bit(samples, color))
    assert decoded.pixels.dtype == np.uint16
    expected = samples[..., :3] if channels >= 3 else np.repeat(samples[..., :1], 3, axis=2)
    assert np.array_equal(decoded.pixels, expected)
    if channels in {2, 4}:
        assert decoded.alpha is not None
        assert np.array_equal(decoded.alpha, samples[..., -1])
    else:
        assert decoded.alpha is None
    again = read(write_png(decoded))
    assert np.array_equal(again.pixels, decoded.pixels)


@pytest.mark.parametrize("color", [0, 2])
def test_16_bit_color_keys_become_alpha(color: int) -> None:
    channels = 3 if color else 1
    samples = np.full((1, 2, channels), 5000, np.uint16)
    samples[0, 1] = 5001
    decoded = read(png_16_bit(samples, color, chunk(b"tRNS", struct.pack(">H", 5000) * channels)))
    assert decoded.alpha is not None
    assert decoded.alpha.tolist() == [[0, 65535]]


def test_16_bit_tiff() -> None:
    samples = np.random.default_rng(0).integers(0, 65536, (6, 5, 4)).astype(np.uint16)
    data = cv2.imencode(".tiff", samples)[1].tobytes()
    decoded = read(data)
    assert np.array_equal(decoded.pixels, samples[..., 2::-1])
    assert decoded.alpha is not None
    assert np.array_equal(decoded.alpha, samples[..., 3])


def test_real_16_bit_image_survives_a_round_trip(sample: Callable[[str], Path]) -> None:
    with sample("tree_rgba16.png").open("rb") as file:
        decoded = read_image(file, max_pixels=100_000)
    assert decoded.pixels.dtype == np.uint16
    assert len(np.unique(decoded.pixels)) > 256
    again = read(write_png(decoded))
    assert np.array_equal(again.pixels, decoded.pixels)
    assert np.array_equal(again.alpha, decoded.alpha)
    assert again.icc_profile == decoded.icc_profile != None  # noqa: E711


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_turns_upright_as_exif_says(orientation: int, kind: str) -> None:
    tags = Image.Exif()
    tags[ORIENTATION] = orientation
    tags[MAKER] = "Maker"
    data = encoded(scene(), kind, exif=tags, **({"lossless": True} if kind == "WEBP" else {}))
    decoded = read(data)
    assert np.array_equal(decoded.pixels, np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data)))))
    assert decoded.exif is not None
    kept = Image.Exif()
    kept.load(decoded.exif)
    assert dict(kept) == {MAKER: "Maker"}


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (2, 3)])
def test_photos_of_phones(turns: int, rows: int, columns: int) -> None:
    """Four quarters of one color each, in one piece and in tiles as phones write them, turned by the file."""
    quarters = np.array([[(200, 40, 40), (40, 160, 60)], [(30, 60, 200), (230, 230, 230)]], np.uint8)
    photo = quarters.repeat(64, 0).repeat(96, 1)
    data = heic(photo, turns=turns, rows=rows, columns=columns)
    kind = sniff(data[:HEAD_BYTES])
    assert kind is not None
    assert kind.name == "heic"
    decoded = read(data).rgb8()
    wanted = np.rot90(photo, turns)
    assert decoded.shape == wanted.shape
    assert np.abs(decoded.astype(int) - wanted)[16::32, 16::32].max() <= 4
    with pytest.raises(TooManyPixels):
        read(data, max_pixels=128 * 192 - 1)
    with pytest.raises(UnusableMedia):
        read(data[: len(data) // 2])


def test_png_keeps_exif_and_profile() -> None:
    tags = Image.Exif()
    tags[MAKER] = "Maker"
    decoded = read(encoded(scene(), "JPEG", exif=tags, icc_profile=SRGB))
    written = Image.open(io.BytesIO(write_png(decoded)))
    assert written.format == "PNG"
    assert written.info["icc_profile"] == SRGB
    assert dict(written.getexif()) == {MAKER: "Maker"}
    assert b"eXIf" + struct.pack(">2s", b"MM") in write_png(decoded), "no Exif header: the chunk is bare TIFF"


def test_enlarged_exif_fits_the_new_size_and_prints_at_the_same_size() -> None:
    tags = Image.Exif()
    tags[X_RESOLUTION] = 72.0
    tags[0x0100], tags[0x0101] = 30, 20
    tags.get_ifd(EXIF_DIRECTORY)[PIXEL_WIDTH] = 30
    larger = Image.Exif()
    larger.load(enlarged_exif(tags.tobytes(), 120, 80, 4))
    assert (larger[0x0100], larger[0x0101], larger[X_RESOLUTION]) == (120, 80, 288.0)
    assert larger.get_ifd(EXIF_DIRECTORY)[PIXEL_WIDTH] == 120


def test_wide_gamut_is_converted_to_srgb() -> None:
    """In a profile with red and blue swapped, what is stored as red is blue."""
    swapped = bytearray(SRGB)
    count = struct.unpack(">I", swapped[128:132])[0]
    entries = {bytes(swapped[132 + 12 * n : 136 + 12 * n]): 136 + 12 * n for n in range(count)}
    red, blue = entries[b"rXYZ"], entries[b"bXYZ"]
    swapped[red : red + 8], swapped[blue : blue + 8] = swapped[blue : blue + 8], swapped[red : red + 8]
    decoded = read(encoded(Image.new("RGB", (2, 2), (255, 0, 0)), "PNG", icc_profile=bytes(swapped)))
    assert decoded.pixels[0, 0].tolist() == [255, 0, 0]
    assert np.abs(decoded.rgb8()[0, 0].astype(int) - [0, 0, 255]).max() <= 2


@pytest.mark.parametrize("profile", [b"nonsense", SRGB[:200], SRGB[:16] + b"GRAY" + SRGB[20:]])
def test_unusable_profile_is_dropped(profile: bytes) -> None:
    decoded = read(encoded(scene(), "PNG", icc_profile=profile))
    assert decoded.icc_profile is None
    assert np.array_equal(decoded.rgb8(), np.asarray(scene()))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "exif", [b"Exif\0\0nonsense", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", b"Exif\0\0II*\0\xff\xff\xff\x7f"]
)
def test_unreadable_exif_is_dropped(exif: bytes) -> None:
    decoded = read(encoded(scene(), "JPEG", exif=exif))
    assert decoded.exif is None
    assert decoded.pixels.shape == (24, 37, 3)


def test_animations_give_their_first_frame() -> None:
    frames = [Image.new("RGB", (8, 6), color) for color in ("red", "lime", "blue")]
    for kind, options in (("GIF", {}), ("WEBP", {"lossless": True}), ("PNG", {})):
        decoded = read(encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options))
        assert decoded.pixels[0, 0].tolist() == [255, 0, 0], kind


@pytest.mark.parametrize(
    "data",
    [
        b"just text, nothing else",
        b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"%PDF-1.7\n",
        encoded(scene(), "ICO"),
        encoded(scene(), "PPM"),
        encoded(scene(), "JPEG2000"),
        b"RIFF\x24\0\0\0WAVEfmt ",
    ],
    ids=["text", "svg", "eps", "pdf", "ico", "ppm", "jp2", "wav"],
)
def test_other_kinds_are_unsupported(data: bytes) -> None:
    with pytest.raises(UnsupportedMedia):
        read(data)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
@pytest.mark.filterwarnings("ignore")
def test_truncated_is_unusable(kind: str) -> None:
    data = encoded(scene(200, 150), kind)
    for part in (0.2, 0.5, 0.8):
        with pytest.raises(UnusableMedia) as caught:
            read(data[: int(len(data) * part)])
        assert type(caught.value) is UnusableMedia


def test_truncated_16_bit_image_is_unusable(sample: Callable[[str], Path]) -> None:
    data = sample("tree_rgba16.png").read_bytes()
    with pytest.raises(UnusableMedia):
        read(data[: len(data) // 2])


def test_empty_is_unusable() -> None:
    with pytest.raises(UnusableMedia, match="empty"):
        read(b"")


def test_bomb_is_rejected_before_it_is_decoded() -> None:
    bomb = encoded(Image.new("1", (9000, 9000)), "PNG")
    assert len(bomb) < 20_000
    with pytest.raises(TooManyPixels, match="9000 × 9000"):
        read(bomb, max_pixels=25_000_000)
    declared = bytearray(encoded(Image.new("1", (9, 9)), "PNG"))
    declared[16:33] = struct.pack(">IIBBBBB", 60000, 60000, 1, 0, 0, 0, 0) + bytes(4)
    declared[29:33] = struct.pack(">I", zlib.crc32(declared[12:29]))
    with pytest.raises(TooManyPixels):
        read(bytes(declared))
    with pytest.raises(TooManyPixels):
        read(encoded(Image.new("1", (70_000, 1)), "PNG"))


def test_jpeg_with_too_many_scans_is_rejected() -> None:
    data = encoded(scene(64, 64), "JPEG", progressive=True)
    first = data.index(b"\xff\xda")
    last = data.rindex(b"\xff\xda")
    scan = data[last:-2]
    with pytest.raises(UnusableMedia, match="scans"):
        read(data[:first] + scan * 600 + data[-2:])


@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_other_sample_types_are_unusable(kind: type) -> None:
    values = np.full((4, 4), np.nan if kind is np.float32 else 70_000).astype(kind)
    with pytest.raises(UnusableMedia, match="bits"):
        read(encoded(Image.fromarray(values), "TIFF"))


@pytest.mark.filterwarnings("ignore")
def test_damaged_bytes_never_raise_anything_else() -> None:
    rng = random.Random(5)
    tags = Image.Exif()
    tags[ORIENTATION] = 6
    kinds = ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"]
    files = [encoded(scene(), kind, exif=tags) for kind in kinds] + [encoded(scene(), "GIF"), encoded(scene(), "BMP")]
    outcomes = {"read": 0, "rejected": 0}
    for _ in range(1500):
        data = bytearray(rng.choice(files))
        for _ in range(rng.choice([1, 3, 10])):
            data[rng.randrange(min(len(data), rng.choice([64, 400, 10_000])))] = rng.randrange(256)
        try:
            write_png(read(bytes(data)))
            outcomes["read"] += 1
        except SensoriumError:
            outcomes["rejected"] += 1
    print(outcomes)
    assert min(outcomes.values()) > 100


def test_fit_keeps_small_images_and_proportions() -> None:
    small = np.asarray(scene())
    assert fit(small, 37) is small
    assert fit(np.zeros((300, 900, 3), np.uint8), 90).shape == (30, 90, 3)
    assert fit(np.zeros((1, 5000, 3), np.uint8), 100).shape == (1, 100, 3)
