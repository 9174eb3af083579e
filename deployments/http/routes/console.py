"""The console: the page at `/` and its files, read once and served from memory.

The page is open to whoever reaches the product, as it holds nothing but itself; what it asks for wants the key.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from fastapi import APIRouter, Request, Response

from deployments.http.services import Services
from deployments.storage import image_name
from pipelines.contracts.errors import NotFound

FOLDER = Path(__file__).parents[1] / "console"
INDEX = "index.html"
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True)
class ConsoleFile:
    """One file of the page."""

    content: bytes
    media_type: str
    etag: str


def read_files() -> dict[str, ConsoleFile]:
    """All files of the page by their path under the folder; there is no way from a request to another file."""
    found = {}
    for path in sorted(FOLDER.rglob("*")):
        if path.suffix in MEDIA_TYPES:
            content = path.read_bytes()
            etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
            found[path.relative_to(FOLDER).as_posix()] = ConsoleFile(content, MEDIA_TYPES[path.suffix], etag)
    return found


def content_security_policy(results_origin: str) -> str:
    """What the page may load: itself, and results from where the object store's signed addresses lead."""
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


async def _results_origin(services: Services) -> str:
    parts = urlsplit(await services.store.sign(image_name("sam"), expires_s=1))
    return f"{parts.scheme}://{parts.netloc}"


def router(services: Services) -> APIRouter:
    """`/`, `/console/…`."""
    routes = APIRouter(include_in_schema=False)
    files = read_files()

    async def serve(request: Request, name: str) -> Response:
        file = files.get(name)
        if file is None:
            raise NotFound("There is no such file.")
        headers = {
            "ETag": file.etag,
            "Cache-Control": "no-cache",
            "Content-Security-Policy": content_security_policy(await _results_origin(services)),
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }
        known = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
        if file.etag in known:
            return Response(status_code=304, headers=headers)
        return Response(file.content, headers=headers, media_type=file.media_type)

    @routes.api_route("/", methods=["GET", "HEAD"])
    async def index(request: Request) -> Response:
        """The page."""
        return await serve(request, INDEX)

    @routes.api_route("/console/{name:path}", methods=["GET", "HEAD"])
    async def file(request: Request, name: str) -> Response:
        """A file of the page."""
        return await serve(request, name)

    return routes
