"""Pictures from text, in OpenAI's shape."""

import base64
import secrets
import time

from fastapi import APIRouter, Response

from deployments.calls import Graph
from deployments.routes.schemas import GeneratedImage, GeneratedImages, ImageBody, OpenAIError, call_errors
from pipelines.errors import InvalidInput
from pipelines.image_generation import ImageRequest

DEFAULT_SIZE = "1024x1024"
LEAST_SIDE_PX, MOST_SIDE_PX = 64, 2048


def image_requests(body: ImageBody) -> list[ImageRequest]:
    """One request per picture: the n-th has the n-th seed after the one that was given."""
    if not body.prompt.strip():
        raise InvalidInput("`prompt` is empty.", "prompt")
    size = DEFAULT_SIZE if body.size == "auto" else body.size
    width, height = (int(side) for side in size.split("x"))
    if not all(LEAST_SIDE_PX <= side <= MOST_SIDE_PX for side in (width, height)):
        raise InvalidInput(f"`size` must be {LEAST_SIDE_PX} to {MOST_SIDE_PX} pixels on each side.", "size")
    seed = secrets.randbits(32) if body.seed is None else body.seed
    return [ImageRequest(body.prompt, width, height, (seed + i) % 2**63) for i in range(body.n)]


def router(graph: Graph) -> APIRouter:
    """`/v1/images/generations`."""
    routes = APIRouter(tags=["Pictures"])
    store, settings = graph.store, graph.settings

    async def inline(key: str) -> str:
        try:
            _, chunks = await store.stream(key)
            return base64.b64encode(b"".join([chunk async for chunk in chunks])).decode()
        finally:
            await store.delete(key)

    @routes.post("/v1/images/generations", responses=call_errors(OpenAIError), response_model_exclude_none=True)
    async def generate_images(body: ImageBody, response: Response) -> GeneratedImages:
        """Make pictures from a prompt."""
        with await graph.call(graph.handles.image_generation.generate, image_requests(body)) as call:
            keys = (await call.result())["pictures"]
            response.headers.update(call.headers())
        if body.response_format == "b64_json":
            data = [GeneratedImage(b64_json=await inline(key)) for key in keys]
        else:
            data = [GeneratedImage(url=await store.sign(key, expires_s=settings.signed_url_s)) for key in keys]
        return GeneratedImages(created=int(time.time()), data=data)

    return routes
