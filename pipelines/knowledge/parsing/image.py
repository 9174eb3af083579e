"""Images as documents: their text is read by OCR. The images of a tiff are its pages, of others the first counts."""

from collections.abc import Iterator
from typing import BinaryIO

from pipelines.contracts.errors import UnusableMedia
from pipelines.knowledge.parsing import scan
from pipelines.knowledge.parsing.documents import Parsed, ReadLimits
from pipelines.media.image import find_pages, read_image


def parse(file: BinaryIO, limits: ReadLimits) -> Iterator[Parsed]:
    """How many pages there are, then each page; the one page of another image has no number.

    Raises:
        UnusableMedia: damaged, or with too many pages or pixels.
        ModelUnavailable: the reader is not installed.
    """
    frames = find_pages(file)
    if frames is None:
        yield None, list(scan.blocks(read_image(file, max_pixels=limits.pixels).rgb8()))
        return
    if len(frames) > limits.pages:
        raise UnusableMedia(f"The document has {len(frames):,} pages; the limit is {limits.pages:,}.")
    yield len(frames)
    for number, frame in enumerate(frames, 1):
        image = read_image(file, max_pixels=limits.pixels, frame=frame).rgb8()
        yield number, list(scan.blocks(image))
