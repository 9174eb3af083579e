"""From errors to HTTP: one table of statuses, one body per family of routes."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.responses import JSONResponse

from deployments.client.errors import INTERNAL_ERROR, DeadlineExceeded
from deployments.jobs.table import TooManyJobs
from deployments.storage import SignatureInvalid
from pipelines.contracts import errors


class Unauthorized(errors.SensoriumError):
    """No key, or one that is not known."""

    code = "invalid_api_key"


STATUS: dict[type[errors.SensoriumError], int] = {
    errors.InvalidInput: 400,
    Unauthorized: 401,
    SignatureInvalid: 403,
    errors.NotFound: 404,
    errors.InputTooLarge: 413,
    errors.UnsupportedMedia: 415,
    errors.UnusableMedia: 422,
    errors.ModelUnavailable: 503,
    errors.ModelLoading: 503,
    errors.Overloaded: 503,
    TooManyJobs: 429,
    errors.StorageFull: 503,
    DeadlineExceeded: 504,
}
"""Status of each error; a subclass without a line of its own has its parent's."""


@dataclass(frozen=True)
class Failure:
    """What a client is told of an error."""

    status: int
    code: str
    message: str
    param: str | None = None
    retry_after_s: float | None = None

    def headers(self) -> dict[str, str]:
        """`Retry-After` and `WWW-Authenticate` where they belong."""
        headers = {}
        if self.retry_after_s is not None:
            headers["Retry-After"] = str(math.ceil(self.retry_after_s))
        if self.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return headers


INTERNAL = Failure(500, *INTERNAL_ERROR)


def describe(error: errors.SensoriumError) -> Failure:
    """What the client is told of an error."""
    status = next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), INTERNAL.status)
    retry_after_s = getattr(error, "retry_after_s", 30 if isinstance(error, errors.StorageFull) else None)
    return Failure(status, error.code, error.message, getattr(error, "param", None), retry_after_s)


def _openai(failure: Failure) -> dict[str, Any]:
    kind = "invalid_request_error" if failure.status < 500 else "server_error"
    return {"error": {"message": failure.message, "type": kind, "param": failure.param, "code": failure.code}}


_SPEECH_CODES = {"empty_audio": 40000004, "unusable_media": 40000003, "invalid_parameter": 40000003}
"""The public RESTful speech convention that 20000000 comes from."""


def _speech_status(failure: Failure) -> int:
    if failure.code == "overloaded":
        return 40000005
    if failure.status >= 500:
        return 50000000
    return _SPEECH_CODES.get(failure.code, 40000000)


def _recognition(failure: Failure) -> dict[str, Any]:
    return {"result": "", "status": _speech_status(failure), "message": failure.message}


def _synthesis(failure: Failure) -> dict[str, Any]:
    return {"status": _speech_status(failure), "message": failure.message}


def _media(failure: Failure) -> dict[str, Any]:
    return {"status": "error", "error": {"code": failure.code, "message": failure.message}}


def _upload(failure: Failure) -> dict[str, Any]:
    return {"result": False, "error": {"code": failure.code, "message": failure.message}}


_FAMILIES: tuple[tuple[str, Callable[[Failure], dict[str, Any]]], ...] = (
    ("/v1/asr", _recognition),
    ("/v1/tts", _synthesis),
    ("/image/", _media),
    ("/video/", _media),
    ("/uploadFile/", _upload),
)


def body_for(path: str) -> Callable[[Failure], dict[str, Any]]:
    """The shape of an error body on a path; OpenAI's where no family claims it."""
    return next((shape for prefix, shape in _FAMILIES if path.startswith(prefix)), _openai)


def response(path: str, failure: Failure) -> JSONResponse:
    """The HTTP answer that tells of a failure."""
    return JSONResponse(body_for(path)(failure), status_code=failure.status, headers=failure.headers())
