"""The console: the page at `/` and its files, read once and served from memory.

The page is public, as it holds nothing but itself; the API that it calls needs the key.
"""

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from fastapi import Request, Response

from deployments.http import families
from deployments.http.routes.files import has_current_copy
from deployments.http.services import Services, ServicesDep
from deployments.storage import Bucket, image_name
from pipelines.contracts.errors import NotFound

FOLDER = Path(__file__).parents[1] / "console"
INDEX = "index.html"
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

page_router = families.PAGE.router("Console", include_in_schema=False)
files_router = families.CONSOLE.router("Console", include_in_schema=False)


@dataclass(frozen=True)
class ConsoleFile:
    """One file of the page."""

    content: bytes
    media_type: str
    etag: str


@cache
def read_files() -> dict[str, ConsoleFile]:
    """All files of the page by their path under the folder; no request can reach any other file."""
    found = {}
    for path in sorted(FOLDER.rglob("*")):
        if path.suffix in MEDIA_TYPES:
            content = path.read_bytes()
            etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
            found[path.relative_to(FOLDER).as_posix()] = ConsoleFile(content, MEDIA_TYPES[path.suffix], etag)
    return found


def content_security_policy(results_origin: str) -> str:
    """What the page may load: itself, and results from the origin of the object store's signed URLs."""
    results = f"'self' {results_origin}"
    return "; ".join(
        [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            f"img-src {results} data: blob:",
            f"media-src {results} blob:",
            "connect-src 'self'",
            "form-action 'none'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        ]
    )


@page_router.api_route("/", methods=["GET", "HEAD"])
async def index(services: ServicesDep, request: Request) -> Response:
    """The page."""
    return await _serve(services, request, INDEX)


@files_router.api_route("/{name:path}", methods=["GET", "HEAD"])
async def file(services: ServicesDep, request: Request, name: str) -> Response:
    """A file of the page."""
    return await _serve(services, request, name)


async def _serve(services: Services, request: Request, name: str) -> Response:
    file = read_files().get(name)
    if file is None:
        raise NotFound("There is no such file.")
    headers = {
        "ETag": file.etag,
        "Cache-Control": "no-cache",
        "Content-Security-Policy": content_security_policy(await _results_origin(services)),
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    if has_current_copy(request, file.etag):
        return Response(status_code=304, headers=headers)
    return Response(file.content, headers=headers, media_type=file.media_type)


async def _results_origin(services: Services) -> str:
    parts = urlsplit(await services.store.sign(image_name(Bucket.SEGMENTED), expires_s=1))
    return f"{parts.scheme}://{parts.netloc}"
