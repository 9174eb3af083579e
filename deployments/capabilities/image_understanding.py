"""Image understanding: an image in; caption, classes, its text and an image of its segments out."""

from collections.abc import AsyncIterator
from typing import Any

from deployments.capabilities.base import Capability
from deployments.capabilities.progress import CallProgress
from deployments.capabilities.protocol import CallEvent, Source
from deployments.storage import Bucket, image_name
from pipelines.contracts.engine import EngineConfig
from pipelines.image_understanding import ImageUnderstander
from pipelines.image_understanding.draw import draw_masks
from pipelines.media.image import DecodedImage, fit, read_image, write_png
from pipelines.text.ocr import TextReader

LONG_SIDE_PX = 1536

Engines = tuple[ImageUnderstander, TextReader]


class ImageUnderstanding(Capability[Engines]):
    """Describes images, and reads what is written in them."""

    def load(self, config: EngineConfig) -> Engines:
        """Load the engine, and the text reader that goes with every engine."""
        return config.load(self.resources), TextReader.load()

    async def describe(self, source: Source) -> AsyncIterator[CallEvent]:
        """Describe one upload: `caption`, `classification`, `text` and the key of the `segmentation` image."""

        def work(engines: Engines, progress: CallProgress) -> tuple[dict[str, Any], bytes]:
            understander, reader = engines
            with self.store.open_reader(source.key) as file:
                original = read_image(file, max_pixels=self.settings.max_pixels).rgb8()
            image = fit(original, LONG_SIDE_PX)
            found = understander.describe(image, progress=progress)
            progress(None, "reading")
            lines = reader.read(original)
            answer = {
                "caption": found.caption,
                "classification": " ".join(found.classes),
                "text": "\n".join(line.text for line in lines),
            }
            return answer, write_png(DecodedImage(draw_masks(image, found.masks)))

        async def publish(described: tuple[dict[str, Any], bytes]) -> dict[str, Any]:
            answer, segmentation = described
            key = image_name(Bucket.SEGMENTED)
            await self.store.put_bytes(key, segmentation, "image/png")
            return {**answer, "segmentation": key}

        async for event in self.run(work, publish):
            yield event
