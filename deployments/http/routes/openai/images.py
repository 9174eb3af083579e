"""Images from text, in OpenAI's shape."""

import secrets

from fastapi.responses import JSONResponse

from deployments.http import answers, families
from deployments.http.execution import ExecutionDep, job_responses
from deployments.http.families import CALL_ERRORS
from deployments.http.schemas.openai import GeneratedImages, ImageBody
from pipelines.contracts.errors import InvalidInput
from pipelines.image_generation import ImageRequest

DEFAULT_SIZE = "1024x1024"
MIN_SIDE_PX, MAX_SIDE_PX = 64, 2048

router = families.OPENAI.router("Images")


def image_requests(body: ImageBody) -> list[ImageRequest]:
    """One request per image: the n-th has the n-th seed after the given one."""
    if not body.prompt.strip():
        raise InvalidInput("`prompt` is empty.", "prompt")
    size = DEFAULT_SIZE if body.size == "auto" else body.size
    width, height = (int(side) for side in size.split("x"))
    if not all(MIN_SIDE_PX <= side <= MAX_SIDE_PX for side in (width, height)):
        raise InvalidInput(f"`size` must be {MIN_SIDE_PX} to {MAX_SIDE_PX} pixels on each side.", "size")
    seed = secrets.randbits(32) if body.seed is None else body.seed
    return [ImageRequest(body.prompt, width, height, (seed + i) % 2**63) for i in range(body.n)]


@router.post(
    "/images/generations",
    response_model=GeneratedImages,
    responses={**families.OPENAI.errors(*CALL_ERRORS), **job_responses(families.OPENAI)},
    response_model_exclude_none=True,
)
async def generate_images(body: ImageBody, execution: ExecutionDep) -> GeneratedImages | JSONResponse:
    """Make images from a prompt."""
    answer = answers.INLINE_IMAGES if body.response_format == "b64_json" else answers.IMAGES
    asked = body.model_dump_json(include=set(ImageBody.model_fields))  # not what clients add: it may be anything
    return await execution.run(answer, image_requests(body), asked=asked)
