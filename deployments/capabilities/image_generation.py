"""Image generation: prompts in, images in the object store out."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

from deployments.capabilities.base import Capability
from deployments.capabilities.batching import Batcher
from deployments.capabilities.protocol import CallEvent
from deployments.settings import Settings
from deployments.storage import Bucket, image_name
from pipelines.contracts.errors import InvalidInput
from pipelines.contracts.progress import Progress
from pipelines.image_generation import ImageGenerator, ImageOrRefusal, ImageRequest
from pipelines.media.image import DecodedImage, write_png


class ImageGeneration(Capability[ImageGenerator]):
    """Makes images from prompts; concurrent requests of equal size share a batch."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._batcher = Batcher(
            self._make, batch_key=lambda request: (request.width, request.height), max_batch_size=self._max_batch_size
        )

    async def generate(self, requests: Sequence[ImageRequest]) -> AsyncIterator[CallEvent]:
        """Make one image per request; the result is their keys, in order."""

        async def publish(made: list[ImageOrRefusal]) -> dict[str, Any]:
            images = await asyncio.to_thread(lambda: [_png(image) for image in made])
            keys = [image_name(Bucket.GENERATED) for _ in images]
            for key, image in zip(keys, images, strict=True):
                await self.store.put_bytes(key, image, "image/png")
            return {"images": keys}

        async for event in self.follow(lambda progress: self._batcher.submit(requests, progress), publish):
            yield event

    async def _make(self, requests: Sequence[ImageRequest], progress: Progress) -> list[ImageOrRefusal]:
        return await self.in_engine(lambda generator: generator.generate(requests, progress=progress))

    def _max_batch_size(self) -> int:
        return 1 if self.slot.engine is None else self.slot.engine.max_batch


def _png(made: ImageOrRefusal) -> bytes:
    """One image as a file; a refusal fails its call."""
    if isinstance(made, InvalidInput):
        raise made
    return write_png(DecodedImage(made))
