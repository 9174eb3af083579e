"""Results by URL: `/static/…`, and the images whose URLs the product signs itself."""

from email.utils import format_datetime

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from deployments.http import families
from deployments.http.families import Responses
from deployments.http.services import PrincipalDep, Services, ServicesDep
from deployments.storage import Bucket, ObjectMeta, RangeNotSatisfiable, parse_range
from pipelines.contracts.errors import NotFound

FILE = {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
FOUND: Responses = {
    200: {**FILE, "description": "The file."},
    206: {**FILE, "description": "The part that `Range` names."},
    304: {"description": "Unchanged since the `ETag` that was sent."},
    416: {"description": "`Range` lies outside the file."},
}

static_router = families.STATIC.router(
    "Files", responses={**FOUND, **families.STATIC.errors(400, 401, 403, 404, 429, 500, 503)}
)
signed_router = families.SIGNED.router("Files", responses={**FOUND, **families.SIGNED.errors(400, 403, 404, 500, 503)})


@static_router.get("/{path:path}", response_class=Response, operation_id="static_file")
@static_router.head("/{path:path}", response_class=Response, operation_id="static_file_head")
async def static_file(services: ServicesDep, principal: PrincipalDep, request: Request, path: str) -> Response:
    """A video or text that a call of the same principal has made."""
    key = f"static/{path}"
    meta = await services.store.head(key)
    if not await services.registry.owns(principal, key):
        raise NotFound("There is no such file.")
    return await _serve(services, request, meta)


@signed_router.get("/{name}", response_class=Response, operation_id="signed_image")
@signed_router.head("/{name}", response_class=Response, operation_id="signed_image_head")
async def signed_image(services: ServicesDep, request: Request, bucket: Bucket, name: str) -> Response:
    """An image that a call has made, by its presigned URL."""
    key = f"{bucket}/{name}"
    await services.store.verify(key, request.query_params)
    return await _serve(services, request, await services.store.head(key))


async def _serve(services: Services, request: Request, meta: ObjectMeta) -> Response:
    headers = _headers(meta)
    if has_current_copy(request, meta.etag):
        return Response(status_code=304, headers=headers)
    byte_range = None
    if request.headers.get("if-range", meta.etag) == meta.etag:
        byte_range = parse_range(request.headers.get("range"))
    try:
        meta, chunks = await services.store.stream(meta.key, byte_range)
    except RangeNotSatisfiable as error:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{error.size}"})
    headers["Content-Length"] = str(meta.stop - meta.start)
    status = 200
    if byte_range is not None:
        status = 206
        headers["Content-Range"] = f"bytes {meta.start}-{meta.stop - 1}/{meta.size}"
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=meta.content_type)
    return StreamingResponse(chunks, status, headers, meta.content_type)


def _headers(meta: ObjectMeta) -> dict[str, str]:
    return {
        "ETag": meta.etag,
        "Last-Modified": format_datetime(meta.last_modified, usegmt=True),
        "Accept-Ranges": "bytes",
        "X-Content-Type-Options": "nosniff",
    }


def has_current_copy(request: Request, etag: str) -> bool:
    """Whether the client's copy is current, by its `If-None-Match`."""
    tags = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    return etag in tags or "*" in tags
