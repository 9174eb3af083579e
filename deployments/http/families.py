"""Families of routes: what all routes under a prefix share. A family makes the routers of its routes.

A path is known by its family before any route is found, so that guards and errors also cover paths without a route.
"""

from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from re import Pattern
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from starlette.convertors import Convertor, register_url_convertor
from starlette.routing import compile_path

from deployments.http.errors import Failure
from deployments.http.schemas.errors import (
    ErrorBody,
    MediaError,
    OpenAIError,
    RecognitionError,
    SynthesisError,
    UploadError,
)
from deployments.storage import Bucket

Responses = dict[int | str, dict[str, Any]]
"""OpenAPI's responses of a route, by status."""

CALL_ERRORS = (400, 401, 403, 408, 413, 429, 500, 503, 504)
"""Statuses of a failed call to a capability."""
UPLOAD_ERRORS = (*CALL_ERRORS, 415, 422)
"""Statuses of a failed call that takes a file."""

_MEANINGS = {
    400: "Malformed or invalid parameters or body.",
    401: "No API key, or a wrong one.",
    403: "The key lacks the scope, or a page of another site calls; of a signed URL: it was altered or has expired.",
    404: "Not found.",
    408: "The body did not arrive in time.",
    413: "Too large.",
    415: "Unsupported file type.",
    422: "A supported file type, but an unusable file: damaged, encrypted, empty, too many pixels.",
    429: "Too many calls, bytes or queued jobs; `Retry-After` says when to try again.",
    500: "Something went wrong on the server.",
    503: "Over capacity, starting, or the model is unavailable; `Retry-After` says when to try again.",
    504: "The call exceeded its deadline.",
}


class _BucketConvertor(Convertor[Bucket]):
    """`{bucket:bucket}` in a route's path."""

    regex = "|".join(Bucket)

    def convert(self, value: str) -> Bucket:
        return Bucket(value)

    def to_string(self, value: Bucket) -> str:
        return value.value


register_url_convertor("bucket", _BucketConvertor())


@dataclass(frozen=True)
class Family:
    """The routes under one prefix.

    Attributes:
        prefix: of their paths, in Starlette's syntax.
        error: the body of their errors.
        streamed: they read their bodies themselves, under caps of their own. Other bodies are JSON, and read ahead.
        public: they need no API key.
        public_methods: of those that need one, the methods that do not.
    """

    prefix: str
    error: type[ErrorBody] = OpenAIError
    streamed: bool = False
    public: bool = False
    public_methods: tuple[str, ...] = ()

    @cached_property
    def _pattern(self) -> Pattern[str]:
        pattern, _, _ = compile_path(f"{self.prefix}/{{rest:path}}")
        return pattern

    def owns(self, path: str) -> bool:
        """Whether a path is the prefix or lies under it; nothing lies under `/`."""
        if self.prefix == "/":
            return path == "/"
        return self._pattern.match(f"{path}/") is not None

    def router(self, tag: str, **options: Any) -> APIRouter:
        """A router of this family; paths of its routes are relative to the prefix."""
        tags: list[str | Enum] = [tag]
        return APIRouter(prefix=self.prefix.removesuffix("/"), tags=tags, **options)

    def errors(self, *statuses: int) -> Responses:
        """OpenAPI's responses for errors of these statuses."""
        return {status: {"model": self.error, "description": _MEANINGS[status]} for status in sorted(statuses)}

    def response(self, failure: Failure) -> JSONResponse:
        """The response that reports a failure."""
        return JSONResponse(self.error.of(failure).model_dump(), failure.status, failure.headers())


OPENAI = Family("/v1")
TRANSCRIPTIONS = Family("/v1/audio/transcriptions", streamed=True)
EDITS = Family("/v1/images/edits", streamed=True)
RECOGNITION = Family("/v1/asr", RecognitionError, streamed=True)
SYNTHESIS = Family("/v1/tts", SynthesisError)
IMAGES = Family("/image", MediaError, streamed=True)
VIDEOS = Family("/video", MediaError, streamed=True)
DOCUMENTS = Family("/uploadFile", UploadError, streamed=True)
SESSION = Family("/v1/session", public_methods=("POST",))
STATIC = Family("/static")
SIGNED = Family("/{bucket:bucket}", public=True)
HEALTH = Family("/healthz", public=True)
READINESS = Family("/readyz", public=True)
CONSOLE = Family("/console", public=True)
PAGE = Family("/", public=True)

FAMILIES = (
    TRANSCRIPTIONS,
    EDITS,
    RECOGNITION,
    SYNTHESIS,
    SESSION,
    OPENAI,  # after those whose prefixes begin with its own
    IMAGES,
    VIDEOS,
    DOCUMENTS,
    STATIC,
    SIGNED,
    HEALTH,
    READINESS,
    CONSOLE,
    PAGE,
)
OTHER = Family("")
"""Of the paths that belong to no other: the API reference, and what does not exist."""


def family_of(path: str) -> Family:
    """The family that a path belongs to."""
    return next((family for family in FAMILIES if family.owns(path)), OTHER)
