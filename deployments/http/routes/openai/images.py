"""Images from text, in OpenAI's shape."""

import secrets
from typing import Any

from fastapi import APIRouter, Response

from deployments.http.schemas.all import GeneratedImages, ImageBody, OpenAIError, call_errors
from deployments.http.services import Services
from deployments.http.work import Preferred, accepted, perform
from pipelines.contracts.errors import InvalidInput
from pipelines.image_generation import ImageRequest

DEFAULT_SIZE = "1024x1024"
LEAST_SIDE_PX, MOST_SIDE_PX = 64, 2048


def image_requests(body: ImageBody) -> list[ImageRequest]:
    """One request per image: the n-th has the n-th seed after the one that was given."""
    if not body.prompt.strip():
        raise InvalidInput("`prompt` is empty.", "prompt")
    size = DEFAULT_SIZE if body.size == "auto" else body.size
    width, height = (int(side) for side in size.split("x"))
    if not all(LEAST_SIDE_PX <= side <= MOST_SIDE_PX for side in (width, height)):
        raise InvalidInput(f"`size` must be {LEAST_SIDE_PX} to {MOST_SIDE_PX} pixels on each side.", "size")
    seed = secrets.randbits(32) if body.seed is None else body.seed
    return [ImageRequest(body.prompt, width, height, (seed + i) % 2**63) for i in range(body.n)]


def router(services: Services) -> APIRouter:
    """`/v1/images/generations`."""
    routes = APIRouter(tags=["Images"])

    @routes.post(
        "/v1/images/generations",
        response_model=GeneratedImages,
        responses={**call_errors(OpenAIError), **accepted(OpenAIError)},
        response_model_exclude_none=True,
    )
    async def generate_images(body: ImageBody, response: Response, preference: Preferred) -> Any:
        """Make images from a prompt."""
        inline = body.response_format == "b64_json"
        operation = "generate_inline_images" if inline else "generate_images"
        requests = image_requests(body)
        asked = body.model_dump_json(include=set(ImageBody.model_fields))  # not what clients add: it may be anything
        return await perform(services, response, preference, operation, requests, request=asked)

    return routes
