"""Super-resolution: an image in, a larger and clearer one out."""

from collections.abc import AsyncIterator
from typing import Any

from deployments.capabilities.base import Capability
from deployments.capabilities.progress import CallProgress
from deployments.capabilities.protocol import CallEvent, Source
from deployments.storage import Bucket, image_name
from pipelines.media.image import read_image, write_png
from pipelines.super_resolution import SuperResolver
from pipelines.super_resolution.enhance import enhance


class SuperResolution(Capability[SuperResolver]):
    """Enlarges images."""

    async def enhance(self, source: Source) -> AsyncIterator[CallEvent]:
        """Enlarge one upload; the result is the key of the `image`."""

        def work(resolver: SuperResolver, progress: CallProgress) -> bytes:
            with self.store.open_reader(source.key) as file:
                image = read_image(file, max_pixels=self.settings.max_enhance_pixels)
            return write_png(enhance(image, resolver, progress=progress))

        async def publish(enlarged: bytes) -> dict[str, Any]:
            key = image_name(Bucket.ENHANCED)
            await self.store.put_bytes(key, enlarged, "image/png")
            return {"image": key}

        async for event in self.run(work, publish):
            yield event
