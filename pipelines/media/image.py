"""Decodes untrusted still images, and encodes PNG.

Pillow identifies a file and decodes 8-bit samples, with pi-heif (BSD-3-Clause; its wheel carries libheif and libde265,
LGPL-3.0) for HEIC, the photos of phones. It reads 16-bit color as 8-bit, so OpenCV decodes those files once Pillow has
checked their format, size and integrity. Animations give their first frame, HEIC its primary image; 10- and 12-bit AVIF
and HEIC are read as 8-bit. Vector and page formats are not read at all.
"""

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from pipelines.contracts.errors import TooManyPixels, UnsupportedMedia, UnusableMedia
from pipelines.media import Rgb

if TYPE_CHECKING:
    from PIL import Image
    from PIL.ImageCms import ImageCmsProfile

Samples = NDArray[np.uint8 | np.uint16]

FORMATS: Final = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF")
MODES: Final = {"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV"}
GRAY_16_BIT: Final = {"I;16", "I;16L", "I;16B", "I;16N"}
MAX_SIDE_PX: Final = 65_535
MAX_JPEG_SCANS: Final = 500
"""A small progressive JPEG with very many scans takes hours; libjpeg-turbo's own fuzzers also stop at 500."""

ORIENTATION: Final = 0x0112
RESOLUTION: Final = (0x011A, 0x011B)
SIZE: Final = ((0x0100, 0x0101), (0xA002, 0xA003))
"""Width and height in the main directory, and in the Exif directory."""
EXIF_DIRECTORY: Final = 0x8769
TIFF_DESCRIPTION: Final = {0x010E, 0x010F, 0x0110, ORIENTATION, *RESOLUTION, 0x0128, 0x0131, 0x0132, 0x013B, 0x8298}
"""The tags of a TIFF's own directory that describe the image; the others say how that file stores it."""
BITS_PER_SAMPLE: Final = 0x0102
SUBFILE_TYPE: Final = 0x00FE
REDUCED: Final = 1
MASK: Final = 4
"""Bits of a TIFF's subfile type: the image is a smaller copy, or the transparency, of another."""
DIRECTORIES: Final = {EXIF_DIRECTORY, 0x8825}

_READ_ERRORS: Final = (
    OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, OverflowError, RuntimeError,
    struct.error,
)  # fmt: skip
"""What Pillow raises on damaged bytes; it has no base class for them."""
_DAMAGED: Final = "The image is damaged or truncated."

_UPRIGHT: Final[dict[int, Callable[[Samples], Samples]]] = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a.swapaxes(0, 1)[:, ::-1],
    7: lambda a: a.swapaxes(0, 1)[::-1, ::-1],
    8: lambda a: a.swapaxes(0, 1)[::-1],
}


