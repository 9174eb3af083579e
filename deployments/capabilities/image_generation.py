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
    """Makes images from prompts; those of equal size that are asked for at the same time are made together."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._batcher = Batcher(
            self._make, alike=lambda request: (request.width, request.height), most=self._largest_batch
        )

    async def generate(self, requests: Sequence[ImageRequest]) -> AsyncIterator[CallEvent]:
        """Make one image per request; the result is their keys, in order."""

        async def publish(made: list[ImageOrRefusal]) -> dict[str, Any]:
            images = await asyncio.to_thread(lambda: [_png(each) for each in made])
            keys = [image_name(Bucket.GENERATED) for _ in images]
            for key, picture in zip(keys, images, strict=True):
                await self.store.put_bytes(key, picture, "image/png")
            return {"images": keys}

        async for event in self.follow(lambda ticket: self._batcher.submit(requests, ticket), publish):
            yield event

    async def _make(self, requests: Sequence[ImageRequest], progress: Progress) -> list[ImageOrRefusal]:
        return await self.in_engine(lambda generator: generator.generate(requests, progress=progress))

    def _largest_batch(self) -> int:
        return 1 if self._engine is None else self._engine.max_batch


def _png(made: ImageOrRefusal) -> bytes:
    """One image as a file; a refused one refuses its call."""
    if isinstance(made, InvalidInput):
        raise made
    return write_png(DecodedImage(made))
