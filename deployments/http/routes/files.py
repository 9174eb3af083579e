"""Results that come back by address: `static/…`, and the images whose addresses the product signs itself."""

from email.utils import format_datetime
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from deployments.http.schemas.all import OpenAIError, errors_of
from deployments.http.services import Services
from deployments.storage import ObjectMeta, RangeNotSatisfiable, parse_range

BUCKETS = ("stable-diffusion", "sam", "realesrgan")
FILE = {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}


def router(services: Services) -> APIRouter:
    """`/static/…`, `/stable-diffusion/…`, `/sam/…`, `/realesrgan/…`."""
    routes = APIRouter(tags=["Files"])

    async def serve(request: Request, key: str) -> Response:
        meta = await services.store.head(key)
        headers = _headers(meta)
        if _unchanged(request, meta):
            return Response(status_code=304, headers=headers)
        byte_range = None
        if request.headers.get("if-range", meta.etag) == meta.etag:
            byte_range = parse_range(request.headers.get("range"))
        try:
            meta, chunks = await services.store.stream(key, byte_range)
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

    described: dict[int | str, dict[str, Any]] = {
        200: {**FILE, "description": "The file."},
        206: {**FILE, "description": "The part that `Range` names."},
        304: {"description": "Unchanged since the `ETag` that was sent."},
        416: {"description": "`Range` is outside of the file."},
    }

    @routes.api_route(
        "/static/{path:path}",
        methods=["GET", "HEAD"],
        response_class=Response,
        responses={**described, **errors_of(OpenAIError, 400, 401, 404, 500, 503)},
        operation_id="static_file",
    )
    async def static(request: Request, path: str) -> Response:
        """A video or text that a call has made."""
        return await serve(request, f"static/{path}")

    def add_bucket(bucket: str) -> None:
        @routes.api_route(
            f"/{bucket}/{{name}}",
            methods=["GET", "HEAD"],
            response_class=Response,
            responses={**described, **errors_of(OpenAIError, 400, 403, 404, 500, 503)},
            operation_id=f"{bucket}_picture",
        )
        async def signed(request: Request, name: str) -> Response:
            """An image that a call has made, by its presigned address."""
            key = f"{bucket}/{name}"
            await services.store.verify(key, request.query_params)
            return await serve(request, key)

    for bucket in BUCKETS:
        add_bucket(bucket)
    return routes


def _headers(meta: ObjectMeta) -> dict[str, str]:
    return {
        "ETag": meta.etag,
        "Last-Modified": format_datetime(meta.last_modified, usegmt=True),
        "Accept-Ranges": "bytes",
        "X-Content-Type-Options": "nosniff",
    }


def _unchanged(request: Request, meta: ObjectMeta) -> bool:
    """Whether the client's copy is still good, by its validators."""
    if tags := request.headers.get("if-none-match"):
        return tags.strip() == "*" or meta.etag in [tag.strip().removeprefix("W/") for tag in tags.split(",")]
    return False
