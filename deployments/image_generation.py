"""Image generation: prompts in, pictures in the object store out."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from pydantic import TypeAdapter

from deployments.capability import CallEvent, Capability, Ticket
from deployments.embedding import embed_through
from deployments.handles import Handle
from deployments.object_store import picture_name
from deployments.settings import Settings
from pipelines import image_generation
from pipelines.errors import InvalidInput
from pipelines.image_generation import ImageGenerator, ImageRequest, Made
from pipelines.media.image import Picture, write_png


class ImageGeneration(Capability[image_generation.Config, ImageGenerator]):
    """Makes pictures from prompts."""

    config = TypeAdapter(image_generation.Config)

    def __init__(self, settings: Settings, knowledge: Handle) -> None:
        super().__init__(settings)
        self._embed = embed_through(knowledge)

    def load(self, config: image_generation.Config) -> ImageGenerator:
        """Make the engine."""
        return config.load(self._embed, self.settings.data_dir / "cache")

    async def generate(self, requests: Sequence[ImageRequest]) -> AsyncIterator[CallEvent]:
        """Make one picture per request; the result is their keys, in order."""

        def work(generator: ImageGenerator, ticket: Ticket) -> list[bytes]:
            return [_png(made) for made in generator.generate(requests, progress=ticket)]

        async def publish(pictures: list[bytes]) -> dict[str, Any]:
            keys = [picture_name("stable-diffusion") for _ in pictures]
            for key, picture in zip(keys, pictures, strict=True):
                await self.store.put_bytes(key, picture, "image/png")
            return {"pictures": keys}

        async for event in self.run(work, publish):
            yield event


def _png(made: Made) -> bytes:
    """One picture as a file; a refused one refuses its call."""
    if isinstance(made, InvalidInput):
        raise made
    return write_png(Picture(made))
