"""Image generation: prompts, or images to edit, in; images in the object store out."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

from deployments.capabilities.base import Capability
from deployments.capabilities.batching import Batcher
from deployments.capabilities.progress import CallProgress
from deployments.capabilities.protocol import CallEvent, Source
from deployments.settings import Settings
from deployments.storage import Bucket, image_name
from pipelines.contracts.errors import InvalidInput
from pipelines.contracts.progress import Progress
from pipelines.image_generation import EditRequest, ImageGenerator, ImageOrRefusal, ImageRequest
from pipelines.image_generation.editing import transparent_area
from pipelines.media.image import DecodedImage, read_image, write_png


class ImageGeneration(Capability[ImageGenerator]):
    """Makes images from prompts, and edits images; concurrent prompts of equal size share a batch."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._batcher = Batcher(
            self._make, batch_key=lambda request: (request.width, request.height), max_batch_size=self._max_batch_size
        )

    async def generate(self, requests: Sequence[ImageRequest]) -> AsyncIterator[CallEvent]:
        """Make one image per request; the result is their keys, in order."""

        async for event in self.follow(lambda progress: self._batcher.submit(requests, progress), self._publish):
            yield event

    async def edit(self, source: Source, mask: Source | None, edit: EditRequest) -> AsyncIterator[CallEvent]:
        """Change one upload, where `mask` is transparent if there is one; the result is the keys of the images."""

        def work(generator: ImageGenerator, progress: CallProgress) -> list[ImageOrRefusal]:
            decoded = self._read(source)
            area = None if mask is None else transparent_area(self._read(mask), decoded)
            image = decoded.rgb8()
            return generator.edit(image, area, edit.requests(image), progress=progress)

        async for event in self.run(work, self._publish):
            yield event

    def _read(self, source: Source) -> DecodedImage:
        with self.store.open_reader(source.key) as file:
            return read_image(file, max_pixels=self.settings.max_pixels)

    async def _publish(self, made: list[ImageOrRefusal]) -> dict[str, Any]:
        images = await asyncio.to_thread(lambda: [_png(image) for image in made])
        keys = [image_name(Bucket.GENERATED) for _ in images]
        for key, image in zip(keys, images, strict=True):
            await self.store.put_bytes(key, image, "image/png")
        return {"images": keys}

    async def _make(self, requests: Sequence[ImageRequest], progress: Progress) -> list[ImageOrRefusal]:
        return await self.in_engine(lambda generator: generator.generate(requests, progress=progress))

    def _max_batch_size(self) -> int:
        return 1 if self.slot.engine is None else self.slot.engine.max_batch


def _png(made: ImageOrRefusal) -> bytes:
    """One image as a file; a refusal fails its call."""
    if isinstance(made, InvalidInput):
        raise made
    return write_png(DecodedImage(made))
