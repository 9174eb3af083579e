"""Keys of the store: how they are made and checked; and the bytes that a `Range` header means."""

import re
import secrets
import string
import uuid
from datetime import UTC, datetime
from enum import StrEnum
from typing import Literal

from deployments.storage.errors import RangeNotSatisfiable
from pipelines.contracts.errors import NotFound

ByteRange = tuple[int | None, int | None]
"""First and last byte as in a `Range` header: (0, 99), (100, None), or (None, 100) for the last hundred."""

# No segment starts with a dot: that keeps out "..", the signing key and whatever else is hidden.
_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}(?:/[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}){0,7}")
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})", re.IGNORECASE)


class Bucket(StrEnum):
    """Folders of results that are served by signed URL, one for each capability that makes images."""

    GENERATED = "stable-diffusion"
    SEGMENTED = "sam"
    ENHANCED = "realesrgan"


SWEPT = ("uploads", "static", *Bucket)
"""Folders whose old objects are deleted."""


def image_name(bucket: Bucket) -> str:
    """A new key `<bucket>/<8 random lower-case letters><yymmddHHMMSS>.png`, in UTC."""
    letters = "".join(secrets.choice(string.ascii_lowercase) for _ in range(8))
    return f"{bucket}/{letters}{datetime.now(UTC):%y%m%d%H%M%S}.png"


def video_name(folder: Literal["static/video", "static/img/svd"]) -> str:
    """A new key `<folder>/<uuid4>.mp4`."""
    return f"{folder}/{uuid.uuid4()}.mp4"


def upload_name() -> str:
    """A new key `uploads/<uuid4>`."""
    return f"uploads/{uuid.uuid4()}"


def check_key(key: str) -> None:
    """Refuse an invalid key.

    A key is up to eight segments of ASCII letters, digits, `_`, `-` and `.`, each beginning with one of the first
    three, without `..`.

    Raises:
        NotFound: there can be no object of that name.
    """
    if not _KEY.fullmatch(key) or ".." in key:
        raise NotFound("There is no such file.")


def parse_range(header: str | None) -> ByteRange | None:
    """Parse a `Range` header (RFC 9110, 14.2); anything but one range of bytes is ignored, as the RFC allows."""
    found = _RANGE.fullmatch(header or "")
    if not found or found[1] == found[2] == "":
        return None
    first, last = (int(digits) if digits else None for digits in found.groups())
    if first is not None and last is not None and first > last:
        return None
    return first, last


def span(byte_range: ByteRange | None, size: int) -> tuple[int, int]:
    """The half-open range of bytes that `byte_range` means in an object of `size` bytes.

    Raises:
        RangeNotSatisfiable: the object has none of them.
    """
    if byte_range is None:
        return 0, size
    first, last = byte_range
    if first is None:
        start, stop = max(0, size - (last or 0)), size
    else:
        start, stop = first, size if last is None else min(last + 1, size)
    if start >= stop:
        raise RangeNotSatisfiable("The file has no such bytes.", size)
    return start, stop