@dataclass(frozen=True)
class DecodedImage:
    """A decoded still image, upright.

    Attributes:
        pixels: uint8 or uint16 (H, W, 3), RGB in the color space of `icc_profile`, or sRGB.
        alpha: (H, W) of the same dtype, 0 is transparent, not premultiplied; `None` if the file has none.
        exif: TIFF-structured EXIF without orientation and thumbnail, or `None`.
        icc_profile: an RGB profile, or `None`.
    """

    pixels: Samples
    alpha: Samples | None = None
    exif: bytes | None = None
    icc_profile: bytes | None = None

    def rgb8(self) -> Rgb:
        """The image as most algorithms want it: uint8 (H, W, 3), sRGB, composited over white."""
        from PIL import Image

        rgb = _eight_bits(self.pixels)
        if self.icc_profile is not None:
            rgb = np.asarray(_to_srgb(Image.fromarray(rgb), _open_profile(self.icc_profile)))
        if self.alpha is None:
            return rgb
        alpha = _eight_bits(self.alpha)[..., None].astype(np.uint16)
        return ((rgb * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def find_pages(file: BinaryIO) -> list[int] | None:
    """The frames of a TIFF that are pages, not thumbnails or masks; `None` for a format without pages.

    Raises:
        UnsupportedMedia, UnusableMedia: as `read_image`.
    """
    image = _open(file)
    if image.format != "TIFF":
        return None
    try:
        return [frame for frame in range(getattr(image, "n_frames", 1)) if _is_page(image, frame)]
    except _READ_ERRORS as error:
        raise UnusableMedia(_DAMAGED) from error


def _is_page(image: "Image.Image", frame: int) -> bool:
    image.seek(frame)
    return not getattr(image, "tag_v2", {}).get(SUBFILE_TYPE, 0) & (REDUCED | MASK)


def read_image(file: BinaryIO, *, max_pixels: int, frame: int = 0) -> DecodedImage:
    """Decode a still image, or one frame of an animation or of a file with pages.

    EXIF or a color profile that cannot be read is dropped, as browsers do.

    Args:
        file: seekable; stays open.
        max_pixels: limit of width × height, checked before anything is decoded. Pillow's own limit applies as well.
        frame: which one; counts from 0.

    Raises:
        UnsupportedMedia: not one of `FORMATS`.
        TooManyPixels: more pixels than `max_pixels`, or a side longer than `MAX_SIDE_PX`.
        UnusableMedia: empty, truncated or damaged, or with samples of other than 8 or 16 bits.
    """
    image = _open(file)
    try:
        if frame:  # HEIC opens at its primary image, which need not be the first
            image.seek(frame)
    except _READ_ERRORS as error:
        raise UnusableMedia(_DAMAGED) from error
    width, height = image.size
    if width * height > max_pixels or max(width, height) > MAX_SIDE_PX:
        raise TooManyPixels(
            f"The image has {width} × {height} pixels; the limit is {max_pixels:,}, and {MAX_SIDE_PX:,} on a side."
        )
    try:
        pixels, alpha = _decode(image, file)
        orientation, exif = _read_exif(image)
    except _READ_ERRORS as error:
        raise UnusableMedia(_DAMAGED) from error
    if turn := _UPRIGHT.get(orientation):
        pixels = turn(pixels)
        alpha = None if alpha is None else turn(alpha)
    return DecodedImage(
        pixels=np.ascontiguousarray(pixels),
        alpha=None if alpha is None else np.ascontiguousarray(alpha),
        exif=exif,
        icc_profile=_rgb_profile(image.info.get("icc_profile")),
    )


def write_png(image: DecodedImage) -> bytes:
    """Encode as PNG with the image's bit depth, alpha, EXIF and color profile."""
    import cv2

    if image.alpha is None:
        samples = cv2.cvtColor(image.pixels, cv2.COLOR_RGB2BGR)
    else:
        samples = np.dstack([image.pixels[..., ::-1], image.alpha])
    metadata = {cv2.IMAGE_METADATA_EXIF: image.exif, cv2.IMAGE_METADATA_ICCP: image.icc_profile}
    present = {kind: np.frombuffer(data, np.uint8)[None] for kind, data in metadata.items() if data}
    _, png = cv2.imencodeWithMetadata(".png", samples, list(present), list(present.values()))
    return bytes(png)


def fit(image: Rgb, max_side: int) -> Rgb:
    """Shrink so that neither side is longer than `max_side` px; a smaller image is returned as it is."""
    from PIL import Image

    rows, columns = image.shape[:2]
    scale = max_side / max(rows, columns)
    if scale >= 1:
        return image
    size = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS))


def enlarged_exif(exif: bytes, width: int, height: int, scale: int) -> bytes:
    """EXIF of the same image with `scale` times the pixels on each side, so that it still prints at the same size.

    Args:
        exif: as in `DecodedImage.exif`.
        width: the new width, px.
        height: the new height, px.
        scale: factor of the resolution in pixels per inch or centimeter.
    """
    from PIL import Image

    tags = Image.Exif()
    tags.load(exif)
    details = tags.get_ifd(EXIF_DIRECTORY)
    for directory, names in zip((tags, details), SIZE, strict=True):
        for name, side in zip(names, (width, height), strict=True):
            if name in directory:
                directory[name] = side
    for name in RESOLUTION:
        if name in tags:
            tags[name] = tags[name] * scale
    return _serialized(tags)


