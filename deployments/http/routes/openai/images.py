"""Images from text, and edited images, in OpenAI's shape."""

import hashlib
import secrets

from fastapi import Request
from fastapi.responses import JSONResponse

from deployments.http import answers, families
from deployments.http.execution import ExecutionDep, job_responses
from deployments.http.families import CALL_ERRORS, UPLOAD_ERRORS
from deployments.http.schemas.openai import GeneratedImages, ImageBody, ImageEditForm
from deployments.http.services import needs
from deployments.http.uploads import EDITED, form_file
from pipelines.contracts.errors import InvalidInput
from pipelines.image_generation import EditRequest, ImageRequest

DEFAULT_SIZE = "1024x1024"
MIN_SIDE_PX, MAX_SIDE_PX = 64, 2048

router = families.OPENAI.router("Images", dependencies=[needs("image_generation")])
edits_router = families.EDITS.router("Images", dependencies=[needs("image_generation")])


def image_requests(body: ImageBody) -> list[ImageRequest]:
    """One request per image: the n-th has the n-th seed after the given one."""
    width, height = _size(DEFAULT_SIZE if body.size == "auto" else body.size)
    seed = _seed(body)
    return [ImageRequest(_prompt(body), width, height, (seed + i) % 2**63) for i in range(body.n)]


def edit_request(form: ImageEditForm) -> EditRequest:
    """What is asked of the image; `size` "auto" is its own."""
    return EditRequest(_prompt(form), form.n, _seed(form), None if form.size == "auto" else _size(form.size))


def _prompt(body: ImageBody) -> str:
    if not body.prompt.strip():
        raise InvalidInput("`prompt` is empty.", "prompt")
    return body.prompt


def _seed(body: ImageBody) -> int:
    return secrets.randbits(32) if body.seed is None else body.seed


def _size(text: str) -> tuple[int, int]:
    width, height = (int(side) for side in text.split("x"))
    if not all(MIN_SIDE_PX <= side <= MAX_SIDE_PX for side in (width, height)):
        raise InvalidInput(f"`size` must be {MIN_SIDE_PX} to {MAX_SIDE_PX} pixels on each side.", "size")
    return width, height


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


@edits_router.post(
    "",
    openapi_extra=EDITED.form_schema(),
    response_model=GeneratedImages,
    responses={**families.EDITS.errors(*UPLOAD_ERRORS), **job_responses(families.EDITS)},
    response_model_exclude_none=True,
)
async def edit_images(request: Request, execution: ExecutionDep) -> GeneratedImages | JSONResponse:
    """Change an image as a prompt says, everywhere or where a mask is transparent."""
    async with form_file(execution.services, request, EDITED) as upload:
        received = upload.received
        form = upload.options(ImageEditForm)
        answer = answers.EDITED_INLINE_IMAGES if form.response_format == "b64_json" else answers.EDITED_IMAGES
        options = form.model_dump_json(include=set(ImageEditForm.model_fields))
        asked = f"{received.sha256}?{hashlib.sha256(received.second).hexdigest()}?{options}"
        edit = edit_request(form)
        return await execution.run(answer, upload.source, upload.second, edit, asked=asked, upload=upload)
