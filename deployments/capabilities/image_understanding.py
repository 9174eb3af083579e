"""Image understanding: a picture in; caption, classes and a picture of its segments out."""

from collections.abc import AsyncIterator
from typing import Any

from pydantic import TypeAdapter

from deployments.capabilities.base import CallEvent, Capability, Source, Ticket
from deployments.storage import picture_name
from pipelines import image_understanding
from pipelines.image_understanding import ImageUnderstander
from pipelines.image_understanding.draw import draw_masks
from pipelines.media.image import Picture, fit, read_image, write_png

LONG_SIDE_PX = 1536


class ImageUnderstanding(Capability[image_understanding.Config, ImageUnderstander]):
    """Describes pictures."""

    config = TypeAdapter(image_understanding.Config)

    def load(self, config: image_understanding.Config) -> ImageUnderstander:
        """Make the engine."""
        return config.load()

    async def describe(self, source: Source) -> AsyncIterator[CallEvent]:
        """Describe one upload; the result is `caption`, `classification` and the key of the `segmentation` picture."""

        def work(understander: ImageUnderstander, ticket: Ticket) -> tuple[dict[str, Any], bytes]:
            with self.store.open_reader(source.key) as file:
                picture = read_image(file, max_pixels=self.settings.max_pixels)
            image = fit(picture.rgb8(), LONG_SIDE_PX)
            found = understander.describe(image, progress=ticket)
            told = {"caption": found.caption, "classification": " ".join(found.classes)}
            return told, write_png(Picture(draw_masks(image, found.masks)))

        async def publish(described: tuple[dict[str, Any], bytes]) -> dict[str, Any]:
            told, segmentation = described
            key = picture_name("sam")
            await self.store.put_bytes(key, segmentation, "image/png")
            return {**told, "segmentation": key}

        async for event in self.run(work, publish):
            yield event