def _open(file: BinaryIO) -> "Image.Image":
    from pi_heif import register_heif_opener
    from PIL import Image, UnidentifiedImageError

    register_heif_opener()
    try:
        return Image.open(file, formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise TooManyPixels("The image has too many pixels.") from error
    except UnidentifiedImageError as error:
        file.seek(0)
        head = file.read(16)
        if not head:
            raise UnusableMedia("The image file is empty.") from error
        if any(accept and accept(head) is True for _, accept in map(Image.OPEN.__getitem__, FORMATS)):
            raise UnusableMedia(_DAMAGED) from error
        raise UnsupportedMedia(f"Unsupported image format. Supported: {', '.join(FORMATS)}.") from error
    except _READ_ERRORS as error:
        raise UnusableMedia(_DAMAGED) from error


def _decode(image: "Image.Image", file: BinaryIO) -> tuple[Samples, Samples | None]:
    """Pixels and alpha, as stored: not yet upright."""
    if image.format in {"JPEG", "MPO"}:
        file.seek(0)
        if file.read().count(b"\xff\xda") > MAX_JPEG_SCANS:
            raise UnusableMedia("The JPEG has too many scans.")
    if image.format == "HEIF" and not _has_all_data(file):
        raise UnusableMedia(_DAMAGED)
    bits = _bits_per_sample(image)
    if image.mode in GRAY_16_BIT:
        return _decode_gray_16_bit(image, bits)
    if image.mode not in MODES:
        raise UnusableMedia("Only images of 8 or 16 bits per sample are supported.")
    if bits == 16:
        return _decode_color_16_bit(image, file)
    if image.has_transparency_data:
        rgba = np.asarray(image.convert("RGBA"))
        return rgba[..., :3], rgba[..., 3]
    if image.mode == "CMYK" and (profile := _usable_profile(image.info.get("icc_profile"), "CMYK")):
        return np.asarray(_to_srgb(image, profile)), None
    return np.asarray(image.convert("RGB")), None


def _has_all_data(file: BinaryIO) -> bool:
    """Whether no box of coded images is cut off: libheif leaves the tiles that are missing gray."""
    end, at = file.seek(0, io.SEEK_END), 0
    while at < end:
        file.seek(at)
        size, kind, long_size = struct.unpack(">I4sQ", file.read(16).ljust(16, b"\0"))
        size = long_size if size == 1 else size
        if kind == b"mdat" and at + size > end:
            return False
        if size < 8:
            break  # the last box, or bytes that are none
        at += size
    return True


def _bits_per_sample(image: "Image.Image") -> int:
    """As stored in the file, which Pillow's mode does not always show; 8 for formats that have no more."""
    if image.format == "TIFF":
        bits = getattr(image, "tag_v2", {}).get(BITS_PER_SAMPLE, (8,))
        return int(max(bits))
    if image.format == "PNG":
        tiles = getattr(image, "tile", [])  # cleared once the image is loaded
        return 16 if any(";16" in str(tile.args) for tile in tiles) else 8
    return 8


def _decode_gray_16_bit(image: "Image.Image", bits: int) -> tuple[Samples, Samples | None]:
    gray = np.asarray(image).astype(np.uint16)
    transparent = image.info.get("transparency")
    alpha = None if transparent is None else np.where(gray == transparent, 0, 65535).astype(np.uint16)
    if bits == 12:
        gray = np.asarray(gray << 4 | gray >> 8, np.uint16)
    return np.repeat(gray[..., None], 3, axis=2), alpha


def _decode_color_16_bit(image: "Image.Image", file: BinaryIO) -> tuple[Samples, Samples | None]:
    import cv2

    upper = np.asarray(image.convert("RGB"))
    file.seek(0)
    try:
        decoded = cv2.imdecode(np.frombuffer(file.read(), np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise UnusableMedia(_DAMAGED) from error
    if decoded is None:
        raise UnusableMedia(_DAMAGED)
    # OpenCV silently misreads a few TIFF layouts: Pillow's 8 bits must be the upper half of its 16.
    wide = np.asarray(decoded, np.uint16)
    rgb = wide[..., 2::-1]
    if decoded.dtype != np.uint16 or rgb.shape != upper.shape or not np.array_equal(rgb >> 8, upper):
        raise UnusableMedia("This layout of 16-bit images is not supported.")
    has_alpha = image.has_transparency_data and wide.shape[2] == 4
    return rgb, wide[..., 3] if has_alpha else None


def _eight_bits(samples: Samples) -> Rgb:
    if samples.dtype == np.uint8:
        return samples.astype(np.uint8, copy=False)
    return ((samples.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _read_exif(image: "Image.Image") -> tuple[int, bytes | None]:
    """Orientation, 1 to 8, and the EXIF without it; 1 and `None` if it cannot be read."""
    try:
        tags = image.getexif()
        if image.format == "TIFF":
            for tag in set(tags) - TIFF_DESCRIPTION - DIRECTORIES:
                del tags[tag]
        orientation = tags.pop(ORIENTATION, 1)
        exif = _serialized(tags) if len(tags) else None
    except _READ_ERRORS:
        return 1, None
    return orientation if isinstance(orientation, int) else 1, exif


def _serialized(tags: "Image.Exif") -> bytes:
    return tags.tobytes().removeprefix(b"Exif\x00\x00")


def _rgb_profile(data: bytes | None) -> bytes | None:
    return data if _usable_profile(data, "RGB") else None


def _usable_profile(data: bytes | None, color_space: str) -> "ImageCmsProfile | None":
    """The profile, if images of `color_space` can be converted from it to sRGB; otherwise `None`."""
    from PIL import ImageCms

    if not data:
        return None
    try:
        profile = _open_profile(data)
        ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), color_space, "RGB")
    except (ImageCms.PyCMSError, OSError):
        return None
    return profile


def _open_profile(data: bytes) -> "ImageCmsProfile":
    from PIL import ImageCms

    return ImageCms.ImageCmsProfile(io.BytesIO(data))


def _to_srgb(image: "Image.Image", profile: "ImageCmsProfile") -> "Image.Image":
    from PIL import ImageCms

    converted = ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
    if converted is None:
        raise UnusableMedia("The image's color profile cannot be applied.")
    return converted
