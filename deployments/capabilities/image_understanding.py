"""Image understanding: an image in; caption, classes and an image of its segments out."""

from collections.abc import AsyncIterator
from typing import Any

from deployments.capabilities.base import Capability
from deployments.capabilities.progress import CallProgress
from deployments.capabilities.protocol import CallEvent, Source
from deployments.storage import Bucket, image_name
from pipelines.image_understanding import ImageUnderstander
from pipelines.image_understanding.draw import draw_masks
from pipelines.media.image import DecodedImage, fit, read_image, write_png

LONG_SIDE_PX = 1536


class ImageUnderstanding(Capability[ImageUnderstander]):
    """Describes images."""

    async def describe(self, source: Source) -> AsyncIterator[CallEvent]:
        """Describe one upload; the result is `caption`, `classification` and the key of the `segmentation` image."""

        def work(understander: ImageUnderstander, progress: CallProgress) -> tuple[dict[str, Any], bytes]:
            with self.store.open_reader(source.key) as file:
                uploaded = read_image(file, max_pixels=self.settings.max_pixels)
            image = fit(uploaded.rgb8(), LONG_SIDE_PX)
            found = understander.describe(image, progress=progress)
            text = {"caption": found.caption, "classification": " ".join(found.classes)}
            return text, write_png(DecodedImage(draw_masks(image, found.masks)))

        async def publish(described: tuple[dict[str, Any], bytes]) -> dict[str, Any]:
            text, segmentation = described
            key = image_name(Bucket.SEGMENTED)
            await self.store.put_bytes(key, segmentation, "image/png")
            return {**text, "segmentation": key}

        async for event in self.run(work, publish):
            yield event
