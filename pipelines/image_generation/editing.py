"""Edits: one image, the area of it that may change, and what is asked of the changed ones."""

from dataclasses import dataclass

from pipelines.contracts.errors import InvalidInput
from pipelines.image_generation.base import MAX_SIDE_PX, Area, ImageRequest
from pipelines.media import Rgb
from pipelines.media.image import DecodedImage

MAX_ASPECT = 8
"""Longer side by shorter side; models do not draw longer strips."""


@dataclass(frozen=True)
class EditRequest:
    """Some changed versions of one image.

    Attributes:
        prompt: what they show.
        count: how many.
        seed: of the first; each has the next one.
        size: width and height; `None`: the image's own, as far as models can draw it.
    """

    prompt: str
    count: int
    seed: int
    size: tuple[int, int] | None = None

    def requests(self, image: Rgb) -> list[ImageRequest]:
        """One request for each version.

        Raises:
            InvalidInput: they would be too long and narrow.
        """
        rows, columns = image.shape[:2]
        scale = min(1.0, MAX_SIDE_PX / max(rows, columns))
        width, height = self.size or (round(columns * scale), round(rows * scale))
        if max(width, height) > MAX_ASPECT * min(width, height):
            raise InvalidInput(f"One side may be at most {MAX_ASPECT} times as long as the other: set `size`.", "size")
        return [ImageRequest(self.prompt, width, height, (self.seed + i) % 2**63) for i in range(self.count)]


def transparent_area(mask: DecodedImage, image: DecodedImage) -> Area:
    """Where a mask is fully transparent: there the image is edited.

    Raises:
        InvalidInput: the mask has another size than the image, or no transparent pixel.
    """
    rows, columns = image.pixels.shape[:2]
    if mask.pixels.shape[:2] != (rows, columns):
        raise InvalidInput(f"The mask must be as large as the image: {columns} x {rows} pixels.", "mask")
    if mask.alpha is None or mask.alpha.all():
        raise InvalidInput("The mask has no transparent pixel: make it transparent where the image is edited.", "mask")
    area: Area = mask.alpha == 0
    return area
